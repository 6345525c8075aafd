import { concatBytes, utf8Bytes } from '../base/bytes.js';
import type { PeerId } from '../model/peer-id.js';
import { peerIdOf, type Identity } from './identity.js';
import { attempt, blake2b128, sodium } from './sodium.js';

/** Signatures and hashes of records; has the shape of the records room's port. */
export interface RecordSigner {
  sign(signed: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, signed: Uint8Array, signature: Uint8Array): boolean;
  hash128(...parts: readonly Uint8Array[]): Uint8Array;
  peerIdOf(publicKey: Uint8Array): PeerId;
}

const DOMAIN = utf8Bytes('overlayd/1 record');

/** Ed25519("overlayd/1 record" || meshid || bytes) and BLAKE2b-128, by libsodium as everywhere (docs/protocol.md §5). */
export function recordSigner(identity: Identity, meshId: Uint8Array): RecordSigner {
  const message = (signed: Uint8Array): Uint8Array => concatBytes(DOMAIN, meshId, signed);
  return {
    sign: (signed) => sodium.crypto_sign_detached(message(signed), identity.secretKey),
    verify: (publicKey, signed, signature) =>
      attempt(() => sodium.crypto_sign_verify_detached(signature, message(signed), publicKey)) ===
      true,
    hash128: (...parts) =>
      blake2b128(parts.length === 1 && parts[0] ? parts[0] : concatBytes(...parts)),
    peerIdOf,
  };
}
