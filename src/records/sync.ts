import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import {
  BUCKETS,
  DIGEST_BYTES,
  encodeDigest,
  encodePull,
  HAVE_BYTES,
  MAX_PULL_ITEMS,
  MESSAGE_TARGET_BYTES,
  SHELF_ID_BYTES,
  type DigestMessage,
  type PullItem,
} from '../wire/records.js';
import type { Answer } from './answers.js';
import { REQUEST_TIMEOUT_MS, REQUEST_TRIES, SYNC_ROUNDS } from './constants.js';
import { byteString, bytesOf } from './signed-record.js';
import type { RecordStore } from './store.js';

/*
 * One node catching up with a neighbour, one request at a time:
 *
 *   root ── same ──────────────────────────────────────────────────────────────► done
 *     └─ buckets ─► shelves (32 a time) ─► records of those that differ ─► (verified) ─► root, until a round brings
 *                                                                                        nothing: done
 *
 * The answerer keeps nothing in mind; a request without an answer is repeated, and after four tries all is given up:
 * the next anti-entropy does it again.
 */

const MAX_HAVE = 64;
const ITEM_OVERHEAD_BYTES = SHELF_ID_BYTES + 8;

export type SyncState = 'running' | 'done' | 'failed';

type Step =
  | { readonly kind: 'root' }
  | { readonly kind: 'shelves'; readonly buckets: Uint8Array; readonly after: Uint8Array }
  | { readonly kind: 'records'; readonly items: readonly PullItem[]; readonly seen: Set<number> }
  /** All answers of this round are here; the verifier is still at work. */
  | { readonly kind: 'settle' };

export class Sync {
  readonly peer: PeerId;
  readonly #store: RecordStore;
  readonly #nextId: () => number;
  #state: SyncState = 'running';
  #step: Step = { kind: 'root' };
  #id = 0;
  #tries = 0;
  #deadlineMs = 0;
  #rounds = 0;
  /** Shelves that differ and are still to be asked for. */
  #wanted: PeerId[] = [];
  #cursor: { readonly buckets: Uint8Array; readonly after: Uint8Array } | undefined;
  #hasBrought = false;

  constructor(peer: PeerId, store: RecordStore, nextId: () => number) {
    this.peer = peer;
    this.#store = store;
    this.#nextId = nextId;
  }

  get state(): SyncState {
    return this.#state;
  }

  get nextDeadlineMs(): number {
    return this.#step.kind === 'settle' ? Number.POSITIVE_INFINITY : this.#deadlineMs;
  }

  start(nowMs: number): Answer {
    return this.#ask({ kind: 'root' }, nowMs);
  }

  /** Is this an answer to what was asked last? */
  expects(id: number): boolean {
    return this.#state === 'running' && id === this.#id && this.#step.kind !== 'settle';
  }

  onDigest(message: DigestMessage, nowMs: number): Answer | undefined {
    if (!this.expects(message.id)) return undefined;
    if (this.#step.kind === 'root' && message.kind === 'same') {
      this.#state = 'done';
      return undefined;
    }
    if (this.#step.kind === 'root' && message.kind === 'buckets') {
      const buckets = this.#differing(message.buckets);
      return this.#ask({ kind: 'shelves', buckets, after: new Uint8Array(0) }, nowMs);
    }
    if (this.#step.kind === 'shelves' && message.kind === 'shelves') {
      this.#noteShelves(message.entries);
      const last = message.entries.subarray(-(SHELF_ID_BYTES + DIGEST_BYTES));
      const after = last.slice(0, SHELF_ID_BYTES);
      const { buckets } = this.#step;
      this.#cursor = message.isMore && last.length > 0 ? { buckets, after } : undefined;
      return this.#next(nowMs);
    }
    return undefined;
  }

