/*
 * What a measurement sends between two overlay addresses. Nobody is answered, counted or served without the token,
 * which went through the session of the two; nothing is sent to a receiver that does not know the proof.
 *
 *   TCP   sender:   token 16 | kind u8 | for `load`: any bytes until it ends its side
 *         receiver: proof 16 | one JSON object | end
 *
 *   UDP   token 16 | kind u8 | zero 3 | seq u32 little-endian | sent_us f64 little-endian | zeros up to the size
 *         `echo` comes back as it is, `load` is counted
 */

export const SECRET_BYTES = 16;
/** Token and kind. */
export const PREAMBLE_BYTES = SECRET_BYTES + 1;
export const DATAGRAM_HEADER_BYTES = 32;

export const STREAM_KIND = { load: 1, counts: 2, done: 3 } as const;
export type StreamKind = keyof typeof STREAM_KIND;
export const DATAGRAM_KIND = { echo: 1, load: 2 } as const;
export type DatagramKind = keyof typeof DATAGRAM_KIND;

/** UDP payload of echo requests and of load: an inner frame that fits every path. */
export const ECHO_BYTES = 64;
export const LOAD_DATAGRAM_BYTES = 1200;

/** What a receiver saw of a TCP load. */
export interface StreamCounts {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly ms: number;
}

/** What a receiver saw of a UDP load. */
export interface DatagramCounts {
  readonly received: number;
  readonly bytes: number;
  /** Arrived behind one that was sent later. */
  readonly reordered: number;
  readonly ms: number;
}

export function preamble(token: Uint8Array, kind: StreamKind): Uint8Array {
  const out = new Uint8Array(PREAMBLE_BYTES);
  out.set(token);
  out[SECRET_BYTES] = STREAM_KIND[kind];
  return out;
}

export function streamKindOf(code: number | undefined): StreamKind | undefined {
  return (Object.keys(STREAM_KIND) as StreamKind[]).find((kind) => STREAM_KIND[kind] === code);
}

export function datagram(
  token: Uint8Array,
  kind: DatagramKind,
  seq: number,
  sentMs: number,
): Uint8Array {
  const out = new Uint8Array(kind === 'echo' ? ECHO_BYTES : LOAD_DATAGRAM_BYTES);
  out.set(token);
  out[SECRET_BYTES] = DATAGRAM_KIND[kind];
  const view = new DataView(out.buffer);
  view.setUint32(20, seq, true);
  view.setFloat64(24, sentMs, true);
  return out;
}

export interface ReadDatagram {
  readonly kind: DatagramKind;
  readonly seq: number;
  readonly sentMs: number;
}

/** Undefined for what is too short or of no kind; the token is the caller's to compare. */
export function readDatagram(bytes: Uint8Array): ReadDatagram | undefined {
  if (bytes.length < DATAGRAM_HEADER_BYTES) return undefined;
  const code = bytes[SECRET_BYTES];
  const kinds = Object.keys(DATAGRAM_KIND) as DatagramKind[];
  const kind = kinds.find((known) => DATAGRAM_KIND[known] === code);
  if (kind === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { kind, seq: view.getUint32(20, true), sentMs: view.getFloat64(24, true) };
}
