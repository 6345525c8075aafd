/** Source of randomness, injected so that a simulation repeats from its seed. */
export interface Rng {
  /** Cryptographic bytes in production; a seeded stream in the simulator. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1), for jitter. */
  fraction(): number;
}
