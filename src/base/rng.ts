/** Source of randomness, injected so that a simulation repeats from its seed. */
export interface Rng {
  /** Cryptographic bytes in production; a seeded stream in the simulator. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1), for jitter. */
  fraction(): number;
}

/**
 * A stream that repeats from its seed (u32), for tests and the simulator only: predictable, never for keys that matter.
 * xoshiro128** (Blackman, Vigna: "Scrambled linear pseudorandom number generators"), state filled by splitmix32.
 */
export function seededRng(seed: number): Rng {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let word = mix;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return (word ^ (word >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  const next = (): number => {
    const out = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotl(d, 11);
    return out;
  };
  return {
    bytes(length) {
      const out = new Uint8Array(length);
      for (let offset = 0; offset < length; offset += 4) {
        const word = next();
        for (let i = 0; i < 4 && offset + i < length; i++) out[offset + i] = word >>> (8 * i);
      }
      return out;
    },
    fraction() {
      return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
    },
  };
}

function rotl(word: number, by: number): number {
  return ((word << by) | (word >>> (32 - by))) >>> 0;
}
