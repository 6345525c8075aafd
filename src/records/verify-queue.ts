import { TokenBucket } from '../base/token-bucket.js';
import type { PeerId } from '../model/peer-id.js';
import {
  BAD_SIGNATURES_BURST,
  BAD_SIGNATURES_PER_SECOND,
  DEAF_MS,
  VERIFY_MAX_QUEUED_PER_NEIGHBOUR,
} from './constants.js';
import type { SignedRecord } from './signed-record.js';

/** A record that waits for its signature to be looked at. */
export interface Waiting {
  readonly record: SignedRecord;
  readonly from: PeerId;
  /** Small enough an answer, or a push: worth telling others. */
  readonly isNews: boolean;
}

interface Neighbour {
  /** By owner: each is served in turn. */
  readonly owners: Map<PeerId, Waiting[]>;
  count: number;
  readonly badSignatures: TokenBucket;
  deafUntilMs: number;
}

/**
 * Verifying costs, so it waits in line: neighbours are served in turn, and within one the owners, so that nobody who
 * floods delays the others. A neighbour that passes on forgeries is not listened to for a minute.
 */
export class VerifyQueue {
  readonly #neighbours = new Map<PeerId, Neighbour>();
  readonly #hashes = new Set<string>();
  /** Neighbours with something that waits, in turn. */
  #line: PeerId[] = [];

  get size(): number {
    return this.#hashes.size;
  }

  add(waiting: Waiting, nowMs: number): void {
    const { record, from } = waiting;
    if (this.#hashes.has(record.hash)) return;
    const neighbour = this.#neighbourOf(from);
    if (nowMs < neighbour.deafUntilMs || neighbour.count >= VERIFY_MAX_QUEUED_PER_NEIGHBOUR) return;
    this.#hashes.add(record.hash);
    neighbour.count += 1;
    if (neighbour.count === 1) this.#line.push(from);
    const queue = neighbour.owners.get(record.owner);
    if (queue) queue.push(waiting);
    else neighbour.owners.set(record.owner, [waiting]);
  }

  take(): Waiting | undefined {
    const id = this.#line.shift();
    const neighbour = id === undefined ? undefined : this.#neighbours.get(id);
    const [next] = neighbour?.owners ?? [];
    if (id === undefined || !neighbour || !next) return undefined;
    const [owner, queue] = next;
    const waiting = queue.shift();
    // To the end of both lines.
    neighbour.owners.delete(owner);
    if (queue.length > 0) neighbour.owners.set(owner, queue);
    neighbour.count -= 1;
    if (neighbour.count > 0) this.#line.push(id);
    if (waiting) this.#hashes.delete(waiting.record.hash);
    return waiting;
  }

  /** @returns true when the neighbour is not listened to from now on. */
  onForged(from: PeerId, nowMs: number): boolean {
    const neighbour = this.#neighbourOf(from);
    if (neighbour.badSignatures.take(nowMs)) return false;
    neighbour.deafUntilMs = nowMs + DEAF_MS;
    for (const queue of neighbour.owners.values()) {
      for (const { record } of queue) this.#hashes.delete(record.hash);
    }
    neighbour.owners.clear();
    neighbour.count = 0;
    this.#line = this.#line.filter((id) => id !== from);
    return true;
  }

  isDeafTo(from: PeerId, nowMs: number): boolean {
    return nowMs < (this.#neighbours.get(from)?.deafUntilMs ?? 0);
  }

  /** Forgets who is no neighbour any more, but for those not listened to. */
  keep(neighbours: ReadonlySet<PeerId>, nowMs: number): void {
    for (const [id, neighbour] of this.#neighbours) {
      if (neighbours.has(id) || neighbour.count > 0 || nowMs < neighbour.deafUntilMs) continue;
      this.#neighbours.delete(id);
    }
  }

  #neighbourOf(id: PeerId): Neighbour {
    let neighbour = this.#neighbours.get(id);
    if (!neighbour) {
      const badSignatures = new TokenBucket(BAD_SIGNATURES_BURST, BAD_SIGNATURES_PER_SECOND);
      neighbour = { owners: new Map(), count: 0, badSignatures, deafUntilMs: 0 };
      this.#neighbours.set(id, neighbour);
    }
    return neighbour;
  }
}
