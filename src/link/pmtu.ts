import {
  PMTU_AFTER_CHANGE_MS,
  PMTU_AFTER_RECOVERY_MS,
  PMTU_AGAIN_MS,
  PMTU_EAGER_AGAIN_MS,
  PMTU_EAGER_MS,
  PMTU_FLOOR_BYTES,
  PMTU_START_BYTES,
  PMTU_STEP_BYTES,
  PMTU_TRIES,
} from './constants.js';

/*
 * The largest datagram of one path, by padded PINGs (docs/protocol.md §8, after RFC 8899).
 *
 *   floor 548 ──────── start 1200 ─────────────────────── useful (frames of the interface's MTU fit)
 *               used unproven until                asked for first, together with start:
 *               its probes fail                    on most underlays the search ends after one round trip
 *
 * Otherwise the gap between the largest answered and the smallest refused size is halved. When what is in use turns out
 * too big and nobody says what is not, the floor is used until the search has found more: each size tried in between
 * would cost the traffic a second. Upwards again every 5 s for two minutes after such a fall (a route that changed once
 * changes back), every 10 minutes otherwise, and 5 s after a recovery. ICMP is never needed.
 */

interface Pending {
  readonly bytes: number;
  tries: number;
  nextAtMs: number;
}

export class PmtuSearch {
  readonly #usefulBytes: number;
  #answeredBytes = PMTU_FLOOR_BYTES;
  #refusedBytes: number;
  /** Used without proof until its own probes fail. */
  #assumedBytes: number;
  #pending: Pending[] = [];
  #isDone = false;
  #againAtMs = Number.POSITIVE_INFINITY;
  /** What was in use before the last fall, worth asking for first; 0: never fell, or is there again. */
  #formerBytes = 0;
  #eagerUntilMs = 0;

  /** `usefulBytes`: nothing larger is ever sent. */
  constructor(usefulBytes: number) {
    this.#usefulBytes = Math.max(PMTU_FLOOR_BYTES, usefulBytes);
    this.#refusedBytes = this.#usefulBytes + 1;
    this.#assumedBytes = Math.min(PMTU_START_BYTES, this.#usefulBytes);
  }

  /** What the path may carry now. */
  get bytes(): number {
    return Math.max(this.#answeredBytes, this.#assumedBytes);
  }

  /** The search came to an end at `bytes`. */
  get isSettled(): boolean {
    return this.#isDone;
  }

  get nextDeadlineMs(): number {
    let next = this.#againAtMs;
    for (const pending of this.#pending) next = Math.min(next, pending.nextAtMs);
    return next;
  }

  /** The path works: look for its size from scratch, keeping what is in use. */
  begin(nowMs: number): void {
    this.#isDone = false;
    this.#againAtMs = Number.POSITIVE_INFINITY;
    this.#refusedBytes = this.#usefulBytes + 1;
    this.#assumedBytes = this.bytes;
    this.#answeredBytes = PMTU_FLOOR_BYTES;
    this.#pending = [];
    this.#ask(this.#usefulBytes, nowMs);
    this.#ask(this.#formerBytes, nowMs);
    this.#ask(this.#assumedBytes, nowMs);
  }

  /** The path came back from the dead: its size may be another. */
  onRecovered(nowMs: number): void {
    this.#againAtMs = Math.min(this.#againAtMs, nowMs + PMTU_AFTER_RECOVERY_MS);
  }

  /** The network of this host changed: the route may be another, with another size. */
  onNetworkChange(nowMs: number): void {
    this.#againAtMs = Math.min(this.#againAtMs, nowMs + PMTU_AFTER_CHANGE_MS);
  }

  onAnswered(bytes: number, nowMs: number): void {
    if (bytes <= this.#answeredBytes || bytes > this.#usefulBytes) return;
    this.#answeredBytes = bytes;
    if (bytes >= this.#formerBytes) this.#formerBytes = 0;
    if (this.#refusedBytes <= bytes) this.#refusedBytes = this.#usefulBytes + 1;
    this.#pending = this.#pending.filter((pending) => pending.bytes > bytes);
    if (this.#pending.length === 0) this.#continue(nowMs);
  }

  /** The kernel refused the size, or nothing above `bytes` arrives. Above what is in use it only ends a probe. */
  onTooBig(bytes: number, nowMs: number): void {
    if (bytes > this.bytes) {
      for (const pending of this.#pending) {
        if (pending.bytes >= bytes) this.#refuse(pending.bytes, nowMs);
      }
      return;
    }
    const isBelow = bytes < this.bytes && bytes >= PMTU_FLOOR_BYTES;
    this.#fall(isBelow ? bytes : PMTU_FLOOR_BYTES, nowMs);
    this.#answeredBytes = PMTU_FLOOR_BYTES;
    this.begin(nowMs);
  }

  /** @returns sizes to probe now. `rttMs` spaces the tries. */
  onDeadline(nowMs: number, rttMs: number): number[] {
    if (nowMs >= this.#againAtMs) this.begin(nowMs);
    const sizes: number[] = [];
    for (const pending of this.#pending) {
      if (nowMs < pending.nextAtMs) continue;
      if (pending.tries >= PMTU_TRIES) {
        this.#refuse(pending.bytes, nowMs);
        continue;
      }
      pending.tries += 1;
      pending.nextAtMs = nowMs + Math.min(2000, Math.max(250, 4 * rttMs));
      sizes.push(pending.bytes);
    }
    for (const pending of this.#pending) {
      if (pending.tries === 0 && pending.nextAtMs <= nowMs) {
        pending.tries = 1;
        pending.nextAtMs = nowMs + Math.min(2000, Math.max(250, 4 * rttMs));
        sizes.push(pending.bytes);
      }
    }
    return sizes;
  }

  #ask(bytes: number, nowMs: number): void {
    if (bytes <= this.#answeredBytes || this.#pending.some((other) => other.bytes === bytes))
      return;
    this.#pending.push({ bytes, tries: 0, nextAtMs: nowMs });
  }

  #refuse(bytes: number, nowMs: number): void {
    this.#pending = this.#pending.filter((pending) => pending.bytes !== bytes);
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
    if (bytes <= this.#assumedBytes && this.#answeredBytes < bytes) {
      this.#fall(PMTU_FLOOR_BYTES, nowMs);
    }
    if (this.#pending.length === 0) this.#continue(nowMs);
  }

  #fall(toBytes: number, nowMs: number): void {
    this.#formerBytes = Math.max(this.#formerBytes, this.bytes);
    this.#eagerUntilMs = nowMs + PMTU_EAGER_MS;
    this.#assumedBytes = toBytes;
  }

  /** Halves the gap until it is not worth another round. */
  #continue(nowMs: number): void {
    const gap = this.#refusedBytes - this.#answeredBytes;
    if (this.#answeredBytes >= this.#usefulBytes || gap <= PMTU_STEP_BYTES) {
      this.#assumedBytes = PMTU_FLOOR_BYTES;
      this.#isDone = true;
      const isEager = this.#answeredBytes < this.#usefulBytes && nowMs < this.#eagerUntilMs;
      this.#againAtMs = nowMs + (isEager ? PMTU_EAGER_AGAIN_MS : PMTU_AGAIN_MS);
      return;
    }
    this.#ask(this.#answeredBytes + Math.floor(gap / 2), nowMs);
  }
}
