import assert from 'node:assert/strict';

import { toHex } from '../../../src/base/bytes.js';
import { hasLivedIn } from '../../../src/daemon/known-pool.js';
import { encodeTitle, makePoolId } from '../../../src/ipam/title.js';
import { parseCidr } from '../../../src/model/cidr.js';
import { peerIdFromBytes } from '../../../src/model/peer-id.js';

const ID = peerIdFromBytes(new Uint8Array(16).fill(7));

function cell(range: string): readonly [string, string] {
  const block = parseCidr(range)!;
  const title = {
    ...{ pool: makePoolId(new Uint8Array(16)), poolBits: block.bits, block, epoch: 0 },
    ...{ holder: ID, grantor: ID, witness: undefined, chain: [], request: 0 },
  };
  return ['t/x', toHex(encodeTitle(title))];
}

function state(
  ownAddress: string | undefined,
  ...cells: (readonly [string, string])[]
): Parameters<typeof hasLivedIn>[0] {
  return { ownAddress: () => ownAddress, ipamCells: () => cells };
}

describe('a pool that a node has lived in', () => {
  it('is one that its own address lies in, or that it knows titles of', () => {
    const pool = '10.32.0.0/12';
    assert.equal(hasLivedIn(state('10.47.1.2/12'), pool), true);
    assert.equal(hasLivedIn(state(undefined, cell('10.32.0.0/12')), pool), true);
  });

  it('is no other one, and none for a new node', () => {
    const pool = '10.32.0.0/12';
    assert.equal(hasLivedIn(state(undefined), pool), false);
    assert.equal(hasLivedIn(state('10.64.1.2/12', cell('10.64.0.0/12')), pool), false);
    assert.equal(hasLivedIn(state(undefined, ['a/40a200001', 'uweb'], ['t/x', 'ff']), pool), false);
  });
});
