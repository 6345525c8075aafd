import { fail, ok, type Result } from '../base/result.js';

/*
 * The five datagrams of strangers, fixed layouts, little-endian (docs/protocol.md §1). Only framing is judged here:
 * size, type, indexes and the bytes that must be zero. What the fields mean is crypto/handshake.ts's business.
 * Native's gate reads the same offsets.
 *
 *         0    1       2     4            8             12        16      24     40    48    72      76    77    472     496
 *  INIT   type version flags sender_index meshid 16 ............. ....... sid 16 Y 32 .......suites  slot  zeros resume24 cookie16
 *  RESP   type version flags sender_index receiver_index suite    Y 32 ............... confirm 32, at 80 sealed 192, at 272 zeros
 *  FIN    type version flags sender_index receiver_index confirm 32, at 44 sealed 192, at 236 zeros            (all three: 512)
 *  RETRY  type version zero2 receiver_index cookie 16, zeros                                                    (64)
 *  REJECT type version zero2 receiver_index sid 16, at 24 reason u8, zeros                                      (64)
 */

export const PROTOCOL_VERSION = 1;

export const INIT_TYPE = 0x01;
export const RESP_TYPE = 0x02;
export const FIN_TYPE = 0x03;
export const RETRY_TYPE = 0x04;
export const REJECT_TYPE = 0x05;

/** INIT, RESP and FIN are equally long: nothing amplifies, each exchange proves a path for this size. */
export const HANDSHAKE_BYTES = 512;
/** RETRY and REJECT. */
export const HINT_BYTES = 64;

export const SID_BYTES = 16;
export const ELEMENT_BYTES = 32;
export const CONFIRM_BYTES = 32;
/** Payload of 176 and the tag. */
export const SEALED_BYTES = 192;
export const MESH_ID_BYTES = 16;

const INIT_Y = 40;
const INIT_AFTER_Y = INIT_Y + ELEMENT_BYTES;
const INIT_ZEROS = 77;
const INIT_RESUME = 472;
const INIT_COOKIE = 496;
const RESP_Y = 16;
const RESP_CONFIRM = 48;
const RESP_SEALED = 80;
const FIN_CONFIRM = 12;
const FIN_SEALED = 44;

/** REJECT's reasons; others are kept as their number. */
export const REJECT_OTHER_MESH = 1;

export interface Init {
  readonly version: number;
  readonly flags: number;
  readonly senderIndex: number;
  readonly meshId: Uint8Array;
  readonly sid: Uint8Array;
  readonly y: Uint8Array;
  /** Bit set of the offered suites. */
  readonly suites: number;
  readonly slot: number;
  /** hint 8 || BLAKE2b-128; all zero: none. */
  readonly resume: Uint8Array;
  /** All zero: none. */
  readonly cookie: Uint8Array;
}

export interface RespHeader {
  readonly version: number;
  readonly flags: number;
  readonly senderIndex: number;
  readonly receiverIndex: number;
  readonly suite: number;
}

export interface Resp extends RespHeader {
  readonly y: Uint8Array;
  readonly confirm: Uint8Array;
  readonly sealed: Uint8Array;
}

export interface FinHeader {
  readonly version: number;
  readonly flags: number;
  readonly senderIndex: number;
  readonly receiverIndex: number;
}

export interface Fin extends FinHeader {
  readonly confirm: Uint8Array;
  readonly sealed: Uint8Array;
}

export interface Retry {
  readonly receiverIndex: number;
  readonly cookie: Uint8Array;
}

export interface Reject {
  readonly receiverIndex: number;
  readonly sid: Uint8Array;
  readonly reason: number;
}

/** INIT with the last two fields zero; `withResume` and `withCookie` fill them. */
export function encodeInit(init: Omit<Init, 'resume' | 'cookie'>): Uint8Array {
  const out = header(INIT_TYPE, HANDSHAKE_BYTES, init);
  out.set(init.meshId, 8);
  out.set(init.sid, 24);
  out.set(init.y, INIT_Y);
  view(out).setUint32(72, init.suites, true);
  out[76] = init.slot;
  return out;
}

/** A copy with the cookie of a RETRY; the rest, which the transcript covers, stays as it was. */
export function withCookie(init: Uint8Array, cookie: Uint8Array): Uint8Array {
  const out = init.slice();
  out.set(cookie, INIT_COOKIE);
  return out;
}

