import { peerIdBytes, peerIdFromBytes } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import {
  BUCKETS,
  DIGEST_BYTES,
  encodeDigest,
  encodeRecords,
  HAVE_BYTES,
  MAX_SHELVES_PER_MESSAGE,
  MESSAGE_TARGET_BYTES,
  SHELF_ID_BYTES,
  type PullItem,
  type PullMessage,
} from '../wire/records.js';
import { ANSWER_MAX_BYTES } from './constants.js';
import { byteString, bytesOf } from './signed-record.js';
import type { RecordStore } from './store.js';

/** One control message: its type and body. */
export interface Answer {
  readonly type: number;
  readonly body: Uint8Array;
}

const MAX_RECORDS_PER_MESSAGE = 32;

/** To "is this your root?". Nothing is kept in mind: a lost answer is asked for again. */
export function answerAsk(store: RecordStore, id: number, root: Uint8Array): Answer {
  const own = store.digest.root();
  const isSame = Buffer.compare(own, root) === 0;
  const body = isSame
    ? encodeDigest({ kind: 'same', id, root: own })
    : encodeDigest({ kind: 'buckets', id, buckets: store.digest.buckets() });
  return { type: CONTROL.DIGEST, body };
}

export function answerPull(store: RecordStore, message: PullMessage): readonly Answer[] {
  return message.kind === 'shelves'
    ? [answerShelves(store, message.id, message.buckets, message.after)]
    : answerRecords(store, message.id, message.items);
}

function answerShelves(
  store: RecordStore,
  id: number,
  buckets: Uint8Array,
  after: Uint8Array,
): Answer {
  const entryBytes = SHELF_ID_BYTES + DIGEST_BYTES;
  const entries = new Uint8Array(MAX_SHELVES_PER_MESSAGE * entryBytes);
  const afterId = after.length === 0 ? '' : peerIdFromBytes(after);
  let count = 0;
  let isMore = false;
  // Buckets are in order of the shelves' ids, so one cursor goes through all of them.
  for (let bucket = 0; bucket < BUCKETS && !isMore; bucket++) {
    if ((((buckets[bucket >> 3] ?? 0) >> (bucket & 7)) & 1) === 0) continue;
    for (const shelf of store.digest.shelvesOf(bucket, afterId)) {
      if (count === MAX_SHELVES_PER_MESSAGE) {
        isMore = true;
        break;
      }
      entries.set(peerIdBytes(shelf.id), count * entryBytes);
      const digest = bytesOf(store.digest.shelfDigest(shelf));
      entries.set(digest, count * entryBytes + SHELF_ID_BYTES);
      count += 1;
    }
  }
  const body = encodeDigest({
    kind: 'shelves',
    id,
    isMore,
    entries: entries.subarray(0, count * entryBytes),
  });
  return { type: CONTROL.DIGEST, body };
}

function answerRecords(store: RecordStore, id: number, items: readonly PullItem[]): Answer[] {
  const groups: Uint8Array[][] = [[]];
  let groupBytes = 0;
  let totalBytes = 0;
  let isMore = false;
  for (const item of items) {
    for (const bytes of lackedBy(store, item)) {
      if (totalBytes + bytes.length > ANSWER_MAX_BYTES) {
        isMore = true;
        break;
      }
      const group = groups.at(-1) ?? [];
      const isFull = group.length > 0 && groupBytes + bytes.length > MESSAGE_TARGET_BYTES;
      if (isFull || group.length >= MAX_RECORDS_PER_MESSAGE) {
        groups.push([bytes]);
        groupBytes = bytes.length;
      } else {
        group.push(bytes);
        groupBytes += bytes.length;
      }
      totalBytes += bytes.length;
    }
  }
  return groups.map((records, index) => ({
    type: CONTROL.RECORDS,
    body: encodeRecords({ id, index, count: groups.length, isMore, records }),
  }));
}

function* lackedBy(store: RecordStore, item: PullItem): Generator<Uint8Array> {
  const shelf = store.shelf(peerIdFromBytes(item.shelf));
  if (!shelf) return;
  const have = new Set<string>();
  for (let at = 0; at < item.have.length; at += HAVE_BYTES) {
    have.add(byteString(item.have.subarray(at, at + HAVE_BYTES)));
  }
  for (const record of shelf.all()) {
    const first = record.hash.charCodeAt(0);
    if (first < item.low || first > item.high) continue;
    if (!have.has(record.hash.slice(0, HAVE_BYTES))) yield record.bytes;
  }
}
