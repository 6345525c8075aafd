import { concatBytes } from '../base/bytes.js';
import { initTranscript } from '../wire/handshake.js';
import { blake2b128 } from './sodium.js';

/** Bytes of a resumption hint: random, renewed with each handshake, meaningless to anyone else. */
export const HINT_BYTES = 8;

/**
 * The resume field of an INIT: hint || BLAKE2b-128(pair_key, INIT without resume and cookie). It shows the gate that
 * a known member asks, so that no guess token is taken (docs/protocol.md §2); it opens nothing else.
 */
export function resumeField(hint: Uint8Array, pairKey: Uint8Array, init: Uint8Array): Uint8Array {
  if (hint.length !== HINT_BYTES) throw new RangeError(`Hint wants 8 bytes, got ${hint.length}`);
  return concatBytes(hint, blake2b128(initTranscript(init), pairKey));
}
