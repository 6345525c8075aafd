import { concatBytes, utf8Bytes } from '../base/bytes.js';
import type { Rng } from '../base/rng.js';
import { sha512 } from './hash.js';
import { attempt, sodium, wipe } from './sodium.js';

/*
 * CPace over ristretto255 with SHA-512, draft-irtf-cfrg-cpace §5, §7.3: both sides turn the password into a generator
 * and run Diffie-Hellman on it. Whoever watches learns nothing to test guesses against, whoever takes part tests one.
 *
 *   g = map(H(generator_string(DSI, PRS, CI, sid)))     Y = y·g     K = y·Y_peer     ISK = H(lv(DSI_ISK) … transcript)
 */

const DSI = utf8Bytes('CPaceRistretto255');
const DSI_ISK = utf8Bytes('CPaceRistretto255_ISK');
const PROTOCOL = utf8Bytes('overlayd/1');
/** Input block of SHA-512: the zeros in the generator string fill the first one, so that PRS is hashed apart. */
const BLOCK_BYTES = 128;

/** LEB128 length, then the bytes. */
export function lv(bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return concatBytes(Uint8Array.from(length), bytes);
}

/** Channel identifier: protocol, mesh and password slot, so that a password serves no other purpose by accident. */
export function ciOf(meshId: Uint8Array, slot: number): Uint8Array {
  return concatBytes(lv(PROTOCOL), lv(meshId), lv(Uint8Array.of(slot)));
}

export function cpaceGenerator(prs: Uint8Array, ci: Uint8Array, sid: Uint8Array): Uint8Array {
  const secretPart = lv(prs);
  const dsi = lv(DSI);
  const zeros = new Uint8Array(Math.max(0, BLOCK_BYTES - 1 - secretPart.length - dsi.length));
  const hash = sha512(dsi, secretPart, lv(zeros), lv(ci), lv(sid));
  const g = sodium.crypto_core_ristretto255_from_hash(hash);
  wipe(secretPart, hash);
  return g;
}

/** A uniform scalar, never zero. Secret; the caller wipes it. */
export function cpaceScalar(rng: Rng): Uint8Array {
  for (;;) {
    const wide = rng.bytes(64);
    const scalar = sodium.crypto_core_ristretto255_scalar_reduce(wide);
    wipe(wide);
    if (scalar.some((byte) => byte !== 0)) return scalar;
  }
}

/** scalar · element; undefined for an invalid encoding or the identity (CPace scalar_mult_vfy: abort). */
export function cpaceMultiply(scalar: Uint8Array, element: Uint8Array): Uint8Array | undefined {
  return attempt(() => sodium.crypto_scalarmult_ristretto255(scalar, element));
}

/** Intermediate session key, in the order initiator, responder.. */
export function cpaceIsk(input: {
  readonly sid: Uint8Array;
  readonly k: Uint8Array;
  readonly yi: Uint8Array;
  readonly adInitiator: Uint8Array;
  readonly yr: Uint8Array;
  readonly adResponder: Uint8Array;
}): Uint8Array {
  const secretPart = lv(input.k);
  const isk = sha512(
    lv(DSI_ISK),
    lv(input.sid),
    secretPart,
    lv(input.yi),
    lv(input.adInitiator),
    lv(input.yr),
    lv(input.adResponder),
  );
  wipe(secretPart);
  return isk;
}
