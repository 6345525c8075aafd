import { shortPeerId, type PeerId } from '../model/peer-id.js';
import type { RecordActions } from './actions.js';
import { LEASE_MS } from './constants.js';
import { Lease } from './lease.js';
import { numberValue } from './persistence.js';

export interface MembershipOptions {
  readonly nowMs: number;
  /** Wall clock, ms: how long somebody is known. */
  readonly wallMs: () => number;
  /** Counted silence after which a peer is hidden. */
  readonly leaseMs?: number | undefined;
  /** Silence after which a peer may be removed. */
  readonly removalSilenceMs: number;
}

/**
 * How this node knows those who sign records: since when, when it last heard them, and whose lease has ended. Those are
 * hidden: what they said does not count until they come back.
 */
export class Membership {
  readonly #lease: Lease;
  readonly #leaseMs: number;
  readonly #wallMs: () => number;
  readonly #met = new Set<PeerId>();
  readonly #hidden = new Set<PeerId>();
  /** Wall clock of the first record. */
  readonly #since = new Map<PeerId, number>();

  constructor({ nowMs, wallMs, leaseMs, removalSilenceMs }: MembershipOptions) {
    this.#lease = new Lease(nowMs, removalSilenceMs);
    this.#leaseMs = leaseMs ?? LEASE_MS;
    this.#wallMs = wallMs;
  }

  restoreSince(peer: PeerId, wallMs: number): void {
    this.#since.set(peer, wallMs);
  }

  restoreLease(countedMs: number | undefined, heard: Iterable<readonly [PeerId, number]>): void {
    this.#lease.restore(countedMs, heard);
  }

  get hidden(): ReadonlySet<PeerId> {
    return this.#hidden;
  }

  /** A handshake with it was completed, now or ever. */
  hasMet(peer: PeerId): boolean {
    return this.#met.has(peer);
  }

  noteMet(peer: PeerId): void {
    this.#met.add(peer);
  }

  /** There is a session with it. */
  noteSession(peer: PeerId, nowMs: number): void {
    this.#lease.met(peer, nowMs);
  }

  /** Monotonic time of the last session with it in this run. */
  lastMetMs(peer: PeerId): number | undefined {
    return this.#lease.lastMetMs(peer);
  }

  /** Since its first record came, wall clock; negative without one. */
  knownForMs(peer: PeerId): number {
    return this.#wallMs() - (this.#since.get(peer) ?? Infinity);
  }

  /** It signed a record. */
  noteRecord(peer: PeerId, out: RecordActions): void {
    if (this.#since.has(peer)) return;
    const since = this.#wallMs();
    this.#since.set(peer, since);
    out.persist(`n/since/${peer}`, numberValue(since));
  }

  /** It has a live session, or sent something new. @returns whether it was hidden until now */
  noteAlive(peer: PeerId, nowMs: number, out: RecordActions): boolean {
    const write = this.#lease.heard(peer, nowMs);
    if (write !== undefined) out.persist(`n/heard/${peer}`, numberValue(write));
    if (!this.#hidden.delete(peer)) return false;
    out.event({
      level: 'info',
      code: 'peer-returned',
      message: `Peer ${shortPeerId(peer)} is back after its lease had ended`,
      peer,
    });
    return true;
  }

  /** Whether it has given no sign of life for so long that it may be removed. */
  isSilent(peer: PeerId, nowMs: number): boolean {
    return this.#lease.isSilent(peer, nowMs);
  }

  /** Monotonic time of the last sign of life in this run. */
  lastHeardMs(peer: PeerId): number | undefined {
    return this.#lease.lastHeardMs(peer);
  }

  onCompany(hasCompany: boolean, nowMs: number): void {
    this.#lease.onCompany(hasCompany, nowMs);
  }

  onSynced(nowMs: number): void {
    this.#lease.onSynced(nowMs);
  }

  /** Moves the clock that leases are counted by. */
  advance(nowMs: number, out: RecordActions): void {
    const counted = this.#lease.countedMs;
    this.#lease.advance(nowMs);
    if (this.#lease.countedMs === counted) return;
    out.persist('n/counted', numberValue(this.#lease.countedMs));
  }

  /** Whether any lease may end now. */
  mayExpire(nowMs: number): boolean {
    return this.#lease.mayExpire(nowMs);
  }

  /** Hides the peer when its lease has ended. @returns whether it did */
  expire(peer: PeerId, out: RecordActions): boolean {
    if (this.#lease.silenceMs(peer) < this.#leaseMs) return false;
    this.#hidden.add(peer);
    out.event({
      level: 'info',
      code: 'peer-expired',
      message: `Peer ${shortPeerId(peer)} was silent for its whole lease; what it said no longer counts`,
      peer,
    });
    return true;
  }

  /** All but that it was met. */
  forget(peer: PeerId, out: RecordActions): void {
    this.#hidden.delete(peer);
    this.#since.delete(peer);
    this.#lease.forget(peer);
    out.persist(`n/heard/${peer}`, undefined);
    out.persist(`n/since/${peer}`, undefined);
  }
}