/** A copy with the resumption field. */
export function withResume(init: Uint8Array, resume: Uint8Array): Uint8Array {
  const out = init.slice();
  out.set(resume, INIT_RESUME);
  return out;
}

/** INIT without resume and cookie: what the transcript and the resumption MAC cover. Borrowed. */
export function initTranscript(init: Uint8Array): Uint8Array {
  return init.subarray(0, INIT_RESUME);
}

/** INIT without Y, resume and cookie, as CPace's associated data: the part before Y, the part behind it. Borrowed. */
export function initAroundY(init: Uint8Array): readonly [Uint8Array, Uint8Array] {
  return [init.subarray(0, INIT_Y), init.subarray(INIT_AFTER_Y, INIT_RESUME)];
}

export function parseInit(bytes: Uint8Array): Result<Init, 'malformed'> {
  if (!isFramed(bytes, INIT_TYPE, HANDSHAKE_BYTES)) return fail('malformed');
  const fields = view(bytes);
  const version = fields.getUint8(1);
  const senderIndex = fields.getUint32(4, true);
  if (senderIndex === 0) return fail('malformed');
  // A later version keeps our fields and may use what is zero here; the transcript covers it all the same.
  if (version <= PROTOCOL_VERSION && !isZero(bytes.subarray(INIT_ZEROS, INIT_RESUME))) {
    return fail('malformed');
  }
  return ok({
    version,
    flags: fields.getUint16(2, true),
    senderIndex,
    meshId: bytes.slice(8, 24),
    sid: bytes.slice(24, INIT_Y),
    y: bytes.slice(INIT_Y, INIT_AFTER_Y),
    suites: fields.getUint32(72, true),
    slot: fields.getUint8(76),
    resume: bytes.slice(INIT_RESUME, INIT_COOKIE),
    cookie: bytes.slice(INIT_COOKIE),
  });
}

/** RESP up to and without Y: CPace's associated data of the responder. */
export function encodeRespHeader(resp: RespHeader): Uint8Array {
  const out = header(RESP_TYPE, RESP_Y, resp);
  view(out).setUint32(8, resp.receiverIndex, true);
  view(out).setUint32(12, resp.suite, true);
  return out;
}

/** `head` is what `encodeRespHeader` made: the transcript already covers those bytes. */
export function encodeResp(
  head: Uint8Array,
  rest: Pick<Resp, 'y' | 'confirm' | 'sealed'>,
): Uint8Array {
  const out = new Uint8Array(HANDSHAKE_BYTES);
  out.set(head);
  out.set(rest.y, RESP_Y);
  out.set(rest.confirm, RESP_CONFIRM);
  out.set(rest.sealed, RESP_SEALED);
  return out;
}

/** RESP up to and without Y. Borrowed. */
export function respBeforeY(resp: Uint8Array): Uint8Array {
  return resp.subarray(0, RESP_Y);
}

/** Y of a RESP of which at least RESP up to and with Y is there. Borrowed. */
export function respY(resp: Uint8Array): Uint8Array {
  return resp.subarray(RESP_Y, RESP_CONFIRM);
}

/** RESP up to and with Y. Borrowed. */
export function respThroughY(resp: Uint8Array): Uint8Array {
  return resp.subarray(0, RESP_CONFIRM);
}

/** Of RESP and FIN, before anything else of them is looked at; 0: too short. */
export function receiverIndexOf(bytes: Uint8Array): number {
  return bytes.length < 12 ? 0 : view(bytes).getUint32(8, true);
}

export function parseResp(bytes: Uint8Array): Result<Resp, 'malformed'> {
  if (!isFramed(bytes, RESP_TYPE, HANDSHAKE_BYTES)) return fail('malformed');
  const fields = view(bytes);
  const senderIndex = fields.getUint32(4, true);
  const receiverIndex = fields.getUint32(8, true);
  if (senderIndex === 0 || receiverIndex === 0) return fail('malformed');
  if (!isZero(bytes.subarray(RESP_SEALED + SEALED_BYTES))) return fail('malformed');
  return ok({
    version: fields.getUint8(1),
    flags: fields.getUint16(2, true),
    senderIndex,
    receiverIndex,
    suite: fields.getUint32(12, true),
    y: bytes.slice(RESP_Y, RESP_CONFIRM),
    confirm: bytes.slice(RESP_CONFIRM, RESP_SEALED),
    sealed: bytes.slice(RESP_SEALED, RESP_SEALED + SEALED_BYTES),
  });
}

