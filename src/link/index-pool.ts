import type { Rng } from '../base/rng.js';

const NEVER_REUSED_WITHIN_MS = 60_000;

/** Session indexes: random, so that a stranger cannot guess one; never reused within 60 s (dataplane.ts). */
export class IndexPool {
  readonly #rng: Rng;
  /** Index → when it was released; Infinity while in use. */
  readonly #taken = new Map<number, number>();
  #sweepAtMs = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  take(nowMs: number): number {
    this.#sweep(nowMs);
    for (;;) {
      const bytes = this.#rng.bytes(4);
      const index = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
      if (index === 0 || this.#taken.has(index)) continue;
      this.#taken.set(index, Number.POSITIVE_INFINITY);
      return index;
    }
  }

  release(index: number, nowMs: number): void {
    if (this.#taken.has(index)) this.#taken.set(index, nowMs);
  }

  #sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + NEVER_REUSED_WITHIN_MS;
    for (const [index, releasedMs] of this.#taken) {
      if (releasedMs + NEVER_REUSED_WITHIN_MS <= nowMs) this.#taken.delete(index);
    }
  }
}

/** Numbers 1 … max, lowest free first: slots of peers. */
export class SlotPool {
  readonly #max: number;
  readonly #free: number[] = [];
  #next = 1;

  constructor(max: number) {
    this.#max = max;
  }

  take(): number | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#next > this.#max) return undefined;
    this.#next += 1;
    return this.#next - 1;
  }

  release(slot: number): void {
    this.#free.push(slot);
  }
}
