import assert from 'node:assert/strict';

import { MAX_TREE_PEERS } from '../../../src/ethernet/constants.js';
import { FloodTree } from '../../../src/ethernet/flood-tree.js';
import { idOf } from './fixtures.js';

const SELF = idOf(200);
const LIMIT = 16;

describe('the tree of floods', () => {
  let tree: FloodTree;
  beforeEach(() => {
    tree = new FloodTree({ selfId: SELF, limit: LIMIT });
  });

  const grow = (from: number, to: number): void => {
    for (let at = from; at < to; at++) tree.setMember(idOf(at), true);
  };
  const peers = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ id: idOf(at), slot: 100 - at }));

  it('is there when there are more members than copies, and does not come and go with each', () => {
    grow(0, LIMIT / 2);
    assert.deepEqual(tree.update(peers(3), new Set()), []);
    grow(LIMIT / 2, LIMIT);
    const taking = { kind: 'treeSet', origin: undefined, peers: [98, 99, 100] };
    assert.deepEqual(tree.update(peers(3), new Set()), [taking], 'others may have one already');
    grow(LIMIT, LIMIT + 1);
    const on = { kind: 'treeSet', origin: SELF, peers: [98, 99, 100] };
    assert.deepEqual(tree.update(peers(3), new Set()), [on]);
    assert.deepEqual(tree.update(peers(3), new Set()), []);
    tree.setMember(idOf(0), false);
    tree.setMember(idOf(1), false);
    assert.deepEqual(tree.update(peers(2), new Set()), [{ ...on, peers: [99, 100] }]);
    tree.setMember(idOf(2), false);
    assert.deepEqual(tree.update(peers(2), new Set()), [{ ...taking, peers: [99, 100] }]);
    for (let at = 3; at < LIMIT - 6; at++) tree.setMember(idOf(at), false);
    assert.deepEqual(tree.update(peers(2), new Set()), []);
    for (let at = LIMIT - 6; at < LIMIT; at++) tree.setMember(idOf(at), false);
    assert.deepEqual(tree.update(peers(2), new Set()), [{ ...taking, peers: [] }]);
  });

  it('has a bounded number of neighbours, those of our own choice among them', () => {
    grow(0, 60);
    const chosen = new Set([58, 59].map(idOf));
    const [entry] = tree.update(peers(60), chosen);
    assert.ok(entry?.kind === 'treeSet');
    assert.equal(entry.peers.length, MAX_TREE_PEERS);
    assert.ok(entry.peers.includes(100 - 58) && entry.peers.includes(100 - 59));
  });
});
