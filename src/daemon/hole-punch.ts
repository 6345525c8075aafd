import { Deadlines } from '../base/deadlines.js';
import { TokenBuckets, TokenBucket } from '../base/token-bucket.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import type { Endpoint } from '../model/endpoint.js';
import type { PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import { decodePunch, encodePunch } from '../wire/punch.js';

/*
 * Looks for a direct way to peers that are reached through relays (docs/protocol.md §6). The node with the smaller id
 * begins; what both send then meets in the middle:
 *
 *   a ── PUNCH delay rtt/2, a's endpoints ──► c
 *   a ◄── PUNCH delay 0, c's endpoints ────── c      c waits rtt/2
 *   PINGs ──►                            ◄── PINGs
 *
 * All PINGs to addresses from which nothing ever came share the budget of the node (link/asking.ts): a member that
 * names victims wins a part of that for them.
 */

/** After the link is relayed; then each time so long after the one before. */
const FIRST_WAITS_MS = [300, 1500, 3000] as const;
const IN_USE_EVERY_MS = 5000;
const IDLE_EVERY_MS = 60_000;
/** PUNCHes of one peer that are listened to. */
const PEER_BURST = 4;
const PEER_PER_SECOND = 0.5;
const MAX_PEERS = 1024;

export interface HolePunchComponents {
  readonly ownId: PeerId;
  readonly links: Links;
  /** Where this node can be reached, most promising first. */
  readonly ownEndpoints: () => readonly Endpoint[];
  readonly isInUse: (peer: PeerId, nowMs: number) => boolean;
  /** Else this node links with whom it was told to, and punches for nobody. */
  readonly isDiscovering: boolean;
}

export class HolePunch {
  readonly #components: HolePunchComponents;
  /** PUNCHes sent, by peers that are relayed and that we begin with. */
  readonly #sent = new Map<PeerId, number>();
  readonly #due = new Deadlines<PeerId>();
  /** What the peer named, until its delay is over. */
  readonly #named = new Map<PeerId, readonly Endpoint[]>();
  readonly #starts = new Deadlines<PeerId>();
  readonly #heard = new TokenBuckets(() => new TokenBucket(PEER_BURST, PEER_PER_SECOND), MAX_PEERS);

  constructor(components: HolePunchComponents) {
    this.#components = components;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#due.nextMs, this.#starts.nextMs);
  }

  /** The links changed. */
  follow(nowMs: number): void {
    const { links, ownId, isDiscovering } = this.#components;
    if (!isDiscovering) return;
    for (const peer of [...this.#sent.keys()]) if (!this.#isRelayed(peer)) this.#forget(peer);
    for (const { id } of links.peers) {
      if (ownId > id || this.#sent.has(id) || !this.#isRelayed(id)) continue;
      this.#sent.set(id, 0);
      this.#due.set(id, nowMs + FIRST_WAITS_MS[0]);
    }
  }

  onMessage(peer: PeerId, body: Uint8Array, nowMs: number, out: Actions): void {
    if (!this.#components.isDiscovering) return;
    const punch = decodePunch(body);
    if (!punch.ok || !this.#isRelayed(peer) || !this.#heard.take(peer, nowMs)) return;
    this.#named.set(peer, punch.value.endpoints);
    this.#starts.set(peer, nowMs + punch.value.delayMs);
    if (this.#components.ownId > peer) this.#say(peer, 0, out);
  }

  onDeadline(nowMs: number, out: Actions): void {
    for (const peer of this.#due.takeDue(nowMs)) {
      const rttMs = this.#components.links.peer(peer)?.paths.active?.rttMs ?? 0;
      this.#say(peer, rttMs / 2, out);
      const sent = (this.#sent.get(peer) ?? 0) + 1;
      this.#sent.set(peer, sent);
      this.#due.set(peer, nowMs + this.#waitMs(peer, sent, nowMs));
    }
    for (const peer of this.#starts.takeDue(nowMs)) {
      const endpoints = this.#named.get(peer) ?? [];
      this.#named.delete(peer);
      if (this.#isRelayed(peer)) this.#components.links.punch(peer, endpoints, nowMs, out);
    }
  }

  /** Traffic began: its next PUNCH need not wait for the slow pace. */
  onUse(peer: PeerId, nowMs: number): void {
    if (this.#sent.has(peer)) this.#due.set(peer, nowMs);
  }

  #waitMs(peer: PeerId, sent: number, nowMs: number): number {
    const first = FIRST_WAITS_MS[sent];
    if (first !== undefined) return first;
    return this.#components.isInUse(peer, nowMs) ? IN_USE_EVERY_MS : IDLE_EVERY_MS;
  }

  #say(peer: PeerId, delayMs: number, out: Actions): void {
    const { links, ownEndpoints } = this.#components;
    const body = encodePunch({ delayMs, endpoints: ownEndpoints() });
    links.control(peer, CONTROL.PUNCH, body, out);
  }

  #forget(peer: PeerId): void {
    this.#sent.delete(peer);
    this.#due.delete(peer);
  }

  #isRelayed(peer: PeerId): boolean {
    const link = this.#components.links.peer(peer);
    return link?.isReachable === true && link.paths.active?.address.family === 'relay';
  }
}
