import { fail, ok, type Result } from '../base/result.js';
import { readPlainName, skipName } from './name.js';

/*
 *   0      2       4         6         8         10        12
 *   ├ id ──┼ flags ┼ QDCOUNT ┼ ANCOUNT ┼ NSCOUNT ┼ ARCOUNT ┼ question ──────────────┬ additional: OPT
 *                                                          └ name · type u16 · class u16
 *   flags: QR 1 · opcode 4 · AA · TC · RD · RA · Z · AD · CD · rcode 4
 *   OPT:   00 · 41 u16 · payload size u16 · extended rcode u8 · version u8 · DO 1, zero 15 · length u16 · options
 *
 * Our own reader and not the library's: a query is a stranger's, each is read once, and no pointer is ever followed.
 */

export const HEADER_BYTES = 12;

export const FLAG = {
  qr: 0x8000,
  aa: 0x0400,
  tc: 0x0200,
  rd: 0x0100,
  ra: 0x0080,
  cd: 0x0010,
} as const;
export const OPCODE_MASK = 0x7800;
export const RCODE_MASK = 0x000f;

export const RCODE = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  /** Extended: 1 in the OPT record, 0 in the header (RFC 6891 §6.1.3). */
  badVers: 16,
} as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

export const TYPE = {
  a: 1,
  soa: 6,
  ptr: 12,
  aaaa: 28,
  opt: 41,
  ixfr: 251,
  mailA: 254,
  any: 255,
} as const;
export const CLASS_IN = 1;

const MAX_ADDITIONALS = 8;

export interface Edns {
  /** The largest UDP answer the client takes, as it says. */
  readonly payloadBytes: number;
  readonly version: number;
  readonly isDnssecOk: boolean;
}

export interface Query {
  /** Canonical text (name.ts). */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Offset after the question. */
  readonly questionEnd: number;
  readonly edns: Edns | undefined;
}

/** Reads the question and the OPT record of a query whose header says that it is one. */
export function readQuery(bytes: Uint8Array): Result<Query, 'malformed'> {
  if (bytes.length < HEADER_BYTES || u16(bytes, 4) !== 1) return fail('malformed');
  if (u16(bytes, 6) !== 0 || u16(bytes, 8) !== 0) return fail('malformed');
  const question = readPlainName(bytes, HEADER_BYTES);
  if (question === undefined || question.end + 4 > bytes.length) return fail('malformed');
  const questionEnd = question.end + 4;
  const edns = readEdns(bytes, questionEnd);
  if (!edns.ok) return edns;
  return ok({
    name: question.name,
    type: u16(bytes, question.end),
    class: u16(bytes, question.end + 2),
    questionEnd,
    edns: edns.value,
  });
}

/** Walks the additional records, which must end where the message does. */
function readEdns(bytes: Uint8Array, start: number): Result<Edns | undefined, 'malformed'> {
  let edns: Edns | undefined;
  let offset = start;
  const count = u16(bytes, 10);
  if (count > MAX_ADDITIONALS) return fail('malformed');
  for (let i = 0; i < count; i += 1) {
    const ownerEnd = skipName(bytes, offset);
    if (ownerEnd === undefined || ownerEnd + 10 > bytes.length) return fail('malformed');
    const end = ownerEnd + 10 + u16(bytes, ownerEnd + 8);
    if (end > bytes.length) return fail('malformed');
    if (u16(bytes, ownerEnd) === TYPE.opt) {
      const isAtRoot = ownerEnd === offset + 1;
      if (edns !== undefined || !isAtRoot) return fail('malformed');
      edns = {
        payloadBytes: u16(bytes, ownerEnd + 2),
        version: bytes[ownerEnd + 5] ?? 0,
        isDnssecOk: (u16(bytes, ownerEnd + 6) & 0x8000) !== 0,
      };
    }
    offset = end;
  }
  return offset === bytes.length ? ok(edns) : fail('malformed');
}

/** Big-endian; bytes beyond the end read as zero. */
export function u16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

export function setU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value & 0xff;
}
