import type { PathCounters } from '../dataplane/dataplane.js';
import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import {
  CANDIDATE_SILENT_MS,
  COST_CHECK_MS,
  DEAD_PATH_KEEP_MS,
  PATHS_PER_PEER,
  PMTU_FLOOR_BYTES,
  SWITCH_AFTER_MS,
  SWITCH_FACTOR,
  SWITCH_HOLD_MS,
  SWITCH_LESS_MS,
} from './constants.js';
import { pathCost } from './path-cost.js';
import { PmtuSearch } from './pmtu.js';

/*
 * The ways to one peer and the one in use (docs/protocol.md §6).
 *
 *   untried ── handshake or PONG on it ──► working ── data plane's clock says so ──► dead ── PONG ──► working
 *
 * One rule of choice: change when the active path is dead, or when a working one costs ≤ 0.8 × and ≥ 0.5 ms less for
 * 5 s; hold 10 s after a voluntary change. An address that only *appeared* as a source (roaming) is a candidate: it is
 * PINGed together with the old one and takes over when it answers and the old one does not.
 */

export type LinkPathState = 'untried' | 'working' | 'dead';

export interface LinkPath {
  readonly id: number;
  readonly address: PathAddress;
  readonly pmtu: PmtuSearch;
  readonly createdAtMs: number;
  state: LinkPathState;
  rttMs: number;
  sinceMs: number;
  /** Since when it is better than the active one by the rule. */
  betterSinceMs: number | undefined;
}

export interface PathSwitch {
  readonly atMs: number;
  readonly from: PathAddress | undefined;
  readonly to: PathAddress | undefined;
  readonly reason: string;
}

export interface PathProbe {
  readonly path: number;
  readonly bytes: number;
}

/** The old and the new address are asked together; the old one has until `untilMs` to answer. */
interface Roaming {
  readonly candidate: number;
  readonly old: number;
  readonly untilMs: number;
  oldAnswered: boolean;
  asksLeft: number;
  nextAskMs: number;
}

const ROAMING_ANSWER_MS = 600;
const ROAMING_ASKS = 3;
const ROAMING_ASK_EVERY_MS = 150;
/** Small enough for any path; an answer of this size says alive, nothing about the size. */
const ALIVE_PROBE_BYTES = 100;

export class PathSet {
  readonly #paths = new Map<number, LinkPath>();
  readonly #takeId: () => number;
  readonly #usefulBytes: number;
  #activeId = 0;
  #lastSwitch: PathSwitch | undefined;
  #holdUntilMs = 0;
  #costCheckMs = 0;
  #roaming: Roaming | undefined;

  constructor(takeId: () => number, usefulBytes: number) {
    this.#takeId = takeId;
    this.#usefulBytes = usefulBytes;
  }

