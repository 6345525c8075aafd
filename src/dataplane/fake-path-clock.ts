import type { PathCounters, PathId } from './dataplane.js';

/*
 * The clock of one path as dataplane.ts promises it: PING at once, every 200 ms while the path carried frames in the
 * last second or one is unanswered, else every 15 s; dead after three unanswered and 8 × srtt. The addon has the same in C++.
 */

const BUSY_EVERY_MS = 200;
const IDLE_EVERY_MS = 15_000;
const BUSY_FOR_MS = 1000;
const COLD_SAMPLES = 4;
const DEAD_AFTER_PINGS = 3;
const DEAD_AFTER_SRTTS = 8;
const LOSS_WINDOW = 32;
/** An answer that takes longer than this, or than srtt + 4 rttvar, is lost until it comes. */
const PATIENCE_MS = 200;

interface Asked {
  readonly atMs: number;
  readonly bytes: number;
  readonly isProbe: boolean;
  isAnswered: boolean;
}

export class FakePathClock {
  readonly #asked = new Map<number, Asked>();
  /** The last PINGs, for what is lost. */
  readonly #pings: Asked[] = [];
  #seq = 0;
  #unanswered = 0;
  #oldestUnansweredMs = 0;
  #lastFrameMs = Number.NEGATIVE_INFINITY;
  #lastRelayedMs = Number.NEGATIVE_INFINITY;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #isAlive: boolean | undefined;
  #samples = 0;
  #srttMs = 0;
  #rttvarMs = 0;
  txDatagrams = 0n;
  txBytes = 0n;
  rxDatagrams = 0n;
  rxBytes = 0n;

  get isAlive(): boolean | undefined {
    return this.#isAlive;
  }

  nextPingMs(nowMs: number): number {
    const isAsking = this.#unanswered > 0 && this.#isAlive === true;
    const carriedMs = Math.max(this.#lastFrameMs, this.#lastRelayedMs);
    const isBusy = isAsking || nowMs - carriedMs < BUSY_FOR_MS;
    return this.#lastPingMs + (isBusy ? BUSY_EVERY_MS : IDLE_EVERY_MS);
  }

  onFrame(nowMs: number): void {
    this.#lastFrameMs = nowMs;
  }

  /** A datagram of others left on it. */
  onRelayed(nowMs: number): void {
    this.#lastRelayedMs = nowMs;
  }

  /** @returns the sequence number to put into the PING. */
  ask(nowMs: number, bytes: number, isProbe: boolean): number {
    this.#seq += 1;
    const asked = { atMs: nowMs, bytes, isProbe, isAnswered: false };
    this.#asked.set(this.#seq, asked);
    if (!isProbe) {
      this.#lastPingMs = nowMs;
      if (this.#unanswered === 0) this.#oldestUnansweredMs = nowMs;
      this.#unanswered += 1;
      this.#pings.push(asked);
      if (this.#pings.length > LOSS_WINDOW) this.#pings.shift();
    }
    for (const [seq, { atMs }] of this.#asked) {
      if (nowMs - atMs > IDLE_EVERY_MS) this.#asked.delete(seq);
    }
    return this.#seq;
  }

  /** Before the next PING goes out: has the path died? @returns true when it changed to dead. */
  checkDead(nowMs: number): boolean {
    const isSilent =
      this.#unanswered >= DEAD_AFTER_PINGS &&
      nowMs - this.#oldestUnansweredMs >= DEAD_AFTER_SRTTS * this.#srttMs;
    if (!isSilent || this.#isAlive === false) return false;
    this.#isAlive = false;
    return true;
  }

  /** @returns what the PONG tells; undefined: not ours or twice. */
  onPong(
    seq: number,
    nowMs: number,
  ): { readonly asked: Asked; readonly rttUs: number; readonly isNowAlive: boolean } | undefined {
    const asked = this.#asked.get(seq);
    if (!asked) return undefined;
    this.#asked.delete(seq);
    const rttMs = nowMs - asked.atMs;
    // The first ones also wait for neighbours to be resolved: the smallest of them begins the estimate.
    const isCold = this.#samples < COLD_SAMPLES;
    this.#samples += 1;
    const isFirst = this.#srttMs === 0 || (isCold && rttMs < this.#srttMs);
    this.#rttvarMs = isFirst
      ? rttMs / 2
      : 0.75 * this.#rttvarMs + 0.25 * Math.abs(this.#srttMs - rttMs);
    this.#srttMs = isFirst ? rttMs : 0.875 * this.#srttMs + 0.125 * rttMs;
    this.#unanswered = 0;
    asked.isAnswered = true;
    const isNowAlive = this.#isAlive !== true;
    this.#isAlive = true;
    return { asked, rttUs: Math.round(rttMs * 1000), isNowAlive };
  }

  counters(path: PathId, nowMs: number): PathCounters {
    const patienceMs = Math.max(PATIENCE_MS, this.#srttMs + 4 * this.#rttvarMs);
    const isKnown = ({ isAnswered, atMs }: Asked): boolean =>
      isAnswered || nowMs - atMs > patienceMs;
    const settled = this.#pings.filter(isKnown);
    const lost = settled.filter(({ isAnswered }) => !isAnswered).length;
    return {
      path,
      isAlive: this.#isAlive === true,
      srttUs: Math.round(this.#srttMs * 1000),
      rttvarUs: Math.round(this.#rttvarMs * 1000),
      lossPermille: settled.length === 0 ? 0 : Math.round((lost / settled.length) * 1000),
      lastFrameMs: Math.max(0, this.#lastFrameMs),
      txDatagrams: this.txDatagrams,
      txBytes: this.txBytes,
      rxDatagrams: this.rxDatagrams,
      rxBytes: this.rxBytes,
    };
  }
}
