import type { TokenBucket } from '../base/token-bucket.js';
import type { PathCounters } from '../dataplane/dataplane.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import { Asking } from './asking.js';
import { isLasting, type CandidateNews, type LinkPath } from './candidate.js';
import {
  CANDIDATE_SILENT_MS,
  CANDIDATES_PER_PEER,
  PATHS_WHEN_MANY,
  COST_CHECK_MS,
  DEAD_PATH_KEEP_MS,
  PMTU_FLOOR_BYTES,
  SPARE_EVERY_MS,
} from './constants.js';
import { Failover } from './failover.js';
import { bestWorking, PathChoice } from './path-choice.js';
import { pathCost } from './path-cost.js';
import { PmtuSearch } from './pmtu.js';
import { Roaming } from './roaming.js';

/*
 * The ways to one peer and the one in use (docs/protocol.md §6). What does not work is a path of the data plane only
 * while it is asked (asking.ts); the one in use always is, working or not. When to change is path-choice.ts, where a
 * peer went that speaks from elsewhere is roaming.ts.
 */

export interface PathSwitch {
  readonly atMs: number;
  readonly from: PathAddress | undefined;
  readonly to: PathAddress | undefined;
  readonly reason: string;
}

export interface PathProbe {
  readonly path: number;
  /** 0: an ordinary PING, in the path's clock. */
  readonly bytes: number;
}

/** A path the data plane is to have. */
export interface LivePath {
  readonly path: LinkPath;
  /** Its clock sends PINGs; else it only listens for what still comes. */
  readonly isSpeaking: boolean;
}

interface Entry {
  readonly path: LinkPath;
  readonly asking: Asking;
}

type CountersOf = (path: number) => PathCounters | undefined;

/** Small enough for any path; an answer of this size says alive, nothing about the size. */
const ALIVE_PROBE_BYTES = 100;

export class PathSet {
  readonly #entries = new Map<string, Entry>();
  readonly #takeId: () => number;
  readonly #usefulBytes: number;
  readonly #budget: TokenBucket;
  readonly #hasManyElsewhere: () => boolean;
  readonly #choice = new PathChoice();
  #active: LinkPath | undefined;
  #lastSwitch: PathSwitch | undefined;
  #costCheckMs = 0;
  #spareAskMs = 0;
  #activeFrameMs = 0;
  #roaming: Roaming | undefined;
  #failover: Failover | undefined;

  /**
   * `budget`: datagrams to addresses from which nothing authentic ever came, of the whole node. `hasManyElsewhere`: all
   * peers together have so many paths that each gets few.
   */
  constructor(
    takeId: () => number,
    usefulBytes: number,
    budget: TokenBucket,
    hasManyElsewhere: () => boolean = () => false,
  ) {
    this.#hasManyElsewhere = hasManyElsewhere;
    this.#takeId = takeId;
    this.#usefulBytes = usefulBytes;
    this.#budget = budget;
  }

