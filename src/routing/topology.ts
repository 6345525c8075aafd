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

/** What one node lists: exactly as long as it has to be, since a large mesh has thousands of these. */
interface Listed {
  readonly peers: readonly PeerId[];
  /** A character each: an eighth of an array. */
  readonly steps: string;
}

/** Who lists a node, so that one which lists nothing is found from its relays. */
interface Lists {
  /** The one copy of its id that all lists share. */
  readonly id: PeerId;
  by: readonly PeerId[];
}

export class Topology {
  readonly #listed = new Map<PeerId, Listed>();
  readonly #lists = new Map<PeerId, Lists>();
  #revision = 0;

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** Nodes that list links. */
  get size(): number {
    return this.#listed.size;
  }

  /** `steps`: cost steps by peer. What did not change costs nothing: most of a list is as it was before. */
  setLinks(owner: PeerId, steps: ReadonlyMap<PeerId, number>): void {
    this.#revision += 1;
    const before = new Set(this.#listed.get(owner)?.peers);
    for (const peer of before) if (!steps.has(peer)) this.#unlist(peer, owner);
    const links = [...steps].filter(([peer]) => peer !== owner);
    this.#listed.set(owner, {
      peers: links.map(([peer]) => this.#list(peer, owner, before.has(peer))),
      steps: String.fromCharCode(...links.map(([, step]) => step)),
    });
  }

  remove(owner: PeerId): void {
    this.#revision += 1;
    for (const peer of this.#listed.get(owner)?.peers ?? []) this.#unlist(peer, owner);
    this.#listed.delete(owner);
  }

  /** Does it carry the traffic of others? */
  isRelay(peer: PeerId): boolean {
    return this.#listed.has(peer);
  }

  /** How many list a link to it, whether it lists them or not. */
  listedBy(peer: PeerId): number {
    return this.#lists.get(peer)?.by.length ?? 0;
  }

  /** Cost in ms of the link between two nodes; undefined: none that counts. */
  cost(a: PeerId, b: PeerId): number | undefined {
    const fromA = this.#listed.get(a);
    const fromB = this.#listed.get(b);
    if (!fromA && !fromB) return undefined;
    const there = fromA ? stepTo(fromA, b) : stepTo(fromB, a);
    const back = fromB ? stepTo(fromB, a) : there;
    if (there === undefined || back === undefined) return undefined;
    return stepCostMs(Math.max(there, back));
  }

  /** Relays with a link to `peer` that counts, and its cost in ms. */
  *relaysOf(peer: PeerId): Generator<readonly [PeerId, number]> {
    for (const relay of this.#lists.get(peer)?.by ?? []) {
      const cost = this.cost(relay, peer);
      if (cost !== undefined) yield [relay, cost];
    }
  }

  /** @returns the shared copy of the id */
  #list(peer: PeerId, by: PeerId, isListed: boolean): PeerId {
    const lists = this.#lists.get(peer);
    // Not spread: that keeps room for sixteen more.
    if (!lists) this.#lists.set(peer, { id: peer, by: [by] });
    else if (!isListed) lists.by = lists.by.concat(by);
    return lists?.id ?? peer;
  }

  #unlist(peer: PeerId, by: PeerId): void {
    const lists = this.#lists.get(peer);
    if (!lists) return;
    lists.by = lists.by.filter((other) => other !== by);
    if (lists.by.length === 0) this.#lists.delete(peer);
  }
}

function stepTo(listed: Listed | undefined, peer: PeerId): number | undefined {
  const at = listed?.peers.indexOf(peer) ?? -1;
  return at < 0 ? undefined : listed?.steps.charCodeAt(at);
}
