import { createHash, createHmac } from 'node:crypto';

/** SHA-512 over the parts as if joined: H of docs/protocol.md. */
export function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** HMAC-SHA-512 over the parts as if joined. */
export function hmacSha512(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha512', key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** HKDF-Extract, RFC 5869 §2.2. */
export function hkdfExtract(salt: Uint8Array, ...keyMaterial: readonly Uint8Array[]): Uint8Array {
  return hmacSha512(salt, ...keyMaterial);
}

const HASH_BYTES = 64;

/** HKDF-Expand, RFC 5869 §2.3. `info` are parts, joined. */
export function hkdfExpand(
  prk: Uint8Array,
  info: readonly Uint8Array[],
  length: number,
): Uint8Array {
  if (length > 255 * HASH_BYTES) throw new RangeError(`HKDF gives 16320 bytes, not ${length}`);
  const out = new Uint8Array(length);
  let block = new Uint8Array(0);
  for (let offset = 0, n = 1; offset < length; offset += HASH_BYTES, n++) {
    const next = hmacSha512(prk, block, ...info, Uint8Array.of(n));
    block.fill(0);
    block = new Uint8Array(next);
    next.fill(0);
    out.set(block.subarray(0, length - offset), offset);
  }
  block.fill(0);
  return out;
}
