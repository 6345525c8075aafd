import type { PeerId } from '../model/peer-id.js';
import type { Topology } from './topology.js';

/** Further hops cost their forwarding: the ms of docs/protocol.md §6. */
const HOP_MS = 5;

export interface RelayRoute {
  /** Relays, the nearest first. */
  readonly via: readonly PeerId[];
  /** Estimate: sum of the links' costs and 5 ms for each relay after the first. */
  readonly costMs: number;
}

/**
 * The cheapest ways to `target`, one for each first relay, best first. A bounded search outwards from the target over
 * relays, at most `maxRelays` deep, met by our own direct neighbours: only what one target needs is looked at.
 */
export function relayRoutes(
  topology: Topology,
  self: PeerId,
  target: PeerId,
  /** Our direct neighbours that relay, and what they cost us in ms. */
  neighbours: ReadonlyMap<PeerId, number>,
  options: { readonly maxRelays: number; readonly count: number },
): readonly RelayRoute[] {
  const { maxRelays } = options;
  const reached = outwards(topology, self, target, Math.max(1, maxRelays - 1));
  const routes: RelayRoute[] = [];
  for (const [first, ownCostMs] of neighbours) {
    if (first === self || first === target || !topology.isRelay(first)) continue;
    const there = maxRelays > 1 ? oneMore(topology, first, reached, maxRelays) : reached.get(first);
    if (there) routes.push({ via: there.via, costMs: ownCostMs + there.costMs });
  }
  routes.sort((a, b) => a.costMs - b.costMs || (a.via.join() < b.via.join() ? -1 : 1));
  return routes.slice(0, options.count);
}

/**
 * The cheapest way from a neighbour to the target, with one relay more than was looked at outwards. That last step is
 * taken from the neighbours' side: outwards it would look at every link of a large mesh, and all but a few would lead to
 * nobody's neighbour.
 */
function oneMore(
  topology: Topology,
  first: PeerId,
  reached: ReadonlyMap<PeerId, RelayRoute>,
  maxRelays: number,
): RelayRoute | undefined {
  let best = reached.get(first);
  for (const [next, linkMs] of topology.relaysOf(first)) {
    const there = reached.get(next);
    if (!there || there.via.length >= maxRelays || there.via.includes(first)) continue;
    const costMs = there.costMs + linkMs + HOP_MS;
    if (costMs < (best?.costMs ?? Infinity)) best = { via: [first, ...there.via], costMs };
  }
  return best;
}

/** Cheapest way from each relay to the target; `via` begins with the relay itself. */
function outwards(
  topology: Topology,
  self: PeerId,
  target: PeerId,
  maxRelays: number,
): ReadonlyMap<PeerId, RelayRoute> {
  const best = new Map<PeerId, RelayRoute>();
  let frontier = new Map<PeerId, RelayRoute>([[target, { via: [], costMs: 0 }]]);
  // Level by level, one relay more each time: depth stays bounded, and a way knows its own nodes.
  for (let relays = 1; relays <= maxRelays && frontier.size > 0; relays++) {
    const next = new Map<PeerId, RelayRoute>();
    for (const [node, { via, costMs }] of frontier) {
      for (const [relay, linkMs] of topology.relaysOf(node)) {
        if (relay === self || relay === target || via.includes(relay)) continue;
        const totalMs = costMs + linkMs + (relays > 1 ? HOP_MS : 0);
        if ((best.get(relay)?.costMs ?? Infinity) <= totalMs) continue;
        const route = { via: [relay, ...via], costMs: totalMs };
        best.set(relay, route);
        next.set(relay, route);
      }
    }
    frontier = next;
  }
  return best;
}
