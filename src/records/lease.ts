import type { PeerId } from '../model/peer-id.js';
import {
  COUNT_IF_SYNCED_MS,
  EXPIRY_GRACE_MS,
  LEASE_TICK_MS,
  REMOVAL_SILENCE_MS,
} from './constants.js';

/** The clock of a peer is written again when it moved this far. */
const HEARD_STEP_MS = 10 * LEASE_TICK_MS;

/**
 * How long peers have been silent (docs/protocol.md §5). One clock counts, and only while this node has company and
 * synchronised in the last minute; a peer's silence is how far that clock went since it was heard. So a laptop that
 * slept for three days expires nobody, and a sleeping mesh nobody either.
 */
export class Lease {
  readonly #startedMs: number;
  readonly #removalSilenceMs: number;
  #countedMs = 0;
  #atMs: number;
  #companySinceMs: number | undefined;
  #syncedAtMs = -Infinity;
  readonly #heardCounted = new Map<PeerId, number>();
  readonly #heardWritten = new Map<PeerId, number>();
  /** Monotonic, of this run. */
  readonly #heardMs = new Map<PeerId, number>();
  readonly #metMs = new Map<PeerId, number>();

  constructor(nowMs: number, removalSilenceMs: number = REMOVAL_SILENCE_MS) {
    this.#removalSilenceMs = removalSilenceMs;
    this.#startedMs = nowMs;
    this.#atMs = nowMs;
  }

  restore(countedMs: number | undefined, heard: Iterable<readonly [PeerId, number]>): void {
    if (countedMs !== undefined) this.#countedMs = countedMs;
    for (const [peer, at] of heard) {
      this.#heardCounted.set(peer, at);
      this.#heardWritten.set(peer, at);
    }
  }

  get countedMs(): number {
    return this.#countedMs;
  }

  onCompany(hasCompany: boolean, nowMs: number): void {
    this.advance(nowMs);
    if (!hasCompany) this.#companySinceMs = undefined;
    else this.#companySinceMs ??= nowMs;
  }

  onSynced(nowMs: number): void {
    this.advance(nowMs);
    this.#syncedAtMs = nowMs;
  }

  /** Moves the lease clock over the part of the time that counts. */
  advance(nowMs: number): void {
    const from = Math.max(this.#atMs, this.#companySinceMs ?? Infinity);
    const until = Math.min(nowMs, this.#syncedAtMs + COUNT_IF_SYNCED_MS);
    if (until > from) this.#countedMs += until - from;
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** @returns what to write for this peer, when it is time to. */
  heard(peer: PeerId, nowMs: number): number | undefined {
    this.advance(nowMs);
    this.#heardMs.set(peer, nowMs);
    this.#heardCounted.set(peer, this.#countedMs);
    const written = this.#heardWritten.get(peer);
    if (written !== undefined && this.#countedMs - written < HEARD_STEP_MS) return undefined;
    this.#heardWritten.set(peer, this.#countedMs);
    return this.#countedMs;
  }

  /** There is a session with it. */
  met(peer: PeerId, nowMs: number): void {
    this.#metMs.set(peer, nowMs);
  }

  forget(peer: PeerId): void {
    this.#heardMs.delete(peer);
    this.#metMs.delete(peer);
    this.#heardCounted.delete(peer);
    this.#heardWritten.delete(peer);
  }

  /** Counted silence; 0 for a peer that was never heard of. */
  silenceMs(peer: PeerId): number {
    return this.#countedMs - (this.#heardCounted.get(peer) ?? this.#countedMs);
  }

  /** Monotonic time of the last sign of life in this run. */
  lastHeardMs(peer: PeerId): number | undefined {
    return this.#heardMs.get(peer);
  }

  /** Monotonic time of the last session with it in this run. */
  lastMetMs(peer: PeerId): number | undefined {
    return this.#metMs.get(peer);
  }

  /** Since when a peer may be silent for a removal: not before this run began. */
  isSilent(peer: PeerId, nowMs: number): boolean {
    return nowMs - (this.#heardMs.get(peer) ?? this.#startedMs) >= this.#removalSilenceMs;
  }

  /** Whether anything may expire now. */
  mayExpire(nowMs: number): boolean {
    return (
      this.#companySinceMs !== undefined &&
      nowMs - Math.max(this.#companySinceMs, this.#startedMs) >= EXPIRY_GRACE_MS
    );
  }
}
