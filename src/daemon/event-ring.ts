import type { EventDocument } from '../api/control.js';
import { isoTime } from '../base/clock.js';

/*
 * The last events, for an operator who comes later. What members do makes most of them, and one that wants to hide
 * something would only have to do much else. So nobody's events push all others out:
 *
 *   said again within a minute   one entry that counts, and stands where it was said last
 *   about one peer               a tenth at most, then its own oldest goes
 *   of one code                  a quarter: identities are cheap, and strangers have none
 *   about peers at all           three quarters: the rest is about this node
 *
 * Who follows hears every one of them as it comes.
 */

const KEPT = 1000;
const KEPT_OF_PEER = KEPT / 10;
const KEPT_OF_CODE = KEPT / 4;
const KEPT_ABOUT_PEERS = (3 * KEPT) / 4;
const AGAIN_WITHIN_MS = 60_000;

interface Entry {
  readonly event: EventDocument;
  /** When it was said first. */
  readonly sinceMs: number;
}

/** How many entries each has; nobody with none is remembered. */
class Shares {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  change(key: string, by: number): void {
    const count = this.of(key) + by;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}

/** The last 1 000 events and who listens to new ones. */
export class EventRing {
  /** Oldest first. */
  readonly #entries: Entry[] = [];
  readonly #listeners = new Set<(event: EventDocument) => void>();
  readonly #ofPeer = new Shares();
  readonly #ofCode = new Shares();
  #aboutPeers = 0;
  #seq = 0;

  add(event: Omit<EventDocument, 'seq' | 'at' | 'count'>, wallMs: number): EventDocument {
    this.#seq += 1;
    const stamped = { seq: this.#seq, at: isoTime(wallMs), ...event };
    const before = this.#takeSame(stamped, wallMs);
    const count = (before?.event.count ?? 0) + 1;
    const kept = before ? { ...stamped, count: Math.max(count, 2) } : stamped;
    this.#push({ event: kept, sinceMs: before?.sinceMs ?? wallMs });
    for (const listener of this.#listeners) listener(stamped);
    return stamped;
  }

  /** Oldest first. */
  after(seq: number): readonly EventDocument[] {
    return this.#entries.flatMap(({ event }) => (event.seq > seq ? [event] : []));
  }

  onEvent(listener: (event: EventDocument) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #push(entry: Entry): void {
    const { code, peer } = entry.event;
    this.#entries.push(entry);
    this.#account(entry, 1);
    if (peer !== undefined && this.#ofPeer.of(peer) > KEPT_OF_PEER) {
      this.#dropOldest((other) => other.event.peer === peer);
    }
    if (this.#ofCode.of(code) > KEPT_OF_CODE) {
      this.#dropOldest((other) => other.event.code === code);
    }
    if (this.#aboutPeers > KEPT_ABOUT_PEERS) {
      this.#dropOldest((other) => other.event.peer !== undefined);
    }
    if (this.#entries.length > KEPT) this.#dropOldest(() => true);
  }

  /** The clock may have been set back meanwhile: then it is another event. */
  #takeSame(event: EventDocument, wallMs: number): Entry | undefined {
    const at = this.#entries.findLastIndex(
      ({ event: other, sinceMs }) =>
        Math.abs(wallMs - sinceMs) < AGAIN_WITHIN_MS &&
        other.code === event.code &&
        other.peer === event.peer &&
        other.endpoint === event.endpoint &&
        other.message === event.message,
    );
    return at < 0 ? undefined : this.#take(at);
  }

  #dropOldest(isOne: (entry: Entry) => boolean): void {
    this.#take(this.#entries.findIndex(isOne));
  }

  #take(at: number): Entry | undefined {
    const [entry] = this.#entries.splice(at, 1);
    if (entry) this.#account(entry, -1);
    return entry;
  }

  #account({ event: { code, peer } }: Entry, by: number): void {
    this.#ofCode.change(code, by);
    if (peer === undefined) return;
    this.#ofPeer.change(peer, by);
    this.#aboutPeers += by;
  }
}
