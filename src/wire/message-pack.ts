import { Packr, Unpackr } from 'msgpackr';
import { fail, ok, type Result } from '../base/result.js';

/*
 * MessagePack as control messages use it: nil, booleans, numbers, strings, bytes, arrays, and maps with distinct
 * string keys. The bytes are walked before the library sees them, because msgpackr on its own follows extensions
 * (records that compile code, references, typed arrays), allocates what a length announces and nests without limit.
 * Maps come out as Map: a key named __proto__ is then a key like any other.
 */

/** What a body may be made of; `items` counts every value and key. */
export interface PackLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly items: number;
}

export type PackRefusal = 'too long' | 'too deep' | 'too many' | 'not msgpack';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType: 'number' });
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The caller owns the result. */
export function packMessage(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value));
}

export function unpackMessage(bytes: Uint8Array, limits: PackLimits): Result<unknown, PackRefusal> {
  if (bytes.length > limits.bytes) return fail('too long');
  const walk = new Walk(bytes, limits);
  const refusal = walk.value(0) ?? (walk.isAtEnd ? undefined : 'not msgpack');
  if (refusal) return fail(refusal);
  try {
    return ok(unpackr.unpack(bytes));
  } catch {
    return fail('not msgpack');
  }
}

/** Reads the structure only. Methods return why not, or undefined. */
class Walk {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: PackLimits;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array, limits: PackLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): PackRefusal | undefined {
    if (depth > this.#limits.depth) return 'too deep';
    if (++this.#items > this.#limits.items) return 'too many';
    const tag = this.#length(1);
    if (tag === undefined) return 'not msgpack';
    if (tag <= 0x7f || tag >= 0xe0) return undefined;
    if (tag <= 0x8f) return this.#map(tag & 0x0f, depth);
    if (tag <= 0x9f) return this.#array(tag & 0x0f, depth);
    if (tag <= 0xbf) return this.#text(tag & 0x1f);
    switch (tag) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return undefined;
      case 0xc4: // bin 8, 16, 32
      case 0xc5:
      case 0xc6:
        return this.#skip(this.#length(1 << (tag - 0xc4)));
      case 0xca: // float 32, 64
      case 0xcb:
        return this.#skip(4 << (tag - 0xca));
      case 0xcc: // uint 8 … 64
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#skip(1 << (tag - 0xcc));
      case 0xd0: // int 8 … 64
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.#skip(1 << (tag - 0xd0));
      case 0xd9: // str 8, 16, 32
      case 0xda:
      case 0xdb:
        return this.#text(this.#length(1 << (tag - 0xd9)));
      case 0xdc: // array 16, 32
      case 0xdd:
        return this.#array(this.#length(2 << (tag - 0xdc)), depth);
      case 0xde: // map 16, 32
      case 0xdf:
        return this.#map(this.#length(2 << (tag - 0xde)), depth);
      default: // extensions, and 0xc1, which is never used
        return 'not msgpack';
    }
  }

  #array(count: number | undefined, depth: number): PackRefusal | undefined {
    if (count === undefined) return 'not msgpack';
    for (let i = 0; i < count; i++) {
      const refusal = this.value(depth + 1);
      if (refusal) return refusal;
    }
    return undefined;
  }

  #map(count: number | undefined, depth: number): PackRefusal | undefined {
    if (count === undefined) return 'not msgpack';
    const keys = new Set<string>();
    for (let i = 0; i < count; i++) {
      const start = this.#at;
      const refusal = this.#key() ?? this.#distinct(keys, start) ?? this.value(depth + 1);
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** Keys are short strings: fixstr or str 8. */
  #key(): PackRefusal | undefined {
    if (++this.#items > this.#limits.items) return 'too many';
    const tag = this.#length(1);
    if (tag === undefined) return 'not msgpack';
    if (tag >= 0xa0 && tag <= 0xbf) return this.#text(tag & 0x1f);
    return tag === 0xd9 ? this.#text(this.#length(1)) : 'not msgpack';
  }

  #distinct(keys: Set<string>, start: number): PackRefusal | undefined {
    const skipTag = this.#bytes[start] === 0xd9 ? 2 : 1;
    const key = utf8.decode(this.#bytes.subarray(start + skipTag, this.#at));
    if (keys.has(key)) return 'not msgpack';
    keys.add(key);
    return undefined;
  }

  #text(length: number | undefined): PackRefusal | undefined {
    const start = this.#at;
    const refusal = this.#skip(length);
    if (refusal) return refusal;
    try {
      utf8.decode(this.#bytes.subarray(start, this.#at));
      return undefined;
    } catch {
      return 'not msgpack';
    }
  }

  #skip(length: number | undefined): PackRefusal | undefined {
    if (length === undefined || length > this.#bytes.length - this.#at) return 'not msgpack';
    this.#at += length;
    return undefined;
  }

  /** Big-endian unsigned of 1, 2 or 4 bytes. */
  #length(size: number): number | undefined {
    const at = this.#at;
    if (size > this.#bytes.length - at) return undefined;
    this.#at += size;
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }
}
