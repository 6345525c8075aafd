import type { PeerId } from '../model/peer-id.js';
import type { Actions } from './actions.js';
import { MAX_PEERS } from './constants.js';
import { SlotPool } from './index-pool.js';

/*
 * The slots by which the data plane knows peers: numbers that forwarding entries, labels and groups name.
 *
 *   free ──► listed: no link; frames for it are noticed ──► linked ──► resting, 10 s ──► free
 *    ▲ └──────────────────────────────────────────────────────▲              │
 *    └── unlisted ◄── listed                                                 └ what still names it goes meanwhile
 */

/** The other slots are for peers that come. */
const MAX_LISTED = MAX_PEERS - 512;
const REST_MS = 10_000;

export class PeerSlots {
  readonly #pool: SlotPool;
  readonly #slots = new Map<PeerId, number>();
  /** Those of them without a link. */
  readonly #listed = new Set<PeerId>();
  readonly #owners = new Map<number, PeerId>();
  /** Slots of ended links, and since when; oldest first. */
  readonly #resting = new Map<number, number>();

  constructor(maxPeers: number) {
    this.#pool = new SlotPool(maxPeers);
  }

  /** Linked or listed. */
  of(peer: PeerId): number | undefined {
    return this.#slots.get(peer);
  }

  /** Linked or listed. */
  ownerOf(slot: number): PeerId | undefined {
    return this.#owners.get(slot);
  }

  isListed(peer: PeerId): boolean {
    return this.#listed.has(peer);
  }

  /** Some that nobody has will be free in seconds. */
  get areResting(): boolean {
    return this.#resting.size > 0;
  }

  /** @returns its slot, linked or listed; undefined: none left */
  list(peer: PeerId, out: Actions): number | undefined {
    const known = this.#slots.get(peer);
    if (known !== undefined || this.#owners.size >= MAX_LISTED) return known;
    const slot = this.#pool.take();
    if (slot === undefined) return undefined;
    this.#give(slot, peer);
    this.#listed.add(peer);
    out.table({ kind: 'peerSet', peer: slot, id: peer, session: 0, path: 0 });
    return slot;
  }

  /** Takes it back at once; nothing while it is linked. */
  unlist(peer: PeerId, out: Actions): void {
    const slot = this.#slots.get(peer);
    if (slot === undefined || !this.#listed.delete(peer)) return;
    this.#take(slot, peer);
    this.#pool.release(slot);
    out.table({ kind: 'peerRemove', peer: slot });
  }

  /** For a link of its own: that under which it was listed, else a free one. @returns undefined: none left */
  link(peer: PeerId): number | undefined {
    if (this.#listed.delete(peer)) return this.#slots.get(peer);
    const slot = this.#pool.take();
    if (slot !== undefined) this.#give(slot, peer);
    return slot;
  }

  /** Its link ended. */
  unlink(peer: PeerId, nowMs: number): void {
    const slot = this.#slots.get(peer);
    if (slot === undefined) return;
    this.#take(slot, peer);
    this.endRests(nowMs);
    this.#resting.set(slot, nowMs);
  }

  /** Frees those that have rested. */
  endRests(nowMs: number): void {
    for (const [slot, sinceMs] of this.#resting) {
      if (nowMs < sinceMs + REST_MS) break;
      this.#resting.delete(slot);
      this.#pool.release(slot);
    }
  }

  #give(slot: number, peer: PeerId): void {
    this.#slots.set(peer, slot);
    this.#owners.set(slot, peer);
  }

  #take(slot: number, peer: PeerId): void {
    this.#slots.delete(peer);
    this.#owners.delete(slot);
  }
}
