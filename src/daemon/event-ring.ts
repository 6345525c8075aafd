import type { EventDocument } from '../api/control.js';
import { isoTime } from '../base/clock.js';

const KEPT = 1000;

/** The last 1 000 events and who listens to new ones. */
export class EventRing {
  readonly #events: EventDocument[] = [];
  readonly #listeners = new Set<(event: EventDocument) => void>();
  #seq = 0;

  add(event: Omit<EventDocument, 'seq' | 'at'>, wallMs: number): EventDocument {
    this.#seq += 1;
    const stamped = { seq: this.#seq, at: isoTime(wallMs), ...event };
    this.#events.push(stamped);
    if (this.#events.length > KEPT) this.#events.shift();
    for (const listener of this.#listeners) listener(stamped);
    return stamped;
  }

  /** Oldest first. */
  after(seq: number): readonly EventDocument[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  onEvent(listener: (event: EventDocument) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
