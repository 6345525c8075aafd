import { concatBytes, utf8Bytes } from '../base/bytes.js';
import type { Identity } from './identity.js';
import { attempt, sodium } from './sodium.js';

/*
 * "A process with this key runs": instance 8 · start of the process u64 little-endian, ms of its own wall clock ·
 * Ed25519("overlayd/1 presence" || meshid || both). Others may pass it on, nobody can make it up: so a node learns of a
 * clone of itself from a peer that met both (docs/protocol.md §0).
 */

export const PRESENCE_BYTES = 80;
const SIGNED_BYTES = 16;
const DOMAIN = utf8Bytes('overlayd/1 presence');

export interface Presence {
  readonly instance: Uint8Array /*8*/;
  readonly startedAtMs: bigint;
}

export function signPresence(
  identity: Identity,
  meshId: Uint8Array,
  presence: Presence,
): Uint8Array {
  const signed = new Uint8Array(SIGNED_BYTES);
  signed.set(presence.instance, 0);
  new DataView(signed.buffer).setBigUint64(8, presence.startedAtMs, true);
  const message = concatBytes(DOMAIN, meshId, signed);
  return concatBytes(signed, sodium.crypto_sign_detached(message, identity.secretKey));
}

/** Undefined: not signed by that key for that mesh. */
export function openPresence(
  statement: Uint8Array,
  publicKey: Uint8Array,
  meshId: Uint8Array,
): Presence | undefined {
  if (statement.length !== PRESENCE_BYTES) return undefined;
  const signed = statement.slice(0, SIGNED_BYTES);
  const message = concatBytes(DOMAIN, meshId, signed);
  const signature = statement.subarray(SIGNED_BYTES);
  const isValid = attempt(() => sodium.crypto_sign_verify_detached(signature, message, publicKey));
  if (isValid !== true) return undefined;
  const startedAtMs = new DataView(signed.buffer).getBigUint64(8, true);
  return { instance: signed.slice(0, 8), startedAtMs };
}
