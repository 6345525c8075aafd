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

/** A record with what a store needs of it again and again. Immutable. Strings of bytes have one character a byte. */
export interface SignedRecord {
  /** As received. */
  readonly bytes: Uint8Array;
  /** Who signed. */
  readonly owner: PeerId;
  readonly kind: number;
  /** Kind and key as one byte string: the record's place on its shelf. */
  readonly slot: string;
  readonly version: number;
  readonly isTombstone: boolean;
  /** BLAKE2b-128 of all but the signature, as a byte string: another signature makes no other record. */
  readonly hash: string;
}

/** Turns bytes into records; a simulator remembers what it has read before. */
export type RecordReader = (bytes: Uint8Array) => Result<SignedRecord, 'layout'>;

/** The signature is not checked. `bytes` belong to the record from then on. */
export function recordReader(crypto: RecordCrypto): RecordReader {
  return (bytes) => {
    const fields = decodeRecord(bytes);
    return fields.ok ? ok(describe(fields.value, bytes, crypto)) : fail('layout');
  };
}

/** Signs with this node's identity. @throws RangeError for fields no peer would take. */
export function signRecord(fields: RecordFields, crypto: RecordCrypto): SignedRecord {
  const unsigned = encodeUnsignedRecord(fields);
  const bytes = new Uint8Array(unsigned.length + RECORD_SIGNATURE_BYTES);
  bytes.set(unsigned);
  bytes.set(crypto.sign(unsigned), unsigned.length);
  return describe(fields, bytes, crypto);
}

function describe(fields: RecordFields, bytes: Uint8Array, crypto: RecordCrypto): SignedRecord {
  return {
    bytes,
    owner: crypto.peerIdOf(fields.publicKey),
    kind: fields.kind,
    slot: slotOf(fields.kind, fields.key),
    version: fields.version,
    isTombstone: fields.isTombstone,
    hash: byteString(crypto.hash128(signedPart(bytes))),
  };
}

export function slotOf(kind: number, key: Uint8Array): string {
  return String.fromCharCode(kind) + byteString(key);
}

export function keyOfRecord(record: SignedRecord): Uint8Array {
  return bytesOf(record.slot.slice(1));
}

/** A view: not to be changed. */
export function bodyOfRecord(record: SignedRecord): Uint8Array {
  const start = 48 + record.slot.length - 1;
  return record.bytes.subarray(start, record.bytes.length - RECORD_SIGNATURE_BYTES);
}

/** A view: not to be changed. */
export function publicKeyOfRecord(record: SignedRecord): Uint8Array {
  return record.bytes.subarray(16, 48);
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
