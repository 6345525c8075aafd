import type { TableEntry } from '../dataplane/dataplane.js';
import type { PeerId } from '../model/peer-id.js';
import { MAX_TREE_PEERS } from './constants.js';
import type { FanoutPeer } from './group-fanout.js';

/*
 * When floods go along a tree, and to whom (docs/protocol.md §10). Up to `limit` members each gets its own copy. Beyond,
 * a flood goes to the neighbours, who pass it on: those this node chose for itself first, so that each node is handed
 * floods by those who chose it, then others it has a session with.
 *
 * Members do not count alike at every moment. From half the limit on a node takes floods of the tree and passes them on,
 * though its own still go to each; with fewer it takes none, for there are none but made-up ones.
 */

export interface FloodTreeOptions {
  readonly selfId: PeerId;
  /** Members beside this node that still get a copy each. */
  readonly limit: number;
}

export class FloodTree {
  readonly #options: FloodTreeOptions;
  readonly #members = new Set<PeerId>();
  #isOn = false;
  #isTaking = false;
  #applied = '';

  constructor(options: FloodTreeOptions) {
    this.#options = options;
  }

  /** A member of the network came, or went. */
  setMember(peer: PeerId, isMember: boolean): void {
    if (isMember) this.#members.add(peer);
    else this.#members.delete(peer);
    const { limit } = this.#options;
    // Two thresholds, so that a network of about that size does not change its mind with each member.
    this.#isOn = this.#members.size > (this.#isOn ? limit - limit / 8 : limit);
    this.#isTaking = this.#members.size > (this.#isTaking ? limit / 2 - limit / 8 : limit / 2);
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** What must change in the table. `chosen`: neighbours of this node's own choice. */
  update(reachable: readonly FanoutPeer[], chosen: ReadonlySet<PeerId>): TableEntry[] {
    const origin = this.#isOn ? this.#options.selfId : undefined;
    const first = reachable.filter(({ id }) => chosen.has(id));
    const others = reachable.filter(({ id }) => !chosen.has(id));
    const slots = [...first, ...others].slice(0, MAX_TREE_PEERS).map(({ slot }) => slot);
    const peers = this.#isTaking ? slots.sort((a, b) => a - b) : [];
    const text = `${origin ?? ''} ${peers.join()}`;
    if (text === (this.#applied || ' ')) return [];
    this.#applied = text;
    return [{ kind: 'treeSet', origin, peers }];
  }
}
