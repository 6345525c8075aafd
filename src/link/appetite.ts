import { TokenBucket } from '../base/token-bucket.js';
import type { PeerId } from '../model/peer-id.js';
import {
  APPETITE_IDLE_MS,
  APPETITE_UNUSED_MS,
  FULL_MESH_AGAIN_PEERS,
  FULL_MESH_PEERS,
  NEIGHBOUR_PASS_MS,
  NEIGHBOUR_TRY_MS,
  NEIGHBOURS,
  NEIGHBOURS_PASSED,
  WANTED_BURST,
  WANTED_PER_SECOND,
} from './constants.js';

/*
 * Which peers this node wants a session with (docs/protocol.md §6).
 *
 *   up to 64 peers    all of them
 *   beyond            eight neighbours, for records and news, and whom frames were for in the last minutes
 *
 * The neighbours are the first of an order of all members that only this node knows: each member's score is a hash of
 * its id under a secret of ours. So every node chooses eight at random, which makes a connected graph with a few steps
 * between any two; a member that comes or goes changes the choice of few; and nobody can make identities that many
 * nodes, or a certain one, will choose. One that does not answer is passed over for the next in order, and tried on.
 *
 * What a peer wants of us is its own business: a session is closed when both ends say that they can do without.
 */

export interface AppetiteOptions {
  /** 32 bits nobody else knows, the same after a restart. */
  readonly secret: number;
}

/** What a step asks for. */
export interface AppetiteNews {
  /** To be dialled now. */
  readonly wanted: readonly PeerId[];
  /** Members that are to have a place in the tables, so that frames for them are noticed. */
  readonly listed: readonly PeerId[];
  /** Gone from the mesh. */
  readonly gone: readonly PeerId[];
  /** What a person named is worth a try again. */
  readonly isStarving: boolean;
}

/** Since a frame went to the peer or came from it, ms; negative: none did. */
type FrameAge = (peer: PeerId) => number;

const STARVING_AGAIN_MS = 10_000;

