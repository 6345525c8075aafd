import type { Clock } from '../../src/base/clock.js';
import type { Scheduler } from '../../src/dataplane/fake-network.js';
import type { Timers } from '../../src/daemon/ports.js';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

const WALL_AT_ZERO_MS = Date.UTC(2026, 0, 1);

/** One clock for a whole simulation: it stands still unless `run` moves it, and wakes each sleeper in order. */
export class VirtualTime implements Clock, Scheduler, Timers {
  /** A binary heap by (atMs, order). */
  readonly #heap: Due[] = [];
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
      due.isCancelled = true;
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
    while (this.#heap[0]?.isCancelled) this.#pop();
    return this.#heap[0];
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index]!, heap[parent]!)) return;
      [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
      index = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (heap.length === 0 || !last) return;
    heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      let least = index;
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && isBefore(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === index) return;
      [heap[index], heap[least]] = [heap[least]!, heap[index]!];
      index = least;
    }
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
