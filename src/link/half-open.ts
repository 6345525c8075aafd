import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { ResponderHandshake } from './crypto-port.js';
import { FIN_ANSWERS_PER_SECOND, HALF_OPEN_MAX, HALF_OPEN_MS } from './constants.js';
import { TokenBucket } from '../base/token-bucket.js';

/*
 * The responder's memory of handshakes not finished (docs/protocol.md §2): the same INIT gets the stored RESP bytes,
 * whatever address it came from; a bad FIN changes nothing; a finished one stays until its time so that repetitions
 * of its FIN are answered. Keyed by the part of INIT that the transcript covers, itself (cookie and resumption are
 * behind it and differ between repetitions).
 */

const INIT_KEY_BYTES = 472;

export interface HalfOpen {
  readonly key: string;
  readonly localIndex: number;
  readonly handshake: ResponderHandshake;
  readonly from: PathAddress;
  readonly createdAtMs: number;
  readonly isResumed: boolean;
  /** The FIN that finished it. */
  fin: Uint8Array | undefined;
  readonly finAnswers: TokenBucket;
}

export class HalfOpenTable {
  /** In order of creation, hence of expiry. */
  readonly #byKey = new Map<string, HalfOpen>();
  readonly #byIndex = new Map<number, HalfOpen>();

  get size(): number {
    return this.#byKey.size;
  }

  get nextDeadlineMs(): number {
    const oldest = this.#byKey.values().next();
    return oldest.done ? Number.POSITIVE_INFINITY : oldest.value.createdAtMs + HALF_OPEN_MS;
  }

  find(init: Uint8Array): HalfOpen | undefined {
    return this.#byKey.get(keyOf(init));
  }

  byIndex(localIndex: number): HalfOpen | undefined {
    return this.#byIndex.get(localIndex);
  }

  /** Is there room? A known member is never locked out: it takes the place of the oldest stranger. */
  makeRoom(isResumed: boolean): HalfOpen | 'room' | 'full' {
    if (this.#byKey.size < HALF_OPEN_MAX) return 'room';
    if (!isResumed) return 'full';
    for (const entry of this.#byKey.values()) {
      if (entry.isResumed || entry.fin) continue;
      this.#remove(entry);
      return entry;
    }
    return 'full';
  }

  add(
    init: Uint8Array,
    handshake: ResponderHandshake,
    localIndex: number,
    from: PathAddress,
    isResumed: boolean,
    nowMs: number,
  ): HalfOpen {
    const entry: HalfOpen = {
      key: keyOf(init),
      localIndex,
      handshake,
      from,
      createdAtMs: nowMs,
      isResumed,
      fin: undefined,
      finAnswers: new TokenBucket(FIN_ANSWERS_PER_SECOND, FIN_ANSWERS_PER_SECOND),
    };
    this.#byKey.set(entry.key, entry);
    this.#byIndex.set(localIndex, entry);
    return entry;
  }

  /** Removes what is older than 5 s and returns it. */
  expire(nowMs: number): HalfOpen[] {
    const gone: HalfOpen[] = [];
    for (const entry of this.#byKey.values()) {
      if (entry.createdAtMs + HALF_OPEN_MS > nowMs) break;
      this.#remove(entry);
      gone.push(entry);
    }
    return gone;
  }

  #remove(entry: HalfOpen): void {
    this.#byKey.delete(entry.key);
    this.#byIndex.delete(entry.localIndex);
    if (!entry.fin) entry.handshake.erase();
  }
}

function keyOf(init: Uint8Array): string {
  return Buffer.from(init.buffer, init.byteOffset, INIT_KEY_BYTES).toString('latin1');
}

const SUSPECT_AFTER = 3;
const SUSPECT_SOURCES_MAX = 256;

/** Counts handshakes by source that were answered and never finished: all a responder can see of a wrong password. */
export class UnfinishedCounter {
  readonly #counts = new Map<string, number>();

  /** @returns the count when it is worth saying: at 3, then each time it doubled. */
  onUnfinished(from: PathAddress): number | undefined {
    const key = sourceOf(from);
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.delete(key);
    this.#counts.set(key, count);
    const oldest = this.#counts.keys().next();
    if (this.#counts.size > SUSPECT_SOURCES_MAX && !oldest.done) this.#counts.delete(oldest.value);
    return isThreeTimesPowerOfTwo(count) ? count : undefined;
  }

  onFinished(from: PathAddress): void {
    this.#counts.delete(sourceOf(from));
  }
}

/** The port may change from one attempt to the next. */
function sourceOf(from: PathAddress): string {
  return isEndpoint(from) ? from.address : formatPathAddress(from);
}

function isThreeTimesPowerOfTwo(count: number): boolean {
  const times = count / SUSPECT_AFTER;
  return Number.isInteger(times) && (times & (times - 1)) === 0;
}