export class Appetite {
  readonly #secret: number;
  readonly #scores = new Map<PeerId, number>();
  #order: PeerId[] = [];
  #isSorted = true;
  #isSparse = false;
  #isStale = false;
  /** When each began to be tried; of no meaning while it is reachable. */
  #chosen = new Map<PeerId, number>();
  /** Did not answer, and when that was seen; oldest first. */
  readonly #passed = new Map<PeerId, number>();
  /** Frames were for them; until when. */
  readonly #used = new Map<PeerId, number>();
  #usedDueMs = Number.POSITIVE_INFINITY;
  #reachable: ReadonlySet<PeerId> = new Set();
  /** To be dialled, in this order, a few a second. */
  readonly #queue = new Set<PeerId>();
  readonly #pace = new TokenBucket(WANTED_BURST, WANTED_PER_SECOND);
  #paceDueMs = Number.POSITIVE_INFINITY;
  #listed: PeerId[] = [];
  #gone: PeerId[] = [];
  #starvedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AppetiteOptions) {
    this.#secret = options.secret;
  }

  /** There are too many members for a session with each. */
  get isSparse(): boolean {
    return this.#isSparse;
  }

  /** For people and tests: the neighbours of a sparse mesh. */
  get neighbours(): readonly PeerId[] {
    return [...this.#chosen.keys()];
  }

  onMember(peer: PeerId): void {
    if (this.#scores.has(peer)) return;
    this.#scores.set(peer, scoreOf(peer, this.#secret));
    this.#order.push(peer);
    this.#isSorted = false;
    this.#isStale = true;
    if (this.#isSparse) this.#listed.push(peer);
    else this.#settleDensity();
  }

  onMemberGone(peer: PeerId): void {
    if (!this.#scores.delete(peer)) return;
    this.#order = this.#order.filter((other) => other !== peer);
    for (const set of [this.#chosen, this.#passed, this.#used, this.#queue]) set.delete(peer);
    this.#listed = this.#listed.filter((other) => other !== peer);
    this.#gone.push(peer);
    this.#isStale = true;
    this.#settleDensity();
  }

  /** All that are reachable now. */
  onReachable(peers: readonly PeerId[], nowMs: number): void {
    const before = this.#reachable;
    this.#reachable = new Set(peers);
    for (const peer of peers) this.#passed.delete(peer);
    // One that was lost has its time to come back before it is passed over.
    for (const peer of this.#chosen.keys()) if (before.has(peer)) this.#chosen.set(peer, nowMs);
    this.#isStale = true;
  }

  /** A frame is for a peer without a session, or somebody asks for it. */
  use(peer: PeerId, nowMs: number): void {
    if (!this.#isSparse || !this.#scores.has(peer)) return;
    const wasWanted = this.isWanted(peer);
    this.#used.set(peer, nowMs + APPETITE_IDLE_MS);
    this.#usedDueMs = Math.min(this.#usedDueMs, nowMs + APPETITE_IDLE_MS);
    // Its dialling may have been given up, or rest: a frame every second asks again.
    if (!wasWanted || !this.#reachable.has(peer)) this.#queue.add(peer);
    this.#paceDueMs = nowMs;
  }

  /** A flood that is for everybody. */
  useAll(nowMs: number): void {
    for (const peer of this.#order) if (!this.#reachable.has(peer)) this.use(peer, nowMs);
  }

  /** Whether a session with the peer is to be sought and kept. Whoever is no member yet is not judged. */
  isWanted(peer: PeerId): boolean {
    if (!this.#isSparse || !this.#scores.has(peer)) return true;
    return this.#chosen.has(peer) || this.#used.has(peer) || this.#isPassed(peer);
  }

  /** All of whom `isWanted` is true; undefined: of every member. */
  get wanted(): Iterable<PeerId> | undefined {
    if (!this.#isSparse) return undefined;
    return [...this.#chosen.keys(), ...this.#used.keys(), ...this.#lastPassed];
  }

  /** Nobody is reachable: whatever may lead back is wanted. */
  get isStarving(): boolean {
    return this.#isSparse && this.#reachable.size === 0;
  }

  /** Can this node do without its session with the peer? */
  isIdle(peer: PeerId, frameAgeMs: number, establishedForMs: number): boolean {
    if (this.isWanted(peer) || establishedForMs < APPETITE_UNUSED_MS) return false;
    return frameAgeMs < 0 || frameAgeMs >= APPETITE_IDLE_MS;
  }

  get nextDeadlineMs(): number {
    if (this.#isStale) return 0;
    let next = Math.min(this.#usedDueMs, this.#queue.size > 0 ? this.#paceDueMs : Infinity);
    if (!this.#isSparse) return next;
    for (const [peer, sinceMs] of this.#chosen) {
      if (!this.#reachable.has(peer)) next = Math.min(next, sinceMs + NEIGHBOUR_TRY_MS);
    }
    const [oldest] = this.#passed.values();
    if (oldest !== undefined) next = Math.min(next, oldest + NEIGHBOUR_PASS_MS);
    return next;
  }

  step(nowMs: number, frameAgeMs: FrameAge): AppetiteNews {
    this.#isStale = false;
    if (this.#isSparse) this.#choose(nowMs);
    if (nowMs >= this.#usedDueMs) this.#endUses(nowMs, frameAgeMs);
    const listed = this.#listed;
    this.#listed = [];
    const gone = this.#gone;
    this.#gone = [];
    const isStarving = this.isStarving && nowMs - this.#starvedAtMs >= STARVING_AGAIN_MS;
    if (isStarving) this.#starvedAtMs = nowMs;
    return { wanted: this.#takeQueued(nowMs), listed, gone, isStarving };
  }

  /** Two thresholds, so that a mesh of about that size does not change its mind with each member. */
  #settleDensity(): void {
    const peers = this.#scores.size;
    if (!this.#isSparse && peers > FULL_MESH_PEERS) {
      this.#isSparse = true;
      this.#listed = [...this.#order];
    } else if (this.#isSparse && peers <= FULL_MESH_AGAIN_PEERS) {
      this.#isSparse = false;
      this.#chosen.clear();
      this.#passed.clear();
      for (const peer of this.#order) if (!this.#reachable.has(peer)) this.#queue.add(peer);
      this.#paceDueMs = 0;
    }
  }

  #choose(nowMs: number): void {
    for (const [peer, sinceMs] of this.#chosen) {
      const isLate = nowMs >= sinceMs + NEIGHBOUR_TRY_MS;
      if (isLate && !this.#reachable.has(peer)) this.#passed.set(peer, nowMs);
    }
    for (const [peer, atMs] of this.#passed) {
      if (nowMs >= atMs + NEIGHBOUR_PASS_MS) this.#passed.delete(peer);
    }
    this.#sort();
    const chosen = new Map<PeerId, number>();
    for (const peer of this.#order) {
      if (chosen.size >= NEIGHBOURS) break;
      if (this.#passed.has(peer)) continue;
      const sinceMs = this.#chosen.get(peer);
      chosen.set(peer, sinceMs ?? nowMs);
      if (sinceMs !== undefined || this.#reachable.has(peer)) continue;
      this.#queue.add(peer);
      this.#paceDueMs = nowMs;
    }
    this.#chosen = chosen;
  }

  #isPassed(peer: PeerId): boolean {
    return this.#passed.has(peer) && this.#lastPassed.includes(peer);
  }

  get #lastPassed(): readonly PeerId[] {
    return [...this.#passed.keys()].slice(-NEIGHBOURS_PASSED);
  }

  #endUses(nowMs: number, frameAgeMs: FrameAge): void {
    this.#usedDueMs = Number.POSITIVE_INFINITY;
    for (const [peer, untilMs] of this.#used) {
      let nextMs = untilMs;
      if (nowMs >= untilMs) {
        const ageMs = frameAgeMs(peer);
        if (ageMs < 0 || ageMs >= APPETITE_IDLE_MS) {
          this.#used.delete(peer);
          continue;
        }
        nextMs = nowMs + APPETITE_IDLE_MS - ageMs;
        this.#used.set(peer, nextMs);
      }
      this.#usedDueMs = Math.min(this.#usedDueMs, nextMs);
    }
  }

  #takeQueued(nowMs: number): readonly PeerId[] {
    const wanted: PeerId[] = [];
    for (const peer of this.#queue) {
      if (!this.#reachable.has(peer) && this.isWanted(peer)) {
        if (!this.#pace.take(nowMs)) {
          this.#paceDueMs = nowMs + Math.max(1, this.#pace.waitMs(nowMs));
          break;
        }
        wanted.push(peer);
      }
      this.#queue.delete(peer);
    }
    return wanted;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#isSorted = true;
    const scores = this.#scores;
    this.#order.sort((a, b) => (scores.get(a) ?? 0) - (scores.get(b) ?? 0) || (a < b ? -1 : 1));
  }
}

/** Ids are hashes already; the mixing of MurmurHash3 makes their order under one secret say nothing about another. */
function scoreOf(peer: PeerId, secret: number): number {
  let hash = Number.parseInt(peer.slice(0, 8), 16) ^ secret;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
