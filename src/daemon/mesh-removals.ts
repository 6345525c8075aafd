import type { EventDocument, RemovalOutcome, WarningDocument } from '../api/control.js';
import { findPeer } from '../api/find-peer.js';
import { OverlayError } from '../base/errors.js';
import type { Actions } from '../link/actions.js';
import type { Appetite } from '../link/appetite.js';
import type { Links } from '../link/links.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import { encodeClose } from '../wire/control.js';
import type { Directory } from './directory.js';
import type { MeshRecords } from './mesh-records.js';
import type { StateStore, Timers } from './ports.js';

/*
 * What follows from a removal (docs/protocol.md §5), beside what the store does with the peer's records:
 *
 *   in force ─► its link ends, it is dialled no more, its nickname is free again, nothing is stored of it
 *   it comes back ─ handshake ─► the statements about it ─► CLOSE {removed}, the link is forgotten; one a turn, so that
 *                                                           each finds the session in the tables
 *   CLOSE {removed} from a peer ─► an event, a warning, and no dialling there for a while: this node goes on, since one
 *                                  member alone must not be able to end it
 *
 * And the operator's side: who may be removed, and whether it is in force.
 */

/** How long a session is awaited with a member that only rests, to see whether it lives. */
const LOOK_FOR_MS = 3000;
const LOOK_EVERY_MS = 100;
/** A refusal this old says nothing of now: who refuses is asked again before. */
const TURNED_AWAY_MS = 900_000;
const MAX_TURNED_AWAY = 64;

export interface MeshRemovalsComponents {
  readonly links: Links;
  readonly records: MeshRecords;
  readonly directory: Directory;
  readonly state: StateStore;
  readonly appetite: Appetite;
  readonly timers: Timers;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  readonly post: (run: (nowMs: number, out: Actions) => void) => void;
  /** Holders of addresses, of whom nothing else may be known. */
  readonly holders: () => readonly string[];
}

export class MeshRemovals {
  readonly #components: MeshRemovalsComponents;
  readonly #selfId: PeerId;
  /** Removed peers whose leavings here are gone. */
  readonly #done = new Set<PeerId>();
  /** Removed peers with a link, and whether they were told. */
  readonly #leaving = new Map<PeerId, boolean>();
  /** Who holds this node to be removed, and when it said so. */
  readonly #turnedAway = new Map<PeerId, number>();
  /** Who said so in this turn, and in the one before: by then what it handed of the signers is verified. */
  #news: PeerId[] = [];
  #due: PeerId[] = [];
  #revision = -1;

  constructor(components: MeshRemovalsComponents, selfId: PeerId) {
    this.#components = components;
    this.#selfId = selfId;
  }

  /** A peer that is leaving is told something in each turn. */
  get nextDeadlineMs(): number {
    return this.#leaving.size + this.#due.length > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  isRemoved(peer: PeerId): boolean {
    return this.#components.records.store.isRemoved(peer);
  }

