import { fail, ok, type Result } from '../base/result.js';
import { peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import {
  decodeRecord,
  encodeUnsignedRecord,
  RECORD_SIGNATURE_BYTES,
  signedPart,
  type RecordFields,
} from '../wire/record.js';
import type { RecordCrypto } from './crypto-port.js';

/** Where things stand in a record (wire/record.ts); the public key lies between the version and the key. */
const FLAGS_AT = 2;
const VERSION_AT = 8;
const VERSION_END = 16;
const KEY_AT = 48;

/**
 * A record with what a store needs of it again and again. Immutable. Strings of bytes have one character a byte: a node
 * of a large mesh keeps tens of thousands of these, and a string costs a third of an array of its own.
 */
export class SignedRecord {
  /** As received, as a byte string. */
  readonly text: string;
  /** Who signed. */
  readonly owner: PeerId;
  /** Kind and key as one byte string: the record's place on its shelf. */
  readonly slot: string;
  /** BLAKE2b-128 of all but the signature, as a byte string: another signature makes no other record. */
  readonly hash: string;

  /** @param bytes of a record whose layout was checked */
  constructor(bytes: Uint8Array, owner: PeerId, slot: string, hash: string) {
    this.text = byteString(bytes);
    this.owner = owner;
    this.slot = slot;
    this.hash = hash;
  }

  /** As received; the caller's. */
  get bytes(): Uint8Array {
    return bytesOf(this.text);
  }

  /** In bytes. */
  get size(): number {
    return this.text.length;
  }

  get kind(): number {
    return this.slot.charCodeAt(0);
  }

  get version(): number {
    let version = 0;
    for (let at = VERSION_END - 1; at >= VERSION_AT; at--) {
      version = version * 256 + this.text.charCodeAt(at);
    }
    return version;
  }

  get isTombstone(): boolean {
    return this.text.charCodeAt(FLAGS_AT) !== 0;
  }
}

/** Turns bytes into records; a simulator remembers what it has read before. */
export type RecordReader = (bytes: Uint8Array) => Result<SignedRecord, 'layout'>;

/** The signature is not checked. */
export function recordReader(crypto: RecordCrypto): RecordReader {
  // Records of one owner come in a row: they share its id, and it is computed once.
  let last: { readonly key: string; readonly id: PeerId } | undefined;
  return (bytes) => {
    const fields = decodeRecord(bytes);
    if (!fields.ok) return fail('layout');
    const { publicKey } = fields.value;
    const key = byteString(publicKey);
    if (last?.key !== key) last = { key, id: crypto.peerIdOf(publicKey) };
    return ok(describe(fields.value, bytes, { crypto, owner: last.id }));
  };
}

/** Signs with this node's identity. @throws RangeError for fields no peer would take. */
export function signRecord(fields: RecordFields, crypto: RecordCrypto): SignedRecord {
  const unsigned = encodeUnsignedRecord(fields);
  const bytes = new Uint8Array(unsigned.length + RECORD_SIGNATURE_BYTES);
  bytes.set(unsigned);
  bytes.set(crypto.sign(unsigned), unsigned.length);
  return describe(fields, bytes, { crypto, owner: crypto.peerIdOf(fields.publicKey) });
}

function describe(
  { kind, key }: RecordFields,
  bytes: Uint8Array,
  { crypto, owner }: { readonly crypto: RecordCrypto; readonly owner: PeerId },
): SignedRecord {
  const hash = byteString(crypto.hash128(signedPart(bytes)));
  return new SignedRecord(bytes, owner, slotOf(kind, key), hash);
}

export function slotOf(kind: number, key: Uint8Array): string {
  return String.fromCharCode(kind) + byteString(key);
}

export function keyOfRecord(record: SignedRecord): Uint8Array {
  return bytesOf(record.slot.slice(1));
}

/** The caller's. */
export function bodyOfRecord({ text, slot }: SignedRecord): Uint8Array {
  return bytesOf(text.slice(KEY_AT + slot.length - 1, -RECORD_SIGNATURE_BYTES));
}

/** The caller's. */
export function publicKeyOfRecord({ text }: SignedRecord): Uint8Array {
  return bytesOf(text.slice(VERSION_END, KEY_AT));
}

/**
 * Where a shared record stands: on one of 256 shelves of its kind. Zeros but for the first byte, which comes from the
 * key's hash, and the last, the kind.
 */
export function shelfIdOf(kind: number, slot: string, crypto: RecordCrypto): PeerId {
  const id = new Uint8Array(16);
  id[0] = crypto.hash128(bytesOf(slot))[0] ?? 0;
  id[15] = kind;
  return peerIdFromBytes(id);
}

export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
