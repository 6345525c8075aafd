import type { Clock } from '../../src/base/clock.js';
import type { Scheduler } from '../../src/dataplane/fake-network.js';
import type { Timers } from '../../src/daemon/ports.js';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

const SWEEP_FROM = 4096;
const WALL_AT_ZERO_MS = Date.UTC(2026, 0, 1);

/** One clock for a whole simulation: it stands still unless `run` moves it, and wakes each sleeper in order. */
export class VirtualTime implements Clock, Scheduler, Timers {
  /** A binary heap by (atMs, order), cancelled ones among them until they come up or outnumber the others. */
  #heap: Due[] = [];
  #cancelled = 0;
  #nowMs = 1000;
  #order = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return WALL_AT_ZERO_MS + this.#nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  set(delayMs: number, callback: () => void): () => void {
    return this.at(delayMs, callback);
  }

  at(delayMs: number, callback: () => void): () => void {
    this.#order += 1;
    const due = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order,
      callback,
      isCancelled: false,
    };
    this.#push(due);
    return () => {
      if (due.isCancelled) return;
      due.isCancelled = true;
      this.#cancelled += 1;
      if (this.#cancelled > SWEEP_FROM && this.#cancelled > this.#heap.length / 2) this.#sweep();
    };
  }

  /** Sleepers that are not cancelled: none may be left after everything was stopped. */
  get pending(): number {
    return this.#heap.filter((due) => !due.isCancelled).length;
  }

  /** Moves on until `isDone` or until `forMs` have passed. @returns whether it was done. */
  async runUntil(isDone: () => boolean, forMs: number): Promise<boolean> {
    const endMs = this.#nowMs + forMs;
    await settle();
    while (!isDone()) {
      const next = this.#peek();
      if (!next || next.atMs > endMs) {
        this.#nowMs = endMs;
        return isDone();
      }
      this.#pop();
      // What cancels it from now on cancels nothing.
      next.isCancelled = true;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      // All that is due at this moment, then whatever promises made of it.
      if (this.#peek()?.atMs !== this.#nowMs) await settle();
    }
    return true;
  }

  async run(forMs: number): Promise<void> {
    await this.runUntil(() => false, forMs);
  }

  #peek(): Due | undefined {
    while (this.#heap[0]?.isCancelled) {
      this.#pop();
      this.#cancelled -= 1;
    }
    return this.#heap[0];
  }

  /** Each turn of a daemon cancels a timer that is seconds away: a thousand daemons leave a million. */
  #sweep(): void {
    this.#cancelled = 0;
    // A sorted array is a heap.
    this.#heap = this.#heap
      .filter(({ isCancelled }) => !isCancelled)
      .sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let index = heap.push(due) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent]!;
      if (!isBefore(due, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (heap.length === 0 || !last) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      const below = heap[child]!;
      if (!isBefore(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Lets pending promises run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
