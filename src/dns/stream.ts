import { setU16, u16 } from './query.js';

/** DNS over TCP (RFC 1035 §4.2.2): each message behind its length, two bytes. */

export function withLength(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + message.length);
  setU16(out, 0, message.length);
  out.set(message, 2);
  return out;
}

/** Cuts a stream into messages. Holds no more than what was pushed and not yet taken. */
export class LengthPrefixed {
  #bytes: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** Length of the message that began to come, as far as known. */
  get announcedBytes(): number {
    return this.#bytes.length < 2 ? 0 : u16(this.#bytes, 0);
  }

  /** The next whole message; undefined: it is not all there. */
  next(): Uint8Array | undefined {
    const end = 2 + this.announcedBytes;
    if (this.#bytes.length < 2 || this.#bytes.length < end) return undefined;
    const message = this.#bytes.subarray(2, end);
    this.#bytes = this.#bytes.subarray(end);
    return message;
  }
}
