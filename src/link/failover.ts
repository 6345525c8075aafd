import { FAILOVER_ASKS_MS, FAILOVER_MS } from './constants.js';

/*
 * After the death of the path in use (docs/protocol.md §6): others that worked may have died with it, by the same cut,
 * and their clocks will not say so for a while. All of them are asked at once, and the first that answers is taken
 * unless the one taken in the meantime answers itself.
 *
 *   dead ── best of the others in use, all asked ──► one answers: that one ──► later by cost, as ever
 */
export class Failover {
  readonly #startedAtMs: number;
  #asked = 0;

  constructor(nowMs: number) {
    this.#startedAtMs = nowMs;
  }

  get nextDeadlineMs(): number {
    const afterMs = FAILOVER_ASKS_MS[this.#asked] ?? FAILOVER_MS;
    return this.#startedAtMs + afterMs;
  }

  isOver(nowMs: number): boolean {
    return nowMs >= this.#startedAtMs + FAILOVER_MS;
  }

  /** @returns whether all are to be asked now. */
  onDeadline(nowMs: number): boolean {
    if (nowMs < this.nextDeadlineMs || this.#asked >= FAILOVER_ASKS_MS.length) return false;
    this.#asked += 1;
    return true;
  }
}
