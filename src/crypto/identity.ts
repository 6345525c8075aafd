import { concatBytes, utf8Bytes } from '../base/bytes.js';
import type { Rng } from '../base/rng.js';
import { peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import { blake2b128, sodium, wipe } from './sodium.js';

/** Ed25519 key pair of this node, made at first start. */
export interface Identity {
  readonly id: PeerId;
  readonly publicKey: Uint8Array /*32*/;
  /** Seed and public key, 64 bytes: libsodium's form. */
  readonly secretKey: Uint8Array /*64*/;
}

const ID_DOMAIN = utf8Bytes('overlayd/1 id');

export function generateIdentity(rng: Rng): Identity {
  const seed = rng.bytes(32);
  const identity = identityFromSeed(seed);
  wipe(seed);
  return identity;
}

export function identityFromSeed(seed: Uint8Array /*32*/): Identity {
  const { publicKey, privateKey } = sodium.crypto_sign_seed_keypair(seed);
  return { id: peerIdOf(publicKey), publicKey, secretKey: privateKey };
}

export function peerIdOf(publicKey: Uint8Array): PeerId {
  return peerIdFromBytes(blake2b128(concatBytes(ID_DOMAIN, publicKey)));
}
