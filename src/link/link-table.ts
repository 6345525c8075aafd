import { Deadlines } from '../base/deadlines.js';
import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import type { PeerLink } from './peer-link.js';

/*
 * The links of this node, and how an event finds its own: the data plane names a session or a path, a node a peer, the
 * clock nobody.
 *
 *   PeerId ───► link ◄─── session index, path id: as the link has them now
 *                 └─────► its next deadline
 *
 * A link adds and drops sessions and paths by itself, so whoever let it act calls `update` afterwards.
 */

export class LinkTable {
  readonly #byPeer = new Map<PeerId, PeerLink>();
  readonly #bySession = new Map<number, PeerLink>();
  readonly #byPath = new Map<number, PeerLink>();
  /** What leads to a link. */
  readonly #indexed = new Map<PeerLink, { sessions: number[]; paths: number[] }>();
  readonly #deadlines = new Deadlines<PeerLink>();

  get all(): readonly PeerLink[] {
    return [...this.#byPeer.values()];
  }

  get(peer: PeerId): PeerLink | undefined {
    return this.#byPeer.get(peer);
  }

  ofSession(index: number): PeerLink | undefined {
    return this.#bySession.get(index);
  }

  ofPath(id: number): PeerLink | undefined {
    return this.#byPath.get(id);
  }

  /** Of all links together. */
  get sessionCount(): number {
    return this.#bySession.size;
  }

  /** Of all links together. */
  get pathCount(): number {
    return this.#byPath.size;
  }

  /** Whose path in use ends there; who is not reachable has none. */
  peerAt(address: PathAddress): PeerId | undefined {
    const text = formatPathAddress(address);
    for (const link of this.#byPeer.values()) {
      const active = link.paths.active;
      if (link.isReachable && active && formatPathAddress(active.address) === text) return link.id;
    }
    return undefined;
  }

  add(link: PeerLink): void {
    this.#byPeer.set(link.id, link);
  }

  /** Takes it as it is now: its sessions, paths and deadline. */
  update(link: PeerLink): void {
    this.#deadlines.set(link, link.nextDeadlineMs);
    const before = this.#indexed.get(link);
    const sessions = link.sessions.map((session) => session.index);
    const paths = link.paths.all.map((path) => path.id);
    if (before && isSame(before.sessions, sessions) && isSame(before.paths, paths)) return;
    this.#dropIndexes(link);
    this.#indexed.set(link, { sessions, paths });
    for (const index of sessions) this.#bySession.set(index, link);
    for (const path of paths) this.#byPath.set(path, link);
  }

  delete(link: PeerLink): void {
    this.#dropIndexes(link);
    this.#deadlines.delete(link);
    this.#byPeer.delete(link.id);
  }

  get nextDeadlineMs(): number {
    return this.#deadlines.nextMs;
  }

  /** Those whose deadline has come, earliest first; they have none until the next `update`. */
  takeDue(nowMs: number): readonly PeerLink[] {
    return this.#deadlines.takeDue(nowMs);
  }

  #dropIndexes(link: PeerLink): void {
    const indexed = this.#indexed.get(link);
    for (const index of indexed?.sessions ?? []) this.#bySession.delete(index);
    for (const path of indexed?.paths ?? []) this.#byPath.delete(path);
    this.#indexed.delete(link);
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
