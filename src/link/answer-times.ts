/** Share of the newest in the mean. */
const NEWEST = 0.25;
/** What was measured counts half as much so much later: who was short of time then may have it now. */
const HALF_LIFE_MS = 10_000;

/**
 * How long handshakes wait for their answer: a round trip, unless one of the two machines is short of time. Who asks
 * for something else instead should wait a few times as long.
 */
export class AnswerTimes {
  #meanMs = 0;
  #atMs = 0;

  note(tookMs: number, nowMs: number): void {
    this.#meanMs = this.typicalMs(nowMs) * (1 - NEWEST) + tookMs * NEWEST;
    this.#atMs = nowMs;
  }

  typicalMs(nowMs: number): number {
    return this.#meanMs * 0.5 ** ((nowMs - this.#atMs) / HALF_LIFE_MS);
  }
}
