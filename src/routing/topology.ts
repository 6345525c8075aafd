import type { PeerId } from '../model/peer-id.js';

/*
 * Who can reach whom directly, from the `links` records (docs/protocol.md §5). A link counts when both ends list it, at
 * the higher of the two costs; a node that lists nothing (it does not relay) is taken at the word of the relay. Links
 * only nominate relays: whether a way works is found out by our own PINGs, so a member that lies wins nothing but a try.
 */

/** Costs travel as steps of × 1.5, so that small changes write no records: step s is 0.1 ms × 1.5^s. */
const STEP_BASE_MS = 0.1;
const STEP_FACTOR = 1.5;
const MAX_STEP = 40;

export function costStep(costMs: number): number {
  if (!(costMs > STEP_BASE_MS)) return 0;
  const step = Math.ceil(Math.log(costMs / STEP_BASE_MS) / Math.log(STEP_FACTOR));
  return Math.min(MAX_STEP, step);
}

export function stepCostMs(step: number): number {
  return STEP_BASE_MS * STEP_FACTOR ** Math.min(MAX_STEP, step);
}

export class Topology {
  readonly #listed = new Map<PeerId, ReadonlyMap<PeerId, number>>();
  /** Listed by: so that a node which lists nothing is found from its relays. */
  readonly #listers = new Map<PeerId, Set<PeerId>>();

  /** `steps`: cost steps by peer. */
  setLinks(owner: PeerId, steps: ReadonlyMap<PeerId, number>): void {
    this.remove(owner);
    const own = new Map(steps);
    own.delete(owner);
    this.#listed.set(owner, own);
    for (const peer of own.keys()) {
      let listers = this.#listers.get(peer);
      if (!listers) this.#listers.set(peer, (listers = new Set()));
      listers.add(owner);
    }
  }

  remove(owner: PeerId): void {
    for (const peer of this.#listed.get(owner)?.keys() ?? []) {
      const listers = this.#listers.get(peer);
      listers?.delete(owner);
      if (listers?.size === 0) this.#listers.delete(peer);
    }
    this.#listed.delete(owner);
  }

  /** Does it carry the traffic of others? */
  isRelay(peer: PeerId): boolean {
    return this.#listed.has(peer);
  }

  /** Cost in ms of the link between two nodes; undefined: none that counts. */
  cost(a: PeerId, b: PeerId): number | undefined {
    const fromA = this.#listed.get(a);
    const fromB = this.#listed.get(b);
    if (!fromA && !fromB) return undefined;
    const there = fromA ? fromA.get(b) : fromB?.get(a);
    const back = fromB ? fromB.get(a) : there;
    if (there === undefined || back === undefined) return undefined;
    return stepCostMs(Math.max(there, back));
  }

  /** Relays with a link to `peer` that counts, and its cost in ms. */
  *relaysOf(peer: PeerId): Generator<readonly [PeerId, number]> {
    for (const relay of this.#listers.get(peer) ?? []) {
      const cost = this.cost(relay, peer);
      if (cost !== undefined) yield [relay, cost];
    }
  }
}
