import type { PeerId } from '../model/peer-id.js';
import { DEAD_BEHIND, OWNER_BURST, OWNER_VERSIONS_PER_SECOND } from './constants.js';
import type { SignedRecord } from './signed-record.js';

/*
 * The records of one owner, or of one group of shared keys. What stands on a shelf is a function of everything that
 * was ever offered to it, in whatever order: that is why stores converge.
 *
 *   a slot keeps the highest version; of two records with one version the two with the smallest hashes (equivocation)
 *   on an owner's shelf, what is DEAD_BEHIND the newest goes
 *   beyond its quota, the oldest versions go
 */

export interface ShelfLimits {
  readonly records: number;
  readonly bytes: number;
  /** Shared records do not age. */
  readonly isAgeing: boolean;
}

/** What became of a record that was offered. */
export type Offer = 'new' | 'known' | 'older' | 'equivocation' | 'over quota';

export interface ShelfChange {
  readonly offer: Offer;
  /** Gone from the shelf by this: replaced, dead or beyond the quota. */
  readonly gone: readonly SignedRecord[];
}

export class Shelf {
  readonly id: PeerId;
  readonly #limits: ShelfLimits;
  readonly #records = new Map<string, SignedRecord>();
  /** The loser of two records with one version, by slot. */
  #twins: Map<string, SignedRecord> | undefined;
  #newest = 0;
  /** Not above any version here. */
  #oldest = Infinity;
  #bytes = 0;
  #tokens = OWNER_BURST;
  #tokensAtMs = 0;
  /** Of everything here, as a byte string; undefined until asked for. Kept by digest.ts. */
  digest: string | undefined;

  constructor(id: PeerId, limits: ShelfLimits) {
    this.id = id;
    this.#limits = limits;
  }

  get size(): number {
    return this.#records.size + (this.#twins?.size ?? 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The highest version here; 0 without any. */
  get newest(): number {
    return this.#newest;
  }

  /** The winner of a slot, tombstones too. */
  get(slot: string): SignedRecord | undefined {
    return this.#records.get(slot);
  }

  /** The loser of a slot with two records of one version. */
  twin(slot: string): SignedRecord | undefined {
    return this.#twins?.get(slot);
  }

  winners(): IterableIterator<SignedRecord> {
    return this.#records.values();
  }

  /** Winners and twins. */
  *all(): IterableIterator<SignedRecord> {
    yield* this.#records.values();
    if (this.#twins) yield* this.#twins.values();
  }

  /** What `add` would say, before the signature was looked at; nothing changes. */
  judge(record: SignedRecord, nowMs: number): Offer {
    if (this.#limits.isAgeing && record.version < this.#newest - DEAD_BEHIND) return 'older';
    const current = this.#records.get(record.slot);
    if (!current) {
      if (this.#isClosed || (this.#isFull && !this.#hasToken(nowMs))) return 'over quota';
      return 'new';
    }
    if (record.version < current.version) return 'older';
    if (record.version > current.version) return this.#hasToken(nowMs) ? 'new' : 'over quota';
    const twin = this.#twins?.get(record.slot);
    if (record.hash === current.hash || record.hash === twin?.hash) return 'known';
    if (twin && record.hash > twin.hash) return 'older';
    return this.#hasToken(nowMs) ? 'equivocation' : 'over quota';
  }

  /** `isFree`: takes no token, for what comes from our own disk or pen. The signature was checked. */
  add(record: SignedRecord, nowMs: number, isFree = false): ShelfChange {
    const offer = isFree ? this.#judgeFree(record, nowMs) : this.judge(record, nowMs);
    if (offer !== 'new' && offer !== 'equivocation') return { offer, gone: [] };
    const gone: SignedRecord[] = [];
    // A new key takes no token while the quota of the shelf bounds those: or a newcomer would learn for minutes. On a
    // full shelf it pushes another out, and that could go on for ever.
    const isChange = offer === 'equivocation' || this.#records.has(record.slot);
    if (!isFree && (isChange || this.#isFull)) this.#tokens -= 1;
    if (offer === 'equivocation') this.#addTwin(record, gone);
    else {
      this.#drop(record.slot, gone);
      this.#records.set(record.slot, record);
    }
    this.#bytes += record.size;
    this.#newest = Math.max(this.#newest, record.version);
    this.#oldest = Math.min(this.#oldest, record.version);
    this.digest = undefined;
    if (this.#limits.isAgeing && this.#oldest < this.#newest - DEAD_BEHIND) this.#bury(gone);
    this.#cutToQuota(gone);
    return gone.includes(record) ? { offer: 'over quota', gone } : { offer, gone };
  }

  /** Takes one record away, for good: nobody may offer it again. */
  remove(record: SignedRecord): void {
    if (this.#twins?.get(record.slot) === record) this.#twins.delete(record.slot);
    else if (this.#records.get(record.slot) === record) this.#records.delete(record.slot);
    else return;
    this.#bytes -= record.size;
    this.digest = undefined;
  }

  /** Shared records are kept for ever, so a full shelf takes no new key: nobody may push others' out. */
  get #isClosed(): boolean {
    return !this.#limits.isAgeing && this.#isFull;
  }

  get #isFull(): boolean {
    const { records, bytes } = this.#limits;
    return this.#records.size >= records || this.#bytes >= bytes;
  }

  #judgeFree(record: SignedRecord, nowMs: number): Offer {
    const offer = this.judge(record, nowMs);
    return offer === 'over quota' ? 'new' : offer;
  }

  /** Three records with one version: the two with the smallest hashes stay, the smallest is the winner. */
  #addTwin(record: SignedRecord, gone: SignedRecord[]): void {
    const { slot } = record;
    this.#twins ??= new Map();
    const current = this.#records.get(slot);
    const twin = this.#twins.get(slot);
    if (twin) {
      this.#bytes -= twin.size;
      gone.push(twin);
    }
    if (current && record.hash < current.hash) {
      this.#records.set(slot, record);
      this.#twins.set(slot, current);
    } else this.#twins.set(slot, record);
  }

  #drop(slot: string, gone: SignedRecord[]): void {
    const current = this.#records.get(slot);
    const twin = this.#twins?.get(slot);
    for (const record of [current, twin]) {
      if (!record) continue;
      this.#bytes -= record.size;
      gone.push(record);
    }
    this.#records.delete(slot);
    this.#twins?.delete(slot);
  }

  #bury(gone: SignedRecord[]): void {
    const limit = this.#newest - DEAD_BEHIND;
    this.#oldest = Infinity;
    for (const record of [...this.#records.values()]) {
      if (record.version < limit) this.#drop(record.slot, gone);
      else this.#oldest = Math.min(this.#oldest, record.version);
    }
  }

  #cutToQuota(gone: SignedRecord[]): void {
    const { records, bytes, isAgeing } = this.#limits;
    if (!isAgeing || (this.#records.size <= records && this.#bytes <= bytes)) return;
    const byAge = [...this.#records.values()].sort(
      (a, b) => a.version - b.version || (a.hash < b.hash ? -1 : 1),
    );
    for (const record of byAge) {
      if (this.#records.size <= records && this.#bytes <= bytes) return;
      this.#drop(record.slot, gone);
    }
  }

  #hasToken(nowMs: number): boolean {
    if (nowMs > this.#tokensAtMs) {
      const gained = ((nowMs - this.#tokensAtMs) / 1000) * OWNER_VERSIONS_PER_SECOND;
      this.#tokens = Math.min(OWNER_BURST, this.#tokens + gained);
      this.#tokensAtMs = nowMs;
    }
    return this.#tokens >= 1;
  }
}
