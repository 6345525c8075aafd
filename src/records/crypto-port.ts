import type { PeerId } from '../model/peer-id.js';

/** Signatures and hashes of records, handed in; src/crypto/record-signature.ts has the real ones. */
export interface RecordCrypto {
  /** 64 bytes, by this node's identity, for this mesh. */
  sign(signed: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, signed: Uint8Array, signature: Uint8Array): boolean;
  /** BLAKE2b with 128 bits over the parts as if joined. */
  hash128(...parts: readonly Uint8Array[]): Uint8Array;
  peerIdOf(publicKey: Uint8Array): PeerId;
}
