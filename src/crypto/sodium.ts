import sodium from 'libsodium-wrappers-sumo';

/*
 * libsodium as WASM, the sumo build: the standard one has no ristretto255. One library verifies
 * Ed25519 everywhere, because others disagree on small-order keys and stores of records would never converge.
 */

/** Awaited once at start; every later call into this room is synchronous. */
export function sodiumReady(): Promise<void> {
  return sodium.ready;
}

/** Overwrites secrets that are no longer needed. Copies inside the engine or the WASM heap are out of reach. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Runs a libsodium call that throws on bad input (invalid point, forged tag) and makes that a value. */
export function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

/** In constant time; of different lengths: false. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && sodium.memcmp(a, b);
}

/** BLAKE2b with a digest of 128 bits, keyed if a key is given. */
export function blake2b128(message: Uint8Array, key: Uint8Array | null = null): Uint8Array {
  return sodium.crypto_generichash(16, message, key);
}

export { sodium };