/** FIN[0..12), which th2 covers. */
export function encodeFinHeader(fin: FinHeader): Uint8Array {
  const out = header(FIN_TYPE, FIN_CONFIRM, fin);
  view(out).setUint32(8, fin.receiverIndex, true);
  return out;
}

/** `head` is what `encodeFinHeader` made. */
export function encodeFin(head: Uint8Array, rest: Pick<Fin, 'confirm' | 'sealed'>): Uint8Array {
  const out = new Uint8Array(HANDSHAKE_BYTES);
  out.set(head);
  out.set(rest.confirm, FIN_CONFIRM);
  out.set(rest.sealed, FIN_SEALED);
  return out;
}

/** FIN[0..12). Borrowed. */
export function finHeader(fin: Uint8Array): Uint8Array {
  return fin.subarray(0, FIN_CONFIRM);
}

export function parseFin(bytes: Uint8Array): Result<Fin, 'malformed'> {
  if (!isFramed(bytes, FIN_TYPE, HANDSHAKE_BYTES)) return fail('malformed');
  const fields = view(bytes);
  const senderIndex = fields.getUint32(4, true);
  const receiverIndex = fields.getUint32(8, true);
  if (senderIndex === 0 || receiverIndex === 0) return fail('malformed');
  if (!isZero(bytes.subarray(FIN_SEALED + SEALED_BYTES))) return fail('malformed');
  return ok({
    version: fields.getUint8(1),
    flags: fields.getUint16(2, true),
    senderIndex,
    receiverIndex,
    confirm: bytes.slice(FIN_CONFIRM, FIN_SEALED),
    sealed: bytes.slice(FIN_SEALED, FIN_SEALED + SEALED_BYTES),
  });
}

/** RETRY is sent by native; this is for the simulator's gate. */
export function encodeRetry(retry: Retry): Uint8Array {
  const out = header(RETRY_TYPE, HINT_BYTES, hintHeader(retry.receiverIndex));
  out.set(retry.cookie, 8);
  return out;
}

export function parseRetry(bytes: Uint8Array): Result<Retry, 'malformed'> {
  if (!isHint(bytes, RETRY_TYPE) || !isZero(bytes.subarray(24))) return fail('malformed');
  return ok({ receiverIndex: view(bytes).getUint32(4, true), cookie: bytes.slice(8, 24) });
}

/** REJECT is sent by native; this is for the simulator's gate. */
export function encodeReject(reject: Reject): Uint8Array {
  const out = header(REJECT_TYPE, HINT_BYTES, hintHeader(reject.receiverIndex));
  out.set(reject.sid, 8);
  out[24] = reject.reason;
  return out;
}

/** Unauthenticated: whoever saw the INIT can write one, so it is worth a log line saying "probably". */
export function parseReject(bytes: Uint8Array): Result<Reject, 'malformed'> {
  if (!isHint(bytes, REJECT_TYPE) || !isZero(bytes.subarray(25))) return fail('malformed');
  const fields = view(bytes);
  return ok({
    receiverIndex: fields.getUint32(4, true),
    sid: bytes.slice(8, 24),
    reason: fields.getUint8(24),
  });
}

function header(
  type: number,
  size: number,
  fields: { version: number; flags: number; senderIndex: number },
): Uint8Array {
  const out = new Uint8Array(size);
  out[0] = type;
  out[1] = fields.version;
  view(out).setUint16(2, fields.flags, true);
  view(out).setUint32(4, fields.senderIndex, true);
  return out;
}

/** A hint's only index stands where the others have sender_index. */
function hintHeader(receiverIndex: number) {
  return { version: PROTOCOL_VERSION, flags: 0, senderIndex: receiverIndex };
}

function isHint(bytes: Uint8Array, type: number): boolean {
  return (
    isFramed(bytes, type, HINT_BYTES) &&
    isZero(bytes.subarray(2, 4)) &&
    !isZero(bytes.subarray(4, 8))
  );
}

function isFramed(bytes: Uint8Array, type: number, size: number): boolean {
  return bytes.length === size && bytes[0] === type;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
