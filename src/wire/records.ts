import { fail, ok, type Result } from '../base/result.js';
import { isBytes, isU32, isU8, ownBytes, unpackArray, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';
import { MAX_RECORD_BYTES } from './record.js';

/*
 * How stores of records talk (docs/protocol.md §4, §5). One side asks for what it lacks, the other answers and keeps
 * nothing in mind; so a lost message costs one repetition. `id` pairs an answer with its request, 0 is a push.
 *
 *   DIGEST   [1, id, root 16]              "is this yours?"
 *            [2, id, root 16]              the same here
 *            [3, id, 64 × bucket 16]       not the same: these are mine
 *            [4, id, isMore, n × (shelf 16, digest 16)]    to PULL 1, in order of shelf
 *   PULL     [1, id, buckets 8, after 0|16]                which shelves are in these buckets, behind that one?
 *            [2, id, [[shelf 16, low, high, n × hash 8] …]]   send what you have on them besides these,
 *                                                          of the records whose hash starts with low … high
 *   RECORDS  [id, index, count, isMore, [record …]]
 *
 * A shelf is an owner, or a group of shared records. A set of buckets is a bit set, bucket b in byte b / 8, bit b % 8.
 */

export const DIGEST_BYTES = 16;
export const SHELF_ID_BYTES = 16;
export const BUCKETS = 64;
/** First bytes of a record's hash that stand for it in a PULL. */
export const HAVE_BYTES = 8;
export const MAX_SHELVES_PER_MESSAGE = 32;
export const MAX_PULL_ITEMS = 32;
/** What senders aim at: fits one datagram of any path. */
export const MESSAGE_TARGET_BYTES = 1100;
const MAX_MESSAGE_BYTES = 4096;
const MAX_RECORDS_PER_MESSAGE = 32;
const MAX_ANSWER_MESSAGES = 256;
const MAX_HAVE_BYTES = 64 * HAVE_BYTES;

const LIMITS: PackLimits = { bytes: MAX_MESSAGE_BYTES, depth: 3, items: 256 };

export type DigestMessage =
  | { readonly kind: 'ask'; readonly id: number; readonly root: Uint8Array }
  | { readonly kind: 'same'; readonly id: number; readonly root: Uint8Array }
  | { readonly kind: 'buckets'; readonly id: number; readonly buckets: Uint8Array }
  | {
      readonly kind: 'shelves';
      readonly id: number;
      readonly isMore: boolean;
      /** Pairs of shelf id and digest, 32 bytes each. */
      readonly entries: Uint8Array;
    };

export interface PullItem {
  readonly shelf: Uint8Array;
  /** First byte of the hashes asked about, both ends included. */
  readonly low: number;
  readonly high: number;
  /** What the asker has in that range, `HAVE_BYTES` each. */
  readonly have: Uint8Array;
}

export type PullMessage =
  | {
      readonly kind: 'shelves';
      readonly id: number;
      readonly buckets: Uint8Array;
      /** Empty: from the start. */
      readonly after: Uint8Array;
    }
  | { readonly kind: 'records'; readonly id: number; readonly items: readonly PullItem[] };

export interface RecordsMessage {
  readonly id: number;
  /** This message's place among the `count` of the answer. */
  readonly index: number;
  readonly count: number;
  /** The answer is cut: ask again. */
  readonly isMore: boolean;
  readonly records: readonly Uint8Array[];
}

export function encodeDigest(message: DigestMessage): Uint8Array {
  switch (message.kind) {
    case 'ask':
      return packMessage([1, message.id, message.root]);
    case 'same':
      return packMessage([2, message.id, message.root]);
    case 'buckets':
      return packMessage([3, message.id, message.buckets]);
    case 'shelves':
      return packMessage([4, message.id, message.isMore, message.entries]);
  }
}

export function decodeDigest(body: Uint8Array): Result<DigestMessage, BodyRefusal> {
  const fields = unpackArray(body, LIMITS);
  if (!fields.ok) return fields;
  const [op, id, third, fourth] = fields.value;
  if (!isU32(id)) return fail('fields');
  const count = fields.value.length;
  if (count === 3 && isBytes(third)) {
    if (op === 1 && third.length === DIGEST_BYTES)
      return ok({ kind: 'ask', id, root: ownBytes(third) });
    if (op === 2 && third.length === DIGEST_BYTES)
      return ok({ kind: 'same', id, root: ownBytes(third) });
    if (op === 3 && third.length === BUCKETS * DIGEST_BYTES) {
      return ok({ kind: 'buckets', id, buckets: ownBytes(third) });
    }
  }
  const entryBytes = SHELF_ID_BYTES + DIGEST_BYTES;
  if (
    count === 4 &&
    op === 4 &&
    typeof third === 'boolean' &&
    isBytes(fourth) &&
    fourth.length % entryBytes === 0 &&
    fourth.length <= MAX_SHELVES_PER_MESSAGE * entryBytes
  ) {
    return ok({ kind: 'shelves', id, isMore: third, entries: ownBytes(fourth) });
  }
  return fail('fields');
}

export function encodePull(message: PullMessage): Uint8Array {
  if (message.kind === 'shelves') {
    return packMessage([1, message.id, message.buckets, message.after]);
  }
  const items = message.items.map(({ shelf, low, high, have }) => [shelf, low, high, have]);
  return packMessage([2, message.id, items]);
}

export function decodePull(body: Uint8Array): Result<PullMessage, BodyRefusal> {
  const fields = unpackArray(body, LIMITS);
  if (!fields.ok) return fields;
  const [op, id, third, after] = fields.value;
  if (!isU32(id)) return fail('fields');
  if (op === 1 && fields.value.length === 4) {
    if (!isBytes(third, BUCKETS / 8)) return fail('fields');
    if (!isBytes(after) || (after.length !== 0 && after.length !== SHELF_ID_BYTES)) {
      return fail('fields');
    }
    return ok({ kind: 'shelves', id, buckets: ownBytes(third), after: ownBytes(after) });
  }
  if (op !== 2 || fields.value.length !== 3 || !Array.isArray(third)) return fail('fields');
  const items = (third as readonly unknown[]).map(pullItem);
  if (items.length > MAX_PULL_ITEMS || items.some((item) => item === undefined)) {
    return fail('fields');
  }
  return ok({ kind: 'records', id, items: items.filter((item) => item !== undefined) });
}

function pullItem(value: unknown): PullItem | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [shelf, low, high, have] = value as readonly unknown[];
  if (!isBytes(shelf, SHELF_ID_BYTES) || !isU8(low) || !isU8(high)) {
    return undefined;
  }
  if (!isBytes(have) || have.length % HAVE_BYTES !== 0 || have.length > MAX_HAVE_BYTES) {
    return undefined;
  }
  return low <= high ? { shelf: ownBytes(shelf), low, high, have: ownBytes(have) } : undefined;
}

export function encodeRecords(message: RecordsMessage): Uint8Array {
  const { id, index, count, isMore, records } = message;
  return packMessage([id, index, count, isMore, records]);
}

/** The records are copies, each with a buffer of its own: they may be kept. Their layout is not checked yet. */
export function decodeRecords(body: Uint8Array): Result<RecordsMessage, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 5);
  if (!fields.ok) return fields;
  const [id, index, count, isMore, records] = fields.value;
  if (!isU32(id) || !isU32(index) || !isU32(count) || typeof isMore !== 'boolean') {
    return fail('fields');
  }
  if (count < 1 || count > MAX_ANSWER_MESSAGES || index >= count || !Array.isArray(records)) {
    return fail('fields');
  }
  const all = records as readonly unknown[];
  if (all.length > MAX_RECORDS_PER_MESSAGE || !all.every(isRecordBytes)) return fail('fields');
  return ok({ id, index, count, isMore, records: all.map(ownBytes) });
}

function isRecordBytes(value: unknown): value is Uint8Array {
  return isBytes(value) && value.length <= MAX_RECORD_BYTES;
}
