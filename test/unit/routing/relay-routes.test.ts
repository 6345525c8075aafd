import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';
import { relayRoutes } from '../../../src/routing/relay-routes.js';
import { costStep, stepCostMs, Topology } from '../../../src/routing/topology.js';

const id = (number: number): PeerId => peerIdFromBytes(new Uint8Array(16).fill(number));
const [A, B, C, D, E] = [1, 2, 3, 4, 5].map(id) as [PeerId, PeerId, PeerId, PeerId, PeerId];
const OPTIONS = { maxRelays: 3, count: 4 };

/** Each link listed by both ends, at a cost in ms. */
function topologyOf(...links: (readonly [PeerId, PeerId, number])[]): Topology {
  const lists = new Map<PeerId, Map<PeerId, number>>();
  for (const [a, b, costMs] of links) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      lists.set(from, (lists.get(from) ?? new Map<PeerId, number>()).set(to, costStep(costMs)));
    }
  }
  const topology = new Topology();
  for (const [owner, list] of lists) topology.setLinks(owner, list);
  return topology;
}

describe('relay routes', () => {
  it('finds the one relay between two ends of a line', () => {
    const topology = topologyOf([A, B, 1], [B, C, 1]);
    const [route, ...more] = relayRoutes(topology, A, C, new Map([[B, 1]]), OPTIONS);
    assert.deepEqual(route?.via, [B]);
    assert.deepEqual(more, []);
  });

  it('leads over three relays and not over four', () => {
    const chain = topologyOf([A, B, 1], [B, C, 1], [C, D, 1], [D, E, 1]);
    const [route] = relayRoutes(chain, A, E, new Map([[B, 1]]), OPTIONS);
    assert.deepEqual(route?.via, [B, C, D]);
    const two = { ...OPTIONS, maxRelays: 2 };
    assert.deepEqual(relayRoutes(chain, A, E, new Map([[B, 1]]), two), []);
  });

  it('names one way for each first relay, the cheapest first', () => {
    const topology = topologyOf([A, B, 10], [A, C, 1], [B, D, 1], [C, D, 1]);
    const neighbours = new Map([
      [B, 10],
      [C, 1],
    ]);
    const routes = relayRoutes(topology, A, D, neighbours, OPTIONS);
    assert.deepEqual(
      routes.map(({ via }) => via),
      [[C], [B]],
    );
  });

  it('believes no link that only one of two relays lists', () => {
    const topology = topologyOf([A, B, 1], [C, D, 1]);
    topology.setLinks(B, new Map([A, D].map((peer) => [peer, 0])));
    assert.deepEqual(relayRoutes(topology, A, D, new Map([[B, 1]]), OPTIONS), []);
  });

  it('takes a relay at its word about a node that lists nothing', () => {
    const topology = new Topology();
    topology.setLinks(B, new Map([A, C].map((peer) => [peer, costStep(1)])));
    const [route] = relayRoutes(topology, A, C, new Map([[B, 1]]), OPTIONS);
    assert.deepEqual(route?.via, [B]);
  });

  it('forgets the links of a node that is removed', () => {
    const topology = topologyOf([A, B, 1], [B, C, 1]);
    topology.remove(B);
    assert.deepEqual(relayRoutes(topology, A, C, new Map([[B, 1]]), OPTIONS), []);
  });

  it('ends on random graphs, without a loop, and as cheap as a naive search finds', () => {
    const rng = seededRng(7);
    for (let round = 0; round < 200; round++) {
      const ids = [...Array(8).keys()].map((number) => id(number + 1));
      const links: (readonly [PeerId, PeerId, number])[] = [];
      for (const [at, a] of ids.entries()) {
        for (const b of ids.slice(at + 1)) {
          if (rng.fraction() < 0.4) links.push([a, b, 1 + rng.fraction() * 50]);
        }
      }
      const topology = topologyOf(...links);
      const [self, target] = [ids[0]!, ids[7]!];
      const neighbours = new Map<PeerId, number>();
      for (const peer of ids.slice(1, 7)) {
        const cost = topology.cost(self, peer);
        if (cost !== undefined) neighbours.set(peer, cost);
      }
      const found = relayRoutes(topology, self, target, neighbours, OPTIONS);
      const naive = cheapest(topology, ids, self, target);
      assert.equal(found.length > 0, naive !== undefined, `round ${round}`);
      for (const { via } of found) {
        assert.equal(new Set([self, target, ...via]).size, via.length + 2);
        assert.ok(via.length <= OPTIONS.maxRelays);
      }
      if (naive !== undefined) assert.ok(found[0]!.costMs <= naive + 1e-6, `round ${round}`);
    }
  });
});

/** Every way of one or two relays, added up: the bound that more relays may only improve. */
function cheapest(
  topology: Topology,
  ids: readonly PeerId[],
  self: PeerId,
  target: PeerId,
): number | undefined {
  const sums: number[] = [];
  const walk = (node: PeerId, sum: number, seen: readonly PeerId[]): void => {
    for (const next of ids) {
      if (seen.includes(next)) continue;
      const cost = topology.cost(node, next);
      if (cost === undefined) continue;
      if (next === target) {
        if (node !== self) sums.push(sum + cost + (seen.length > 2 ? 5 * (seen.length - 2) : 0));
      } else if (seen.length <= 3) walk(next, sum + cost, [...seen, next]);
    }
  };
  walk(self, 0, [self]);
  return sums.length === 0 ? undefined : Math.min(...sums);
}

describe('cost steps', () => {
  it('round up, by half as much again, and stay in bounds', () => {
    assert.equal(costStep(0), 0);
    assert.equal(costStep(Number.NaN), 0);
    assert.equal(costStep(1e12), 40);
    for (const costMs of [0.2, 1, 20, 300]) {
      const back = stepCostMs(costStep(costMs));
      assert.ok(back >= costMs - 1e-9 && back <= costMs * 1.5 + 1e-9);
    }
  });
});
