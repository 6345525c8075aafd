import {
  cidrAround,
  cidrsOfRange,
  lastOfCidr,
  sizeOfCidr,
  widthOf,
  type Cidr,
  type Family,
} from '../model/cidr.js';
import { peerIdBytes, type PeerId } from '../model/peer-id.js';
import { BASE_BLOCK_MAX_BITS, BASE_BLOCK_MIN_BITS, BASE_PARTS_BITS } from './constants.js';

/*
 * Arithmetic on ranges of addresses: which of them may be handed out, and which free block fits.
 *
 *   pool   │ network address │ ………… handed out, granted ………… │ last 1/16: the nodes' own, never granted │
 */

/** Both ends included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** What of a pool is handed out. Undefined: nothing, it is too small. */
export function usableRange(pool: Cidr): Range | undefined {
  const size = sizeOfCidr(pool);
  const range = { first: pool.first + 1n, last: pool.first + size - size / 16n - 1n };
  // Without room for a 1/16 there is the broadcast address to be left out.
  const last = size < 16n ? range.last - 1n : range.last;
  return last < range.first ? undefined : { first: range.first, last };
}

/** Blocks may be granted from here: the network address goes along, nobody hands it out. */
export function grantableRange(pool: Cidr): Range {
  return { first: pool.first, last: lastOfCidr(pool) - sizeOfCidr(pool) / 16n };
}

/** Of a subnet: without its first and last address. */
export function hostsOf(subnet: Cidr): Range | undefined {
  const [first, last] = [subnet.first + 1n, lastOfCidr(subnet) - 1n];
  return last < first ? undefined : { first, last };
}

export function intersect(a: Range, b: Range): Range | undefined {
  const first = a.first > b.first ? a.first : b.first;
  const last = a.last < b.last ? a.last : b.last;
  return last < first ? undefined : { first, last };
}

/** What is left of ranges after others are cut out. */
export function subtract(ranges: readonly Range[], holes: readonly Range[]): readonly Range[] {
  return holes.reduce<readonly Range[]>(
    (left, hole) =>
      left.flatMap((range) => {
        if (hole.last < range.first || hole.first > range.last) return [range];
        const out: Range[] = [];
        if (hole.first > range.first) out.push({ first: range.first, last: hole.first - 1n });
        if (hole.last < range.last) out.push({ first: hole.last + 1n, last: range.last });
        return out;
      }),
    ranges,
  );
}

/** Runs of a range between addresses that are taken, which are given in ascending order. */
export function freeRuns(range: Range, taken: readonly bigint[]): readonly Range[] {
  const runs: Range[] = [];
  let at = range.first;
  for (const value of taken) {
    if (value < range.first || value > range.last) continue;
    if (value > at) runs.push({ first: at, last: value - 1n });
    at = value + 1n;
  }
  if (at <= range.last) runs.push({ first: at, last: range.last });
  return runs;
}

/** The smallest free block that is at least as large as wanted, cut to size; else the largest there is. */
export function bestBlock(
  family: Family,
  runs: readonly Range[],
  wantedBits: number,
): Cidr | undefined {
  const blocks = runs.flatMap((run) => cidrsOfRange(family, run.first, run.last));
  const fitting = blocks.filter(({ bits }) => bits <= wantedBits);
  if (fitting.length > 0) {
    const best = fitting.reduce((a, b) => (b.bits > a.bits ? b : a));
    return cidrAround({ family, value: best.first }, wantedBits);
  }
  const [head] = blocks;
  return head && blocks.reduce((a, b) => (b.bits < a.bits ? b : a), head);
}

/** Prefix length of a first grant out of a pool. */
export function baseBits(pool: Cidr): number {
  const width = widthOf(pool.family);
  const sizeBits = width - pool.bits - BASE_PARTS_BITS;
  return width - Math.min(Math.max(sizeBits, BASE_BLOCK_MIN_BITS), BASE_BLOCK_MAX_BITS);
}

/** Where a node begins to hand out: far from others, so that meshes grown apart seldom clash. */
export function startOf(self: PeerId, pool: Cidr, range: Range): bigint {
  const bytes = peerIdBytes(self);
  const draw = bytes.subarray(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const value = range.first + (draw % (range.last - range.first + 1n));
  const block = cidrAround({ family: pool.family, value }, baseBits(pool));
  return block.first > range.first ? block.first : range.first;
}
