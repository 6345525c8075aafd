import fc from 'fast-check';
import { cidrAround } from '../../../src/model/cidr.js';
import { parsePeerId, type PeerId } from '../../../src/model/peer-id.js';
import { chainAfter, makePoolId, type PoolId, type Title } from '../../../src/ipam/title.js';

export function peer(digit: number): PeerId {
  return parsePeerId(digit.toString(16).padStart(2, '0').repeat(16))!;
}

export function poolId(byte: number): PoolId {
  return makePoolId(new Uint8Array(16).fill(byte));
}

/** A title of 10.0.0.0/26, pool 5, unless told otherwise. */
export function title(fields: Partial<Title> & { offset?: number; bits?: number } = {}): Title {
  const { offset = 0, bits = 26, ...rest } = fields;
  return {
    pool: poolId(5),
    poolBits: 26,
    block: cidrAround({ family: 4, value: 0x0a000000n + BigInt(offset) }, bits),
    epoch: 0,
    holder: peer(1),
    grantor: peer(1),
    witness: undefined,
    chain: [],
    request: 0,
    ...rest,
  };
}

/** Titles of one pool of 64 addresses, few epochs and holders, so that they often contest each other. */
export const anyTitle = fc
  .record({
    offset: fc.nat(63),
    bits: fc.integer({ min: 26, max: 32 }),
    epoch: fc.nat(5),
    holder: fc.integer({ min: 1, max: 4 }).map(peer),
    from: fc.integer({ min: 1, max: 4 }).map(peer),
    request: fc.nat(3),
  })
  .map(({ from, ...rest }) =>
    title({ ...rest, grantor: from, chain: chainAfter([], from, rest.holder) }),
  );
