import assert from 'node:assert/strict';

import { Appetite } from '../../../src/link/appetite.js';
import {
  APPETITE_IDLE_MS,
  APPETITE_UNUSED_MS,
  FULL_MESH_AGAIN_PEERS,
  FULL_MESH_PEERS,
  NEIGHBOUR_TRY_MS,
  NEIGHBOURS,
  WANTED_PER_SECOND,
} from '../../../src/link/constants.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { SeededRng } from '../../sim/seeded-rng.js';

const NO_FRAMES = () => -1;

function ids(count: number, seed = 1): PeerId[] {
  const rng = new SeededRng(seed);
  return Array.from({ length: count }, () => Buffer.from(rng.bytes(16)).toString('hex') as PeerId);
}

function appetiteFor(peers: readonly PeerId[], secret = 7): Appetite {
  const appetite = new Appetite({ secret });
  for (const peer of peers) appetite.onMember(peer);
  return appetite;
}

describe('appetite', () => {
  it('wants everybody up to 64 peers, and eight neighbours beyond', () => {
    const peers = ids(FULL_MESH_PEERS + 1);
    const appetite = appetiteFor(peers.slice(0, -1));
    assert.ok(!appetite.isSparse && peers.every((peer) => appetite.isWanted(peer)));
    appetite.onMember(peers.at(-1)!);
    const { wanted, listed } = appetite.step(0, NO_FRAMES);
    assert.ok(appetite.isSparse);
    assert.equal(wanted.length, NEIGHBOURS);
    assert.deepEqual(new Set(listed), new Set(peers));
    assert.deepEqual(peers.filter((peer) => appetite.isWanted(peer)).sort(), [...wanted].sort());
  });

  it('goes back to everybody only when the mesh is clearly smaller', () => {
    const peers = ids(FULL_MESH_PEERS + 1);
    const appetite = appetiteFor(peers);
    appetite.step(0, NO_FRAMES);
    for (const peer of peers.slice(FULL_MESH_AGAIN_PEERS + 1)) appetite.onMemberGone(peer);
    assert.ok(appetite.isSparse);
    appetite.onMemberGone(peers[0]!);
    assert.ok(!appetite.isSparse);
    assert.equal(appetite.step(1, NO_FRAMES).wanted.length, FULL_MESH_AGAIN_PEERS);
  });

  it('makes one connected graph of few steps, in which nobody is chosen by very many', () => {
    for (const count of [70, 400]) {
      const peers = ids(count, count);
      const edges = new Map(peers.map((peer) => [peer, new Set<PeerId>()]));
      peers.forEach((self, at) => {
        const appetite = appetiteFor(
          peers.filter((peer) => peer !== self),
          Math.imul(at + 1, 0x9e3779b1),
        );
        for (const peer of appetite.step(0, NO_FRAMES).wanted) {
          edges.get(self)!.add(peer);
          edges.get(peer)!.add(self);
        }
      });
      const degrees = [...edges.values()].map((links) => links.size);
      assert.ok(Math.max(...degrees) <= 32, `${count}: ${Math.max(...degrees)} links`);
      assert.ok(stepsFrom(peers[0]!, edges) <= 5, `${count}: ${stepsFrom(peers[0]!, edges)} steps`);
    }
  });

  it('changes few choices when a member comes', () => {
    const [late, ...peers] = ids(500);
    const appetite = appetiteFor(peers);
    const before = new Set(appetite.step(0, NO_FRAMES).wanted);
    appetite.onMember(late!);
    appetite.step(1, NO_FRAMES);
    assert.ok(appetite.neighbours.filter((peer) => !before.has(peer)).length <= 1);
  });

  it('passes over a neighbour that does not answer, tries it on, and takes it back', () => {
    const peers = ids(100);
    const appetite = appetiteFor(peers);
    const [silent, ...others] = appetite.step(0, NO_FRAMES).wanted;
    appetite.onReachable(others, 100);
    appetite.step(100, NO_FRAMES);
    const { wanted } = appetite.step(NEIGHBOUR_TRY_MS, NO_FRAMES);
    assert.equal(wanted.length, 1);
    assert.ok(!appetite.neighbours.includes(silent!) && appetite.isWanted(silent!));
    appetite.onReachable([...others, ...wanted, silent!], NEIGHBOUR_TRY_MS + 1);
    appetite.step(NEIGHBOUR_TRY_MS + 1, NO_FRAMES);
    assert.ok(appetite.neighbours.includes(silent!) && !appetite.isWanted(wanted[0]!));
  });

  it('wants whom a frame was for, until none came for a while', () => {
    const peers = ids(100);
    const appetite = appetiteFor(peers);
    const neighbours = appetite.step(0, NO_FRAMES).wanted;
    const other = peers.find((peer) => !neighbours.includes(peer))!;
    appetite.use(other, 1000);
    assert.deepEqual(appetite.step(1000, NO_FRAMES).wanted, [other]);
    appetite.onReachable([...neighbours, other], 1100);
    appetite.step(1000 + APPETITE_IDLE_MS, () => 1000);
    assert.ok(appetite.isWanted(other), 'a frame went a second ago');
    appetite.step(1000 + 2 * APPETITE_IDLE_MS, () => APPETITE_IDLE_MS + 1000);
    assert.ok(!appetite.isWanted(other));
    assert.ok(appetite.isIdle(other, APPETITE_IDLE_MS, APPETITE_UNUSED_MS));
    assert.ok(!appetite.isIdle(other, APPETITE_IDLE_MS - 1, APPETITE_UNUSED_MS));
  });

  it('dials for a flood a few peers a second', () => {
    const peers = ids(1000);
    const appetite = appetiteFor(peers);
    appetite.step(0, NO_FRAMES);
    appetite.useAll(10_000);
    assert.equal(appetite.step(10_000, NO_FRAMES).wanted.length, WANTED_PER_SECOND);
    assert.equal(appetite.step(11_000, NO_FRAMES).wanted.length, WANTED_PER_SECOND);
    assert.ok(appetite.nextDeadlineMs > 11_000);
  });

  it('asks for the contacts again when nobody is left', () => {
    const peers = ids(100);
    const appetite = appetiteFor(peers);
    assert.ok(appetite.step(0, NO_FRAMES).isStarving);
    appetite.onReachable([peers[0]!], 1);
    assert.ok(!appetite.step(20_000, NO_FRAMES).isStarving);
  });

  it('tells who is gone', () => {
    const peers = ids(100);
    const appetite = appetiteFor(peers);
    appetite.step(0, NO_FRAMES);
    appetite.onMemberGone(peers[5]!);
    assert.deepEqual(appetite.step(1, NO_FRAMES).gone, [peers[5]]);
  });
});

function stepsFrom(start: PeerId, edges: ReadonlyMap<PeerId, ReadonlySet<PeerId>>): number {
  const seen = new Set([start]);
  let front = [start];
  let steps = 0;
  while (front.length > 0) {
    front = front.flatMap((peer) => [...edges.get(peer)!].filter((next) => !seen.has(next)));
    front = [...new Set(front)];
    for (const peer of front) seen.add(peer);
    if (front.length > 0) steps += 1;
  }
  return seen.size === edges.size ? steps : Infinity;
}
