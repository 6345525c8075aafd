import { utf8Bytes } from '../base/bytes.js';
import { fail, ok, type Result } from '../base/result.js';
import {
  addressBytes,
  addressFromBytes,
  cidrAround,
  formatCidr,
  parseCidr,
  widthOf,
} from '../model/cidr.js';
import {
  MAX_MTU_BYTES,
  MAX_NETWORK_NAME_BYTES,
  MAX_SUBNETS,
  MIN_MTU_BYTES,
  parseNetworkName,
} from '../model/network.js';
import type { BodyRefusal } from './fields.js';

/*
 * What a node says of a network (docs/protocol.md §5), its one record of kind network for each; the key is the
 * network's id (group-record.ts). Little-endian:
 *
 *   0         1             2         4             10            16             17
 *   flags u8  subnets ≤ 8   mtu u16   created u48   removed u48   name length    name in UTF-8, then the subnets:
 *                                                                                family u8 · prefix length u8 · address 4 or 16
 *
 * Flag 1: it is in use on this node, whose peers send it the network's floods. Flag 2: there is no such network as far as
 * this node is concerned. Definitions of it created at `removed` or earlier are removed, whoever says them. Unknown flags
 * mean nothing; longer bodies are accepted, later versions append.
 */

export interface NetworkStatement {
  readonly name: string;
  readonly subnets: readonly string[];
  readonly mtuBytes: number;
  readonly createdMs: number;
  /** Definitions as old as this do not count; 0: all do. */
  readonly removedMs: number;
  readonly isUsed: boolean;
  /** It defines nothing: it only says that there was something. */
  readonly isRemoved: boolean;
}

const USED = 1;
const REMOVED = 2;
const HEADER_BYTES = 17;
const MAX_BODY_BYTES = 512;
/** Of u48. */
export const MAX_CREATED_MS = 2 ** 48 - 1;

export function encodeNetworkRecord(statement: NetworkStatement): Uint8Array {
  const { name, subnets, mtuBytes, createdMs, removedMs, isUsed, isRemoved } = statement;
  const nameBytes = utf8Bytes(name);
  const ranges = subnets.flatMap((text) => parseCidr(text) ?? []);
  const out = new Uint8Array(
    ranges.reduce(
      (sum, { family }) => sum + 2 + widthOf(family) / 8,
      HEADER_BYTES + nameBytes.length,
    ),
  );
  const view = new DataView(out.buffer);
  out[0] = (isUsed ? USED : 0) | (isRemoved ? REMOVED : 0);
  out[1] = ranges.length;
  view.setUint16(2, mtuBytes, true);
  for (const [at, timeMs] of [
    [4, createdMs],
    [10, removedMs],
  ] as const) {
    view.setUint32(at, timeMs % 2 ** 32, true);
    view.setUint16(at + 4, Math.floor(timeMs / 2 ** 32), true);
  }
  out[16] = nameBytes.length;
  out.set(nameBytes, HEADER_BYTES);
  let at = HEADER_BYTES + nameBytes.length;
  for (const { family, first, bits } of ranges) {
    const address = addressBytes({ family, value: first });
    out.set([family, bits, ...address], at);
    at += 2 + address.length;
  }
  return out;
}

export function decodeNetworkRecord(body: Uint8Array): Result<NetworkStatement, BodyRefusal> {
  if (body.length < HEADER_BYTES || body.length > MAX_BODY_BYTES) return fail('fields');
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [flags, count, length] = [view.getUint8(0), view.getUint8(1), view.getUint8(16)];
  const mtuBytes = view.getUint16(2, true);
  const name = readName(body.subarray(HEADER_BYTES, HEADER_BYTES + length));
  if (name === undefined || length > MAX_NETWORK_NAME_BYTES || count > MAX_SUBNETS) {
    return fail('fields');
  }
  if (mtuBytes < MIN_MTU_BYTES || mtuBytes > MAX_MTU_BYTES) return fail('fields');
  const subnets = readSubnets(body.subarray(HEADER_BYTES + length), count);
  if (subnets === undefined) return fail('fields');
  const timeAt = (at: number): number =>
    view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
  return ok({
    ...{ name, subnets, mtuBytes, createdMs: timeAt(4), removedMs: timeAt(10) },
    isUsed: (flags & USED) !== 0,
    isRemoved: (flags & REMOVED) !== 0,
  });
}

/** Within what the record can say. */
export function clampCreatedMs(wallMs: number): number {
  return Math.min(Math.max(0, Math.floor(wallMs)), MAX_CREATED_MS);
}

function readName(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return parseNetworkName(text) === text ? text : undefined;
  } catch {
    return undefined;
  }
}

function readSubnets(bytes: Uint8Array, count: number): readonly string[] | undefined {
  const subnets: string[] = [];
  let at = 0;
  while (subnets.length < count) {
    const [family, bits = 0] = bytes.subarray(at, at + 2);
    if (family !== 4 && family !== 6) return undefined;
    const end = at + 2 + widthOf(family) / 8;
    if (end > bytes.length || bits > widthOf(family)) return undefined;
    const value = addressFromBytes(bytes.subarray(at + 2, end));
    const range = cidrAround({ family, value }, bits);
    if (range.first !== value) return undefined;
    subnets.push(formatCidr(range));
    at = end;
  }
  return new Set(subnets).size === count ? subnets : undefined;
}
