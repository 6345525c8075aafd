import type { LinkPath } from './candidate.js';

/*
 * A peer that may have moved (docs/protocol.md §6 "Roaming"): something authentic came from an unknown address. Both it
 * and the path in use are asked; the new one takes over only when it answers and the old one does not, so that somebody
 * who merely repeats the peer's datagrams from elsewhere gets nothing.
 */

const ANSWER_MS = 600;
const ASKS = 3;
const ASK_EVERY_MS = 150;

export class Roaming {
  readonly candidate: LinkPath;
  readonly old: LinkPath;
  readonly untilMs: number;
  #oldAnswered = false;
  #asksLeft = ASKS;
  #nextAskMs: number;

  constructor(candidate: LinkPath, old: LinkPath, nowMs: number) {
    this.candidate = candidate;
    this.old = old;
    this.untilMs = nowMs + Math.max(ANSWER_MS, 3 * old.rttMs);
    this.#nextAskMs = nowMs;
  }

  get nextDeadlineMs(): number {
    return this.#asksLeft > 0 ? Math.min(this.untilMs, this.#nextAskMs) : this.untilMs;
  }

  /** The peer moved there, as far as the time for answers can tell. */
  get isMoved(): boolean {
    return !this.#oldAnswered && this.candidate.state === 'working';
  }

  onAnswered(path: LinkPath): void {
    if (path === this.old) this.#oldAnswered = true;
  }

  /** @returns whether both are to be asked now. */
  onDeadline(nowMs: number): boolean {
    if (this.#asksLeft === 0 || nowMs < this.#nextAskMs) return false;
    this.#asksLeft -= 1;
    this.#nextAskMs = nowMs + ASK_EVERY_MS;
    return true;
  }
}