  /** One message of an answer came. `brought`: it had something that this node lacks. */
  onRecords(index: number, count: number, brought: boolean, nowMs: number): Answer | undefined {
    if (this.#step.kind !== 'records') return undefined;
    this.#hasBrought ||= brought;
    this.#step.seen.add(index);
    this.#deadlineMs = nowMs + REQUEST_TIMEOUT_MS;
    return this.#step.seen.size >= count ? this.#next(nowMs) : undefined;
  }

  /** What was waiting to be verified is through. */
  onVerified(nowMs: number): Answer | undefined {
    if (this.#step.kind !== 'settle') return undefined;
    this.#rounds += 1;
    if (!this.#hasBrought || this.#rounds >= SYNC_ROUNDS) {
      this.#state = 'done';
      return undefined;
    }
    this.#hasBrought = false;
    return this.#ask({ kind: 'root' }, nowMs);
  }

  onDeadline(nowMs: number): Answer | undefined {
    if (this.#state !== 'running' || nowMs < this.nextDeadlineMs) return undefined;
    if (this.#tries >= REQUEST_TRIES) {
      this.#state = 'failed';
      return undefined;
    }
    return this.#send(nowMs);
  }

  #next(nowMs: number): Answer | undefined {
    const items = this.#takeItems();
    if (items.length > 0) return this.#ask({ kind: 'records', items, seen: new Set() }, nowMs);
    if (this.#cursor) {
      const cursor = this.#cursor;
      this.#cursor = undefined;
      return this.#ask({ kind: 'shelves', ...cursor }, nowMs);
    }
    this.#step = { kind: 'settle' };
    return undefined;
  }

  #ask(step: Step, nowMs: number): Answer {
    this.#step = step;
    this.#tries = 0;
    return this.#send(nowMs);
  }

  #send(nowMs: number): Answer {
    this.#tries += 1;
    this.#id = this.#nextId();
    this.#deadlineMs = nowMs + REQUEST_TIMEOUT_MS * this.#tries;
    const id = this.#id;
    const step = this.#step;
    if (step.kind === 'shelves') {
      return { type: CONTROL.PULL, body: encodePull({ ...step, kind: 'shelves', id }) };
    }
    if (step.kind === 'records') {
      step.seen.clear();
      const { items } = step;
      return { type: CONTROL.PULL, body: encodePull({ kind: 'records', id, items }) };
    }
    const root = this.#store.digest.root();
    return { type: CONTROL.DIGEST, body: encodeDigest({ kind: 'ask', id, root }) };
  }

  #differing(theirs: Uint8Array): Uint8Array {
    const own = this.#store.digest.buckets();
    const set = new Uint8Array(BUCKETS / 8);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const [from, to] = [bucket * DIGEST_BYTES, (bucket + 1) * DIGEST_BYTES];
      if (Buffer.compare(own.subarray(from, to), theirs.subarray(from, to)) === 0) continue;
      set[bucket >> 3] = (set[bucket >> 3] ?? 0) | (1 << (bucket & 7));
    }
    return set;
  }

  #noteShelves(entries: Uint8Array): void {
    const entryBytes = SHELF_ID_BYTES + DIGEST_BYTES;
    for (let at = 0; at < entries.length; at += entryBytes) {
      const id = peerIdFromBytes(entries.subarray(at, at + SHELF_ID_BYTES));
      const digest = byteString(entries.subarray(at + SHELF_ID_BYTES, at + entryBytes));
      const shelf = this.#store.shelf(id);
      if (!shelf && (this.#store.isFull || this.#store.isRemoved(id))) continue;
      if (!shelf || this.#store.digest.shelfDigest(shelf) !== digest) this.#wanted.push(id);
    }
  }

  /** As many shelves as one message holds; what we have on each goes with it. */
  #takeItems(): PullItem[] {
    const items: PullItem[] = [];
    let bytes = 0;
    while (this.#wanted.length > 0) {
      const [id] = this.#wanted;
      if (id === undefined) break;
      const own = itemsOf(this.#store, id);
      const size = own.reduce((sum, item) => sum + ITEM_OVERHEAD_BYTES + item.have.length, 0);
      const isTooMuch =
        bytes + size > MESSAGE_TARGET_BYTES || items.length + own.length > MAX_PULL_ITEMS;
      if (items.length > 0 && isTooMuch) break;
      items.push(...own.slice(0, MAX_PULL_ITEMS - items.length));
      bytes += size;
      this.#wanted.shift();
    }
    return items;
  }
}

/** What we have on a shelf, in ranges of hashes with at most 64 each. */
function itemsOf(store: RecordStore, id: PeerId): PullItem[] {
  const hashes = [...(store.shelf(id)?.all() ?? [])].map(({ hash }) => hash);
  const shelf = peerIdBytes(id);
  const items: PullItem[] = [];
  const split = (low: number, high: number, within: readonly string[]): void => {
    if (within.length > MAX_HAVE && low < high) {
      const middle = (low + high) >> 1;
      split(
        low,
        middle,
        within.filter((hash) => hash.charCodeAt(0) <= middle),
      );
      split(
        middle + 1,
        high,
        within.filter((hash) => hash.charCodeAt(0) > middle),
      );
      return;
    }
    const have = within.slice(0, MAX_HAVE).map((hash) => hash.slice(0, HAVE_BYTES));
    items.push({ shelf, low, high, have: bytesOf(have.join('')) });
  };
  split(0, 255, hashes);
  return items;
}
