import { fail, ok, type Result } from '../base/result.js';

/*
 * A record (docs/protocol.md §5): what one member says, signed, for everybody. The bytes are stored and forwarded as
 * they came; nobody re-encodes them, so what was signed is what is verified, anywhere.
 *
 *   offset  0        1       2        3            4              6         8            16              48
 *          format 1 | kind | flags | key length | body length u16 | zero u16 | version u64 | public key 32 | key | body | signature 64
 *
 * Flag 1: a tombstone, which has no body. The signature covers everything before it. Kinds from 128 on are shared:
 * they belong to their key and not to who signed them (§5, §9).
 */

export const MAX_RECORD_KEY_BYTES = 64;
export const MAX_RECORD_BODY_BYTES = 900;
export const RECORD_SIGNATURE_BYTES = 64;
export const PUBLIC_KEY_BYTES = 32;
const HEADER_BYTES = 48;
export const MAX_RECORD_BYTES =
  HEADER_BYTES + MAX_RECORD_KEY_BYTES + MAX_RECORD_BODY_BYTES + RECORD_SIGNATURE_BYTES;
/** Below 2⁵³, so that a version is an exact number here. */
export const MAX_RECORD_VERSION = Number.MAX_SAFE_INTEGER;

const FORMAT = 1;
const TOMBSTONE = 1;

export const RECORD_KIND = {
  PEER: 1,
  LINKS: 2,
  NETWORK: 3,
  LOCATION: 4,
  NAME: 5,
  GROUP: 6,
  KEY: 7,
  CONTEST: 8,
  ADDRESS: 9,
  REMOVED: 128,
  TITLE: 129,
} as const;

/** Kinds that belong to their key, whoever signed. */
export function isSharedKind(kind: number): boolean {
  return kind >= 128;
}

export interface RecordFields {
  /** 1 to 255; unknown ones are carried for others. */
  readonly kind: number;
  readonly key: Uint8Array;
  /** 1 to 2⁵³ − 1. */
  readonly version: number;
  readonly isTombstone: boolean;
  readonly body: Uint8Array;
  readonly publicKey: Uint8Array;
}

/**
 * The bytes that are signed; the signature goes behind them.
 * @throws RangeError for what `decodeRecord` would refuse.
 */
export function encodeUnsignedRecord(fields: RecordFields): Uint8Array {
  const { kind, key, version, isTombstone, body, publicKey } = fields;
  if (
    kind < 1 ||
    kind > 255 ||
    key.length > MAX_RECORD_KEY_BYTES ||
    body.length > (isTombstone ? 0 : MAX_RECORD_BODY_BYTES) ||
    publicKey.length !== PUBLIC_KEY_BYTES ||
    !Number.isSafeInteger(version) ||
    version < 1
  ) {
    throw new RangeError('Record has a field that peers would refuse');
  }
  const out = new Uint8Array(HEADER_BYTES + key.length + body.length);
  const view = new DataView(out.buffer);
  out[0] = FORMAT;
  out[1] = kind;
  out[2] = isTombstone ? TOMBSTONE : 0;
  out[3] = key.length;
  view.setUint16(4, body.length, true);
  view.setUint32(8, version >>> 0, true);
  view.setUint32(12, Math.floor(version / 2 ** 32), true);
  out.set(publicKey, 16);
  out.set(key, HEADER_BYTES);
  out.set(body, HEADER_BYTES + key.length);
  return out;
}

/** Checks the layout, not the signature. The fields are views of `bytes`. */
export function decodeRecord(bytes: Uint8Array): Result<RecordFields, 'layout'> {
  if (bytes.length < HEADER_BYTES + RECORD_SIGNATURE_BYTES || bytes.length > MAX_RECORD_BYTES) {
    return fail('layout');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint8(1);
  const flags = view.getUint8(2);
  const keyEnd = HEADER_BYTES + view.getUint8(3);
  const bodyLength = view.getUint16(4, true);
  const version = view.getUint32(12, true) * 2 ** 32 + view.getUint32(8, true);
  const isTombstone = flags === TOMBSTONE;
  if (
    view.getUint8(0) !== FORMAT ||
    kind === 0 ||
    flags > TOMBSTONE ||
    view.getUint16(6, true) !== 0 ||
    keyEnd > HEADER_BYTES + MAX_RECORD_KEY_BYTES ||
    bodyLength > (isTombstone ? 0 : MAX_RECORD_BODY_BYTES) ||
    keyEnd + bodyLength + RECORD_SIGNATURE_BYTES !== bytes.length ||
    version < 1 ||
    version > MAX_RECORD_VERSION
  ) {
    return fail('layout');
  }
  return ok({
    kind,
    version,
    isTombstone,
    publicKey: bytes.subarray(16, HEADER_BYTES),
    key: bytes.subarray(HEADER_BYTES, keyEnd),
    body: bytes.subarray(keyEnd, keyEnd + bodyLength),
  });
}

/** What the signature covers. */
export function signedPart(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length - RECORD_SIGNATURE_BYTES);
}

export function signaturePart(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(bytes.length - RECORD_SIGNATURE_BYTES);
}
