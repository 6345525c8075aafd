import type { DataPlaneEvent } from './dataplane.js';
import type { Scheduler } from './fake-network.js';

const RING_EVENTS = 4096;

/** The event ring of a fake data plane: one wake-up a burst, and what does not fit is counted. */
export class FakeEvents {
  readonly #scheduler: Scheduler;
  #events: DataPlaneEvent[] = [];
  #lost = 0;
  #isWoken = false;
  #onReadable: (() => void) | undefined;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  onReadable(callback: () => void): void {
    this.#onReadable = callback;
    if (this.#events.length > 0) this.#wake();
  }

  push(event: DataPlaneEvent): void {
    if (this.#events.length >= RING_EVENTS) this.#lost += 1;
    else this.#events.push(event);
    this.#wake();
  }

  drain(): readonly DataPlaneEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#isWoken = false;
    if (this.#lost > 0) events.push({ kind: 'overflow', lost: this.#lost });
    this.#lost = 0;
    return events;
  }

  /** Nobody reads any more. */
  close(): void {
    this.#events = [];
    this.#onReadable = undefined;
  }

  #wake(): void {
    if (this.#isWoken || !this.#onReadable) return;
    this.#isWoken = true;
    this.#scheduler.at(0, () => this.#onReadable?.());
  }
}
