import type { PeerId } from '../model/peer-id.js';
import { isSharedKind } from '../wire/record.js';
import type { RecordActions } from './actions.js';
import {
  OWNER_MAX_BYTES,
  OWNER_MAX_RECORDS,
  SHARED_MAX_BYTES,
  SHARED_MAX_RECORDS,
} from './constants.js';
import type { RecordCrypto } from './crypto-port.js';
import { Digest } from './digest.js';
import { recordCell } from './persistence.js';
import { Shelf, type ShelfChange, type ShelfLimits } from './shelf.js';
import { shelfIdOf, type SignedRecord } from './signed-record.js';

const OWNED: ShelfLimits = { records: OWNER_MAX_RECORDS, bytes: OWNER_MAX_BYTES, isAgeing: true };
const SHARED: ShelfLimits = {
  records: SHARED_MAX_RECORDS,
  bytes: SHARED_MAX_BYTES,
  isAgeing: false,
};

export interface ShelvesLimits {
  readonly owners: number;
  readonly bytes: number;
}

/** What adding a record did to its shelf. */
export interface Added extends ShelfChange {
  readonly shelf: Shelf;
  /** The winner of the record's slot until now. */
  readonly before: SignedRecord | undefined;
  /** It is the first on its shelf, or takes the last one away. */
  readonly isComingOrGoing: boolean;
}

/** All that is stored, whatever it means: shelves, how much that is, what they amount to (digest), and their cells. */
export class Shelves {
  readonly digest: Digest;
  readonly #crypto: RecordCrypto;
  readonly #limits: ShelvesLimits;
  readonly #shelves = new Map<PeerId, Shelf>();
  #bytes = 0;

  constructor(crypto: RecordCrypto, limits: ShelvesLimits) {
    this.#crypto = crypto;
    this.#limits = limits;
    this.digest = new Digest(crypto);
  }

  /** Owners and groups with records, of whatever state. */
  get count(): number {
    return this.#shelves.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#shelves.size >= this.#limits.owners || this.#bytes >= this.#limits.bytes;
  }

  get(id: PeerId): Shelf | undefined {
    return this.#shelves.get(id);
  }

  /** Where a record is or would be. */
  idOf({ kind, slot, owner }: SignedRecord): PeerId {
    return isSharedKind(kind) ? this.idOfShared(kind, slot) : owner;
  }

  idOfShared(kind: number, slot: string): PeerId {
    return shelfIdOf(kind, slot, this.#crypto);
  }

  all(): IterableIterator<Shelf> {
    return this.#shelves.values();
  }

  /** Those of owners, not of groups of shared keys. */
  *owned(): IterableIterator<Shelf> {
    for (const [id, shelf] of this.#shelves) if (!isGroup(id)) yield shelf;
  }

  /** Of a cell; nothing is written. */
  restore(record: SignedRecord, nowMs: number): void {
    this.#put(record, nowMs, true);
  }

  /** `isFree`: no rate is held against it. */
  add(record: SignedRecord, nowMs: number, isFree: boolean, out: RecordActions): Added {
    const added = this.#put(record, nowMs, isFree);
    const { offer, gone, shelf } = added;
    if (offer === 'new' || offer === 'equivocation' || gone.length > 0) {
      writeCells(shelf, record, gone, out);
    }
    return added;
  }

  /** Whatever the slot has goes, for good. */
  dropSlot(shelf: Shelf, slot: string, out: RecordActions): void {
    for (const record of [shelf.twin(slot), shelf.get(slot)]) {
      if (!record) continue;
      shelf.remove(record);
      this.#bytes -= record.size;
      writeCells(shelf, record, [record], out);
    }
    this.digest.touch(shelf);
  }

  /** The whole shelf goes. @returns what was on it */
  drop(shelf: Shelf, out: RecordActions): readonly SignedRecord[] {
    const records = [...shelf.all()];
    for (const record of records) {
      shelf.remove(record);
      out.persist(recordCell(shelf.id, record, false), undefined);
      out.persist(recordCell(shelf.id, record, true), undefined);
      this.#bytes -= record.size;
    }
    this.digest.touch(shelf);
    this.#shelves.delete(shelf.id);
    return records;
  }

  #put(record: SignedRecord, nowMs: number, isFree: boolean): Added {
    const id = this.idOf(record);
    let shelf = this.#shelves.get(id);
    if (!shelf) {
      shelf = new Shelf(id, isSharedKind(record.kind) ? SHARED : OWNED);
      this.#shelves.set(id, shelf);
    }
    const bytes = shelf.bytes;
    const before = shelf.get(record.slot);
    const { offer, gone } = shelf.add(record, nowMs, isFree);
    this.#bytes += shelf.bytes - bytes;
    this.digest.touch(shelf);
    const isComingOrGoing = (bytes === 0) !== (shelf.bytes === 0);
    return { offer, gone, shelf, before, isComingOrGoing };
  }
}

/** The record's slot as it is now, and the slots of what is gone. */
function writeCells(
  shelf: Shelf,
  record: SignedRecord,
  gone: readonly SignedRecord[],
  out: RecordActions,
): void {
  for (const slot of new Set([record.slot, ...gone.map((other) => other.slot)])) {
    const current = shelf.get(slot);
    const twin = shelf.twin(slot);
    const sample = current ?? gone.find((other) => other.slot === slot) ?? record;
    out.persist(recordCell(shelf.id, sample, false), current?.bytes);
    if (twin || gone.some((other) => other.slot === slot)) {
      out.persist(recordCell(shelf.id, sample, true), twin?.bytes);
    }
  }
}

/** Shelf ids of shared groups end in zeros and the kind, and no hash of a key does. */
function isGroup(id: PeerId): boolean {
  return id.startsWith('0'.repeat(28), 2);
}
