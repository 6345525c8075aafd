import { randomBytes } from 'node:crypto';

import type { Rng } from './rng.js';

const FRACTION_BYTES = 6;

/** The kernel's randomness, by way of OpenSSL. */
export function createSystemRng(): Rng {
  return {
    bytes: (length) => new Uint8Array(randomBytes(length)),
    fraction: () => randomBytes(FRACTION_BYTES).readUIntBE(0, FRACTION_BYTES) / 2 ** 48,
  };
}