  get all(): readonly LinkPath[] {
    return [...this.#paths.values()];
  }

  get active(): LinkPath | undefined {
    return this.#paths.get(this.#activeId);
  }

  get lastSwitch(): PathSwitch | undefined {
    return this.#lastSwitch;
  }

  get hasWorking(): boolean {
    return this.all.some((path) => path.state === 'working');
  }

  get(id: number): LinkPath | undefined {
    return this.#paths.get(id);
  }

  find(address: PathAddress): LinkPath | undefined {
    const text = formatPathAddress(address);
    return this.all.find((path) => formatPathAddress(path.address) === text);
  }

  get nextDeadlineMs(): number {
    let next = this.#roaming
      ? Math.min(
          this.#roaming.untilMs,
          this.#roaming.asksLeft > 0 ? this.#roaming.nextAskMs : Number.POSITIVE_INFINITY,
        )
      : Number.POSITIVE_INFINITY;
    let working = 0;
    for (const path of this.#paths.values()) {
      if (path.state === 'working') {
        working += 1;
        next = Math.min(next, path.pmtu.nextDeadlineMs);
      } else if (path.id !== this.#activeId) {
        next = Math.min(next, path.sinceMs + keepMs(path));
      }
    }
    return working > 1 ? Math.min(next, this.#costCheckMs) : next;
  }

  /** A handshake was finished over this address: it works. Replaces an active path that is not known to. */
  prove(address: PathAddress, nowMs: number): LinkPath {
    const known = this.find(address);
    // The data plane's clock of a dead path would not report a second death: begin a new one.
    if (known && known.state === 'dead') this.#paths.delete(known.id);
    const path = this.find(address) ?? this.#add(address, nowMs);
    if (path.state !== 'working') this.#enterWorking(path, nowMs);
    if (this.active?.state !== 'working') this.#switchTo(path, 'handshake', nowMs);
    return path;
  }

  /** A candidate that somebody vouches for or that appeared as a source. */
  addCandidate(address: PathAddress, nowMs: number): LinkPath | undefined {
    const known = this.find(address);
    if (known) return known;
    if (this.#paths.size >= PATHS_PER_PEER && !this.#evict()) return undefined;
    return this.#add(address, nowMs);
  }

  /** Something authentic and newest came from an unknown address. */
  onSeen(address: PathAddress, nowMs: number): PathProbe[] {
    const candidate = this.addCandidate(address, nowMs);
    const old = this.active;
    if (!candidate || !old || candidate.id === old.id || this.#roaming) return [];
    this.#roaming = {
      candidate: candidate.id,
      old: old.id,
      untilMs: nowMs + Math.max(ROAMING_ANSWER_MS, 3 * old.rttMs),
      oldAnswered: false,
      asksLeft: ROAMING_ASKS,
      nextAskMs: nowMs,
    };
    return this.#askBoth(nowMs);
  }

  onAlive(id: number, rttUs: number, nowMs: number): void {
    const path = this.#paths.get(id);
    if (!path) return;
    path.rttMs = rttUs / 1000;
    const wasDead = path.state === 'dead';
    if (path.state !== 'working') this.#enterWorking(path, nowMs);
    if (wasDead) path.pmtu.onRecovered(nowMs);
    if (this.active?.state !== 'working') this.#switchTo(path, 'it answers again', nowMs);
  }

  onDead(id: number, nowMs: number): void {
    const path = this.#paths.get(id);
    if (!path || path.state === 'dead') return;
    path.state = 'dead';
    path.sinceMs = nowMs;
    path.betterSinceMs = undefined;
    if (id === this.#activeId) this.#leaveDead(nowMs);
  }

  onProbeAnswered(id: number, bytes: number, rttUs: number, nowMs: number): void {
    const path = this.#paths.get(id);
    if (!path) return;
    path.rttMs = rttUs / 1000;
    if (this.#roaming?.old === id) this.#roaming.oldAnswered = true;
    if (path.state !== 'working') this.onAlive(id, rttUs, nowMs);
    path.pmtu.onAnswered(bytes, nowMs);
  }

  onTooBig(id: number, bytes: number, nowMs: number): void {
    this.#paths.get(id)?.pmtu.onTooBig(bytes, nowMs);
  }

  /** @returns probes to send. `counters` is asked only when costs are compared. */
  onDeadline(nowMs: number, counters: (path: number) => PathCounters | undefined): PathProbe[] {
    const probes: PathProbe[] = [];
    for (const path of this.all) {
      if (path.state === 'working') {
        for (const bytes of path.pmtu.onDeadline(nowMs, path.rttMs)) {
          probes.push({ path: path.id, bytes });
        }
      } else if (path.id !== this.#activeId && nowMs >= path.sinceMs + keepMs(path)) {
        this.#paths.delete(path.id);
      }
    }
    probes.push(...this.#roam(nowMs));
    if (nowMs >= this.#costCheckMs) {
      this.#costCheckMs = nowMs + COST_CHECK_MS;
      this.#compare(nowMs, counters);
    }
    return probes;
  }

  clear(): void {
    this.#paths.clear();
    this.#activeId = 0;
    this.#roaming = undefined;
  }

  #add(address: PathAddress, nowMs: number): LinkPath {
    const path: LinkPath = {
      id: this.#takeId(),
      address,
      pmtu: new PmtuSearch(this.#usefulBytes),
      createdAtMs: nowMs,
      state: 'untried',
      rttMs: 0,
      sinceMs: nowMs,
      betterSinceMs: undefined,
    };
    this.#paths.set(path.id, path);
    return path;
  }

  #enterWorking(path: LinkPath, nowMs: number): void {
    path.state = 'working';
    path.sinceMs = nowMs;
    path.pmtu.begin(nowMs);
  }

  /** Makes room for one more by dropping the oldest that does not work. */
  #evict(): boolean {
    const victim = this.all
      .filter((path) => path.state !== 'working' && path.id !== this.#activeId)
      .sort((a, b) => a.sinceMs - b.sinceMs)[0];
    if (victim) this.#paths.delete(victim.id);
    return victim !== undefined;
  }

  #leaveDead(nowMs: number): void {
    const working = this.all.filter((path) => path.state === 'working');
    const best = working.sort((a, b) => a.rttMs - b.rttMs)[0];
    if (best) this.#switchTo(best, 'the path in use is dead', nowMs);
  }

  #switchTo(path: LinkPath, reason: string, nowMs: number): void {
    const from = this.active?.address;
    this.#activeId = path.id;
    this.#lastSwitch = { atMs: nowMs, from, to: path.address, reason };
    for (const other of this.#paths.values()) other.betterSinceMs = undefined;
  }

  #askBoth(nowMs: number): PathProbe[] {
    const roaming = this.#roaming;
    if (!roaming) return [];
    roaming.asksLeft -= 1;
    roaming.nextAskMs = nowMs + ROAMING_ASK_EVERY_MS;
    return [
      { path: roaming.candidate, bytes: ALIVE_PROBE_BYTES },
      { path: roaming.old, bytes: ALIVE_PROBE_BYTES },
    ];
  }

  #roam(nowMs: number): PathProbe[] {
    const roaming = this.#roaming;
    if (!roaming) return [];
    if (nowMs >= roaming.untilMs) {
      this.#roaming = undefined;
      const candidate = this.#paths.get(roaming.candidate);
      const isMoved = !roaming.oldAnswered && candidate?.state === 'working';
      if (isMoved && this.#activeId === roaming.old) {
        this.#switchTo(candidate, 'the peer moved', nowMs);
      }
      return [];
    }
    return roaming.asksLeft > 0 && nowMs >= roaming.nextAskMs ? this.#askBoth(nowMs) : [];
  }

  #compare(nowMs: number, counters: (path: number) => PathCounters | undefined): void {
    const active = this.active;
    if (!active || active.state !== 'working' || this.#paths.size < 2) return;
    const now = pathCost(counters(active.id))?.cost;
    if (now === undefined) return;
    for (const path of this.all) {
      if (path.id === active.id || path.state !== 'working') continue;
      const cost = pathCost(counters(path.id))?.cost;
      const fits = path.pmtu.isSettled || path.pmtu.bytes >= active.pmtu.bytes;
      const isBetter =
        cost !== undefined && fits && cost <= SWITCH_FACTOR * now && now - cost >= SWITCH_LESS_MS;
      if (!isBetter) {
        path.betterSinceMs = undefined;
        continue;
      }
      path.betterSinceMs ??= nowMs;
      if (nowMs - path.betterSinceMs >= SWITCH_AFTER_MS && nowMs >= this.#holdUntilMs) {
        this.#switchTo(path, `cost ${cost.toFixed(1)} instead of ${now.toFixed(1)}`, nowMs);
        this.#holdUntilMs = nowMs + SWITCH_HOLD_MS;
        return;
      }
    }
  }
}

function keepMs(path: LinkPath): number {
  return path.state === 'untried' ? CANDIDATE_SILENT_MS : DEAD_PATH_KEEP_MS;
}

/** Largest datagram worth sending to a peer that accepts `peerMaxBytes`. */
export function usefulDatagramBytes(wantedBytes: number, peerMaxBytes: number): number {
  return Math.max(PMTU_FLOOR_BYTES, Math.min(wantedBytes, peerMaxBytes));
}
