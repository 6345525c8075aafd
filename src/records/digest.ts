import { peerIdBytes } from '../model/peer-id.js';
import { BUCKETS, DIGEST_BYTES, SHELF_ID_BYTES } from '../wire/records.js';
import type { RecordCrypto } from './crypto-port.js';
import type { Shelf } from './shelf.js';
import { byteString, bytesOf } from './signed-record.js';

/*
 * What two stores compare (docs/protocol.md §5):
 *
 *   root    = hash of the 64 buckets
 *   bucket  = hash of (shelf id, digest) of its shelves, in order of id; zeros when empty
 *   shelf's = hash of its records' hashes in order, tombstones and twins too
 *
 * A change marks its shelf, bucket and the root; they are computed when somebody asks. So a change costs one shelf and
 * one bucket, and a hundred changes between two questions cost no more than the shelves they touched.
 */

const NONE = new Uint8Array(DIGEST_BYTES);

export class Digest {
  readonly #crypto: RecordCrypto;
  readonly #shelves = Array.from({ length: BUCKETS }, () => new Map<string, Shelf>());
  readonly #buckets = new Array<Uint8Array | undefined>(BUCKETS).fill(NONE);
  /** Sorted shelf ids of a bucket, while nothing came or went. */
  readonly #order = new Array<readonly string[] | undefined>(BUCKETS).fill([]);
  #root: Uint8Array | undefined;

  constructor(crypto: RecordCrypto) {
    this.#crypto = crypto;
  }

  /** The shelf changed. */
  touch(shelf: Shelf): void {
    const bucket = bucketOf(shelf.id);
    const shelves = this.#shelves[bucket];
    if (!shelves) return;
    shelf.digest = undefined;
    if (shelf.size > 0 !== shelves.has(shelf.id)) {
      if (shelf.size > 0) shelves.set(shelf.id, shelf);
      else shelves.delete(shelf.id);
      this.#order[bucket] = undefined;
    }
    this.#buckets[bucket] = undefined;
    this.#root = undefined;
  }

  /** 16 bytes; not to be changed. */
  root(): Uint8Array {
    this.#root ??= this.#crypto.hash128(this.buckets());
    return this.#root;
  }

  /** 64 × 16 bytes, the caller's. */
  buckets(): Uint8Array {
    const out = new Uint8Array(BUCKETS * DIGEST_BYTES);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      out.set(this.#bucket(bucket), bucket * DIGEST_BYTES);
    }
    return out;
  }

  shelfDigest(shelf: Shelf): string {
    shelf.digest ??= byteString(this.#crypto.hash128(bytesOf(sortedHashes(shelf))));
    return shelf.digest;
  }

  /** Of a bucket, in order of id. */
  *shelvesOf(bucket: number, after = ''): IterableIterator<Shelf> {
    const shelves = this.#shelves[bucket];
    for (const id of this.#orderOf(bucket)) {
      if (id <= after) continue;
      const shelf = shelves?.get(id);
      if (shelf) yield shelf;
    }
  }

  #bucket(bucket: number): Uint8Array {
    const known = this.#buckets[bucket];
    if (known) return known;
    const order = this.#orderOf(bucket);
    const entryBytes = SHELF_ID_BYTES + DIGEST_BYTES;
    const joined = new Uint8Array(order.length * entryBytes);
    let at = 0;
    for (const shelf of this.shelvesOf(bucket)) {
      joined.set(peerIdBytes(shelf.id), at);
      joined.set(bytesOf(this.shelfDigest(shelf)), at + SHELF_ID_BYTES);
      at += entryBytes;
    }
    const digest = order.length === 0 ? NONE : this.#crypto.hash128(joined);
    this.#buckets[bucket] = digest;
    return digest;
  }

  #orderOf(bucket: number): readonly string[] {
    const order = this.#order[bucket] ?? [...(this.#shelves[bucket]?.keys() ?? [])].sort();
    this.#order[bucket] = order;
    return order;
  }
}

/** The first six bits of the id. */
export function bucketOf(shelfId: string): number {
  return Number.parseInt(shelfId.slice(0, 2), 16) >> 2;
}

function sortedHashes(shelf: Shelf): string {
  return [...shelf.all()]
    .map((record) => record.hash)
    .sort()
    .join('');
}