  get all(): readonly LinkPath[] {
    return [...this.#entries.values()].map((entry) => entry.path);
  }

  get live(): readonly LivePath[] {
    const live: LivePath[] = [];
    for (const { path, asking } of this.#entries.values()) {
      const isKept = path.state === 'working' || path === this.#active;
      if (isKept || asking.isAsking) live.push({ path, isSpeaking: isKept || asking.isSpeaking });
    }
    return live;
  }

  get active(): LinkPath | undefined {
    return this.#active;
  }

  get lastSwitch(): PathSwitch | undefined {
    return this.#lastSwitch;
  }

  get hasWorking(): boolean {
    return this.all.some((path) => path.state === 'working');
  }

  get(id: number): LinkPath | undefined {
    return this.#byId(id)?.path;
  }

  get nextDeadlineMs(): number {
    let next = this.#roaming?.nextDeadlineMs ?? Number.POSITIVE_INFINITY;
    next = Math.min(next, this.#failover?.nextDeadlineMs ?? next);
    let working = 0;
    for (const { path, asking } of this.#entries.values()) {
      if (path.state === 'working') {
        working += 1;
        next = Math.min(next, path.pmtu.nextDeadlineMs);
      } else if (path !== this.#active) {
        next = Math.min(next, asking.nextDeadlineMs, forgetAtMs(path));
      }
    }
    return working > 1 ? Math.min(next, this.#costCheckMs) : next;
  }

  /** A handshake was finished over this address: it works. Replaces an active path that is not known to. */
  prove(address: PathAddress, nowMs: number): void {
    let entry = this.#find(address);
    if (!entry) {
      // A peer may finish handshakes from anywhere, without end.
      if (this.#isFull && !this.#evict()) this.#evictSpare();
      entry = this.#add({ address, source: 'roaming' }, nowMs);
    }
    const { path } = entry;
    // The data plane's clock of a dead path would not report a second death: begin a new one.
    if (path.state === 'dead' || !this.#isLive(entry)) path.id = this.#takeId();
    path.isProven = true;
    if (path.state !== 'working') this.#enterWorking(entry, nowMs);
    if (this.#active?.state !== 'working') this.#switchTo(path, 'handshake', nowMs);
  }

  /** Somebody says that the peer is there; said again, it is asked again soon. */
  addCandidate(news: CandidateNews, nowMs: number): void {
    const entry = this.#find(news.address);
    if (!entry) {
      if (!this.#isFull || this.#evict()) this.#add(news, nowMs);
      return;
    }
    const { path, asking } = entry;
    if (isLasting(news.source) || !isLasting(path.source)) path.source = news.source;
    if (news.hops !== undefined) path.hops = news.hops;
    if (news.isProven) path.isProven = true;
    if (path.state !== 'working' && path !== this.#active) asking.wake(this.#basis(path), nowMs);
  }

  /** It is no way to the peer any more, whatever it was. */
  removeCandidate(address: PathAddress, nowMs: number): void {
    const path = this.#find(address)?.path;
    if (!path) return;
    this.#delete(path);
    if (path !== this.#active) return;
    this.#active = undefined;
    const best = bestWorking(this.all);
    if (best) this.#switchTo(best, 'the way in use is gone', nowMs, path.address);
  }

  /** What its record says now, and nothing else: what works stays as long as it works. */
  setRecord(addresses: readonly PathAddress[], nowMs: number): void {
    const listed = new Set(addresses.map(formatPathAddress));
    for (const path of this.all) {
      if (path.source !== 'record' || listed.has(formatPathAddress(path.address))) continue;
      if (path.state === 'working' || path === this.#active) path.source = 'observed';
      else this.#delete(path);
    }
    for (const address of addresses) this.addCandidate({ address, source: 'record' }, nowMs);
  }

  /** The peer, reached through relays, says that it may be here and asks us from there now. */
  punch(addresses: readonly PathAddress[], nowMs: number): void {
    for (const address of addresses) {
      this.addCandidate({ address, source: 'observed' }, nowMs);
      const entry = this.#find(address);
      if (!entry || entry.path.state === 'working' || entry.path === this.#active) continue;
      entry.asking.punch(this.#basis(entry.path), nowMs);
    }
  }

  /** The network changed: everything may be different. */
  wakeAll(nowMs: number): void {
    for (const { path, asking } of this.#entries.values()) {
      path.pmtu.onNetworkChange(nowMs);
      if (path.state !== 'working' && path !== this.#active) asking.wake(this.#basis(path), nowMs);
    }
  }

  /** Something authentic and newest came from an address that is not the active one. */
  onSeen(address: PathAddress, nowMs: number): void {
    this.addCandidate({ address, source: 'roaming' }, nowMs);
    const entry = this.#find(address);
    if (!entry) return;
    entry.path.isProven = true;
    if (!this.#isLive(entry)) {
      entry.asking.wake(this.#basis(entry.path), nowMs);
      this.#ask(entry, nowMs);
    }
    const old = this.#active;
    if (!old || old === entry.path || this.#roaming) return;
    this.#roaming = new Roaming(entry.path, old, nowMs);
  }

  onAlive(id: number, rttUs: number, nowMs: number): void {
    const entry = this.#byId(id);
    if (!entry) return;
    const { path } = entry;
    path.rttMs = rttUs / 1000;
    path.isProven = true;
    const wasDead = path.state === 'dead';
    if (path.state !== 'working') this.#enterWorking(entry, nowMs);
    if (wasDead) path.pmtu.onRecovered(nowMs);
    if (this.#active?.state !== 'working') this.#switchTo(path, 'it answers again', nowMs);
  }

  onDead(id: number, nowMs: number): void {
    const entry = this.#byId(id);
    if (!entry || entry.path.state === 'dead') return;
    const { path, asking } = entry;
    path.state = 'dead';
    path.sinceMs = nowMs;
    path.cost = undefined;
    path.betterSinceMs = undefined;
    asking.afterDeath(nowMs);
    if (path !== this.#active) return;
    const best = bestWorking(this.all);
    if (!best) return;
    this.#switchTo(best, 'the path in use is dead', nowMs);
    this.#failover = new Failover(nowMs);
  }

  onProbeAnswered(id: number, bytes: number, rttUs: number, nowMs: number): void {
    const path = this.get(id);
    if (!path) return;
    path.rttMs = rttUs / 1000;
    this.#roaming?.onAnswered(path);
    if (path.state !== 'working') this.onAlive(id, rttUs, nowMs);
    if (this.#failover) {
      this.#failover = undefined;
      if (path !== this.#active) this.#switchTo(path, 'it answered first', nowMs);
    }
    path.pmtu.onAnswered(bytes, nowMs);
  }

  onTooBig(id: number, bytes: number, nowMs: number): void {
    this.get(id)?.pmtu.onTooBig(bytes, nowMs);
  }

  /** @returns probes to send. `counters` is asked only when costs are compared. */
  onDeadline(nowMs: number, counters: CountersOf): PathProbe[] {
    const probes: PathProbe[] = [];
    for (const entry of [...this.#entries.values()]) {
      const { path } = entry;
      if (path.state === 'working') {
        for (const bytes of path.pmtu.onDeadline(nowMs, path.rttMs)) {
          probes.push({ path: path.id, bytes });
        }
      } else if (path !== this.#active) {
        if (nowMs >= forgetAtMs(path)) this.#delete(path);
        else this.#ask(entry, nowMs);
      }
    }
    probes.push(...this.#roam(nowMs), ...this.#askAll(nowMs));
    if (nowMs >= this.#costCheckMs) {
      // On the clock's full second, as all links do: one look at the counters is enough for all of them.
      this.#costCheckMs = (Math.floor(nowMs / COST_CHECK_MS) + 1) * COST_CHECK_MS;
      probes.push(...this.#compare(nowMs, counters));
    }
    return probes;
  }

  clear(): void {
    this.#entries.clear();
    this.#active = undefined;
    this.#roaming = undefined;
    this.#failover = undefined;
  }

  #find(address: PathAddress): Entry | undefined {
    return this.#entries.get(formatPathAddress(address));
  }

  #byId(id: number): Entry | undefined {
    for (const entry of this.#entries.values()) if (entry.path.id === id) return entry;
    return undefined;
  }

  #isLive({ path, asking }: Entry): boolean {
    return path.state === 'working' || path === this.#active || asking.isAsking;
  }

  #add({ address, source, hops, isProven }: CandidateNews, nowMs: number): Entry {
    const path: LinkPath = {
      id: this.#takeId(),
      address,
      source,
      hops: hops ?? 1,
      pmtu: new PmtuSearch(this.#usefulBytes),
      createdAtMs: nowMs,
      state: 'untried',
      // A relay and a connection are peers already: nobody else hears what is asked there.
      isProven: !isEndpoint(address) || isProven === true,
      rttMs: 0,
      sinceMs: nowMs,
      cost: undefined,
      betterSinceMs: undefined,
    };
    const entry = { path, asking: new Asking(this.#budget, nowMs) };
    this.#entries.set(formatPathAddress(address), entry);
    return entry;
  }

  #delete(path: LinkPath): void {
    this.#entries.delete(formatPathAddress(path.address));
    if (this.#roaming?.candidate === path || this.#roaming?.old === path) this.#roaming = undefined;
  }

  /** A round begins with a fresh path: the clock of a dead one is slow, and would not report a second death. */
  #ask({ path, asking }: Entry, nowMs: number): void {
    if (asking.onDeadline(this.#basis(path), nowMs) === 'begin') path.id = this.#takeId();
  }

  #basis(path: LinkPath): { readonly isProven: boolean; readonly isDetoured: boolean } {
    const isUsed = this.#active?.state === 'working';
    const isDetoured = isUsed && this.#active !== undefined && !isEndpoint(this.#active.address);
    return { isProven: path.isProven, isDetoured };
  }

  #enterWorking({ path, asking }: Entry, nowMs: number): void {
    path.state = 'working';
    path.sinceMs = nowMs;
    path.pmtu.begin(nowMs);
    asking.rest();
  }

  get #isFull(): boolean {
    const most = this.#hasManyElsewhere() ? PATHS_WHEN_MANY : CANDIDATES_PER_PEER;
    return this.#entries.size >= most;
  }

  /** The one that works for longest and is not in use. */
  #evictSpare(): void {
    const [oldest] = this.all
      .filter((path) => path !== this.#active)
      .sort((a, b) => a.sinceMs - b.sinceMs);
    if (oldest) this.#delete(oldest);
  }

  /** Makes room for one more by dropping the oldest that does not work, first one that nobody vouches for. */
  #evict(): boolean {
    const rank = (path: LinkPath) => (isLasting(path.source) ? 2 : 0) + (path.isProven ? 1 : 0);
    const victim = this.all
      .filter((path) => path.state !== 'working' && path !== this.#active)
      .sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs)[0];
    if (victim) this.#delete(victim);
    return victim !== undefined;
  }

  #switchTo(
    path: LinkPath,
    reason: string,
    nowMs: number,
    from: PathAddress | undefined = this.#active?.address,
  ): void {
    this.#active = path;
    this.#activeFrameMs = 0;
    this.#lastSwitch = { atMs: nowMs, from, to: path.address, reason };
    for (const other of this.all) other.betterSinceMs = undefined;
  }

  #roam(nowMs: number): PathProbe[] {
    const roaming = this.#roaming;
    if (!roaming) return [];
    const { candidate, old } = roaming;
    if (nowMs >= roaming.untilMs) {
      this.#roaming = undefined;
      const isMoved = roaming.isMoved && this.#active === old;
      if (isMoved) this.#switchTo(candidate, 'the peer moved', nowMs);
      return [];
    }
    if (!roaming.onDeadline(nowMs)) return [];
    return [candidate, old].map((path) => ({ path: path.id, bytes: ALIVE_PROBE_BYTES }));
  }

  #askAll(nowMs: number): PathProbe[] {
    const failover = this.#failover;
    if (!failover) return [];
    const isAsking = failover.onDeadline(nowMs);
    if (failover.isOver(nowMs)) this.#failover = undefined;
    if (!isAsking) return [];
    return this.all
      .filter((path) => path.state === 'working')
      .map((path) => ({ path: path.id, bytes: ALIVE_PROBE_BYTES }));
  }

  #compare(nowMs: number, counters: CountersOf): PathProbe[] {
    const active = this.#active;
    const working = this.all.filter((path) => path.state === 'working');
    if (active?.state !== 'working' || working.length < 2) return [];
    for (const path of working) {
      path.cost = pathCost(counters(path.id), path.address, path.hops)?.cost;
    }
    const probes = this.#askSpares(active, working, counters(active.id), nowMs);
    const better = this.#choice.compare(active, working, nowMs);
    if (better) {
      const reason = `cost ${(better.cost ?? 0).toFixed(1)} instead of ${(active.cost ?? 0).toFixed(1)}`;
      this.#switchTo(better, reason, nowMs);
    }
    return probes;
  }

  /** While traffic flows the other ways are worth knowing better than a PING every 15 s tells. */
  #askSpares(
    active: LinkPath,
    working: readonly LinkPath[],
    counters: PathCounters | undefined,
    nowMs: number,
  ): PathProbe[] {
    const lastFrameMs = counters?.lastFrameMs ?? 0;
    const isBusy = this.#activeFrameMs > 0 && lastFrameMs !== this.#activeFrameMs;
    this.#activeFrameMs = lastFrameMs;
    if (!isBusy || nowMs < this.#spareAskMs) return [];
    this.#spareAskMs = nowMs + SPARE_EVERY_MS;
    return working.filter((path) => path !== active).map((path) => ({ path: path.id, bytes: 0 }));
  }
}

/** When a candidate is forgotten that does not work and that nobody vouches for. */
function forgetAtMs(path: LinkPath): number {
  if (isLasting(path.source)) return Number.POSITIVE_INFINITY;
  return path.sinceMs + (path.state === 'untried' ? CANDIDATE_SILENT_MS : DEAD_PATH_KEEP_MS);
}

/** Largest datagram worth sending to a peer that accepts `peerMaxBytes`. */
export function usefulDatagramBytes(wantedBytes: number, peerMaxBytes: number): number {
  return Math.max(PMTU_FLOOR_BYTES, Math.min(wantedBytes, peerMaxBytes));
}