  /** Once a turn, before anybody is dialled. @returns peers whose place in the tables is gone. */
  follow(nowMs: number, out: Actions): readonly PeerId[] {
    const { links, records } = this.#components;
    this.#tellNews();
    const removed = records.store.removedPeers;
    const gone: PeerId[] = [];
    if (removed.size !== this.#done.size) {
      for (const peer of removed) {
        if (this.#done.has(peer)) continue;
        this.#done.add(peer);
        if (links.peer(peer)?.isReachable) this.#leaving.set(peer, false);
        else if (peer !== this.#selfId) gone.push(peer);
      }
    }
    gone.push(...this.#seeOut(nowMs, out));
    for (const peer of gone) this.#forget(peer, nowMs, out);
    if (removed.size === 0 || (links.revision === this.#revision && gone.length === 0)) return gone;
    this.#revision = links.revision;
    for (const { id, tx } of links.peers) {
      if (tx && removed.has(id) && !this.#leaving.has(id)) this.#leaving.set(id, false);
    }
    return gone;
  }

  /** One step for each that has a link. @returns those who were told all. */
  #seeOut(nowMs: number, out: Actions): PeerId[] {
    const { links, records } = this.#components;
    const told: PeerId[] = [];
    for (const [peer, isTold] of this.#leaving) {
      if (isTold || !links.peer(peer)?.tx) {
        this.#leaving.delete(peer);
        told.push(peer);
        continue;
      }
      this.#leaving.set(peer, true);
      records.speak(nowMs, out, (gossip, actions) => {
        gossip.hand(peer, records.store.removalsOf(peer), actions);
      });
    }
    return told;
  }

  #forget(peer: PeerId, nowMs: number, out: Actions): void {
    const { links, directory, state } = this.#components;
    links.remove(peer, { type: CONTROL.CLOSE, body: encodeClose('removed') }, nowMs, out);
    directory.forget(peer);
    state.removeKnownPeer(peer);
  }

  /** The peer ended its session with us for that reason. */
  onTurnedAway(peer: PeerId, nowMs: number): void {
    const before = this.#turnedAway.get(peer);
    this.#turnedAway.delete(peer);
    this.#turnedAway.set(peer, nowMs);
    const oldest = this.#turnedAway.keys().next();
    if (this.#turnedAway.size > MAX_TURNED_AWAY && !oldest.done) {
      this.#turnedAway.delete(oldest.value);
    }
    if (before === undefined || nowMs - before >= TURNED_AWAY_MS) this.#news.push(peer);
  }

  #tellNews(): void {
    const { emit, directory } = this.#components;
    for (const peer of this.#due) {
      emit({
        level: 'error',
        code: 'self-removed',
        message: `Peer ${directory.shownName(peer)} (${shortPeerId(peer)}) refuses this node: it was removed from the mesh${this.#signers()}`,
        peer,
        cure: REJOIN,
      });
    }
    this.#due = this.#news;
    this.#news = [];
  }

  /** Members hold this node to be removed, and none is linked with it. */
  isOut(nowMs: number): boolean {
    const { links } = this.#components;
    if (this.isRemoved(this.#selfId)) return true;
    return this.#refusers(nowMs).length > 0 && !links.peers.some((peer) => peer.isReachable);
  }

  /** For `status`, while it is so. */
  warnings(nowMs: number): readonly WarningDocument[] {
    const peers = this.#refusers(nowMs);
    if (peers.length === 0) return [];
    const names = peers.slice(0, 3).map((peer) => this.#components.directory.shownName(peer));
    const more = peers.length > names.length ? ` and ${peers.length - names.length} more` : '';
    const message = `This node was removed from the mesh, say ${names.join(', ')}${more}${this.#signers()}`;
    return [{ code: 'self-removed', message, cure: REJOIN }];
  }

  #refusers(nowMs: number): readonly PeerId[] {
    const { links } = this.#components;
    return [...this.#turnedAway]
      .filter(([peer, atMs]) => nowMs - atMs < TURNED_AWAY_MS && !links.peer(peer)?.isReachable)
      .map(([peer]) => peer);
  }

  /** Who signed that this node is removed, as far as it was told. */
  #signers(): string {
    const { records, directory } = this.#components;
    const names = records.store
      .removalsOf(this.#selfId)
      .map(({ owner }) => directory.shownName(owner));
    return names.length === 0 ? '' : ` (signed by ${names.slice(0, 3).join(', ')})`;
  }

  // ── the operator ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Signs that a peer is removed.
   * @throws OVL_NOT_FOUND, OVL_AMBIGUOUS, OVL_PEER_SELF, and OVL_PEER_ALIVE unless it is forced by the full id
   */
  async remove(text: string, isForced: boolean): Promise<RemovalOutcome> {
    const { id, nickname } = findPeer(this.#known(), text);
    if (id === this.#selfId) {
      throw new OverlayError('OVL_PEER_SELF', `${nickname} is this node`, {
        value: text,
        cure: "Take it out by 'overlayctl reset' here; then remove it on another node.",
      });
    }
    await this.#lookFor(id);
    return new Promise((resolve, reject) => {
      this.#components.post((nowMs, out) => {
        const life = this.isRemoved(id) ? undefined : this.#lifeOf(id, nowMs);
        const isMeant = isForced && text.toLowerCase() === id;
        if (life !== undefined && !isMeant)
          reject(this.#refusal(text, { id, nickname }, life, isForced));
        else resolve(this.#sign(id, nickname, nowMs, out));
      });
    });
  }

  #sign(id: PeerId, nickname: string, nowMs: number, out: Actions): RemovalOutcome {
    const { records } = this.#components;
    if (!this.isRemoved(id)) {
      records.speak(nowMs, out, (gossip, actions) => {
        gossip.remove(id, nowMs, actions);
      });
    }
    return { peer: id, nickname, state: this.isRemoved(id) ? 'removed' : 'waiting' };
  }

  #refusal(
    text: string,
    { id, nickname }: { readonly id: PeerId; readonly nickname: string },
    life: string,
    isForced: boolean,
  ): OverlayError {
    const seconds = this.#components.records.store.removalSilenceMs / 1000;
    const forced = `overlayctl peer remove --force ${id}`;
    return new OverlayError('OVL_PEER_ALIVE', `Peer ${nickname} (${shortPeerId(id)}) ${life}`, {
      value: text,
      cure: isForced
        ? `To remove it all the same, give its full id: ${forced}.`
        : `Stop it and try again ${seconds} s later, or remove it all the same: ${forced}.`,
    });
  }

  /** Why it may live, for people; undefined: it gives no sign of life. */
  #lifeOf(id: PeerId, nowMs: number): string | undefined {
    const { links, records } = this.#components;
    if (links.peer(id)?.isReachable) return 'is alive: there is a link with it';
    const { store } = records;
    if (store.isSilent(id, nowMs)) return undefined;
    const heardMs = store.lastHeardMs(id);
    if (heardMs === undefined) {
      return `may be alive: this node runs for less than ${store.removalSilenceMs / 1000} s`;
    }
    return `may be alive: it was heard of ${Math.round((nowMs - heardMs) / 1000)} s ago`;
  }

  /** One of too many for a session with each is silent by habit: it is dialled first. */
  async #lookFor(id: PeerId): Promise<void> {
    const { links, appetite, timers, post } = this.#components;
    if (links.isWanted(id) || this.isRemoved(id)) return;
    post((nowMs) => {
      appetite.use(id, nowMs);
    });
    for (let waitedMs = 0; waitedMs < LOOK_FOR_MS; waitedMs += LOOK_EVERY_MS) {
      if (links.peer(id)?.isReachable) return;
      await new Promise<void>((resolve) => timers.set(LOOK_EVERY_MS, resolve));
    }
  }

  /** Everybody whom anything here names, those removed too: to remove them again is no error. */
  #known(): readonly { readonly id: PeerId; readonly nickname: string }[] {
    const { links, records, state, directory, holders } = this.#components;
    const { store } = records;
    const ids = new Set<PeerId>([
      this.#selfId,
      ...links.peers.map((peer) => peer.id),
      ...state.knownPeers().map((peer) => peer.id),
      ...records.members.keys(),
      ...store.owners(),
      ...store.hiddenPeers,
      ...store.removedPeers,
      ...(holders() as readonly PeerId[]),
    ]);
    return [...ids].map((id) => ({ id, nickname: directory.shownName(id) }));
  }
}

const REJOIN =
  "To join again, run 'overlayctl reset' here and start overlayd: it takes a new identity and a new address.";
