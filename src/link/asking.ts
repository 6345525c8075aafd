import type { TokenBucket } from '../base/token-bucket.js';
import {
  ASK_FIRST_PAUSE_MS,
  ASK_MS,
  ASK_PAUSE_MS,
  ASK_PAUSE_RELAYED_MS,
  PUNCH_PING_EVERY_MS,
  PUNCH_PINGS,
  STRANGER_PAUSE_MS,
  STRANGER_ROUNDS,
  STRANGER_SPEAK_MS,
} from './constants.js';

/*
 * When a candidate that does not work is asked (docs/protocol.md §6 "tried for ever"). Only while it is asked is it a
 * path of the data plane, whose clock sends the PINGs:
 *
 *   resting ── due ──► asking: speaks, then only listens ── nobody answered ──► resting, longer each time
 *                                                        └─ PONG ──► works, and this is not needed any more
 *
 * An address from which nothing authentic ever came may be a victim's: it gets one PING a round, three rounds, then one
 * an hour, and all of those share one small budget of the node.
 */

export interface AskBasis {
  readonly isProven: boolean;
  /** Data of this peer takes a detour: relayed, or TCP. */
  readonly isDetoured: boolean;
}

export class Asking {
  readonly #budget: TokenBucket;
  #rounds = 0;
  #nextAtMs: number;
  #speakUntilMs = 0;
  #listenUntilMs = 0;
  /** Paid for, to be sent in the round that begins next. */
  #punchPings = 0;

  constructor(budget: TokenBucket, nowMs: number) {
    this.#budget = budget;
    this.#nextAtMs = nowMs;
  }

  get isAsking(): boolean {
    return this.#listenUntilMs > 0;
  }

  /** PINGs leave for it. */
  get isSpeaking(): boolean {
    return this.#speakUntilMs > 0;
  }

  get nextDeadlineMs(): number {
    if (this.isSpeaking) return this.#speakUntilMs;
    return this.isAsking ? this.#listenUntilMs : this.#nextAtMs;
  }

  /** Something changed that may make it work. A stranger that used up its rounds waits on. */
  wake(basis: AskBasis, nowMs: number): void {
    if (this.isAsking || (!basis.isProven && this.#rounds >= STRANGER_ROUNDS)) return;
    if (basis.isProven) this.#rounds = 0;
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs);
  }

  /**
   * The peer itself says over a relay that it may be reached there, and asks us at the same time: a few PINGs now, all
   * from the budget, and the rounds of a stranger begin anew.
   */
  punch(basis: AskBasis, nowMs: number): void {
    if (basis.isProven) {
      this.wake(basis, nowMs);
      return;
    }
    if (this.isSpeaking) return;
    this.#stop();
    this.#rounds = 0;
    this.#punchPings = 0;
    while (this.#punchPings < PUNCH_PINGS && this.#budget.take(nowMs)) this.#punchPings += 1;
    this.#nextAtMs = nowMs;
  }

  /** It just died: the clock asks on for a while by itself. */
  afterDeath(nowMs: number): void {
    this.#rounds = 1;
    this.#speakUntilMs = nowMs + ASK_MS;
    this.#listenUntilMs = this.#speakUntilMs;
  }

  /** It works, or is told so: nothing is asked. */
  rest(): void {
    this.#rounds = 0;
    this.#stop();
    this.#nextAtMs = Number.POSITIVE_INFINITY;
  }

  /** @returns `begin`: a round begins now, with a fresh path. */
  onDeadline(basis: AskBasis, nowMs: number): 'begin' | undefined {
    if (this.isSpeaking && nowMs >= this.#speakUntilMs) this.#speakUntilMs = 0;
    if (this.isAsking && nowMs >= this.#listenUntilMs) {
      this.#stop();
      this.#nextAtMs = nowMs + this.#pauseMs(basis);
      return undefined;
    }
    if (this.isAsking || nowMs < this.#nextAtMs) return undefined;
    const punchPings = this.#punchPings;
    this.#punchPings = 0;
    if (!basis.isProven && punchPings === 0 && !this.#budget.take(nowMs)) {
      this.#nextAtMs = nowMs + Math.max(1, this.#budget.waitMs(nowMs));
      return undefined;
    }
    this.#rounds += 1;
    this.#listenUntilMs = nowMs + ASK_MS;
    const strangerMs = STRANGER_SPEAK_MS + Math.max(0, punchPings - 1) * PUNCH_PING_EVERY_MS;
    this.#speakUntilMs = basis.isProven ? this.#listenUntilMs : nowMs + strangerMs;
    return 'begin';
  }

  #stop(): void {
    this.#speakUntilMs = 0;
    this.#listenUntilMs = 0;
  }

  #pauseMs({ isProven, isDetoured }: AskBasis): number {
    if (!isProven && this.#rounds >= STRANGER_ROUNDS) return STRANGER_PAUSE_MS;
    const cap = isDetoured ? ASK_PAUSE_RELAYED_MS : ASK_PAUSE_MS;
    // The round itself is part of the interval.
    const wanted = ASK_FIRST_PAUSE_MS * 2 ** Math.min(10, Math.max(0, this.#rounds - 1));
    return Math.max(0, Math.min(cap, wanted) - ASK_MS);
  }
}
