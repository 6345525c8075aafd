import type { PeerId } from '../model/peer-id.js';
import { NamePages, type OwnName } from '../dns/name-pages.js';
import type { Zone } from '../dns/zone.js';
import { bodyOfRecord } from '../records/signed-record.js';
import { decodeNameKey, decodeNameRecord, encodeNameKey } from '../wire/name-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { RecordChange } from '../records/actions.js';
import type { RecordRoom, SayRecord } from './record-room.js';

/*
 * Names in the mesh: our own go into the zone at once and into our records a moment later; others' come from theirs.
 * A source of the zone is `<peer>/<page or statement>/<n>`, so that `dns list` can say whose word a name is.
 */

export interface MeshNamesComponents {
  readonly zone: Zone;
  readonly nowMs: () => number;
  /** Said once per statement. */
  readonly warn: (message: string) => void;
}

export class MeshNames implements RecordRoom {
  readonly kind = RECORD_KIND.NAME;
  readonly #components: MeshNamesComponents;
  readonly #selfId: PeerId;
  readonly #pages = new NamePages();
  /** Own statements. */
  readonly #own = new Map<string, OwnName>();
  /** Sources of the zone by record. */
  readonly #sources = new Map<string, readonly string[]>();
  /** Records of an earlier run on pages that this one does not use. */
  readonly #stale = new Map<string, Uint8Array>();
  #wake: () => void = () => undefined;

  constructor(components: MeshNamesComponents, selfId: PeerId) {
    this.#components = components;
    this.#selfId = selfId;
  }

  onWork(wake: () => void): void {
    this.#wake = wake;
  }

  /** All that this node names, by statement: what is not in it any more goes. */
  setOwn(names: ReadonlyMap<string, OwnName>): void {
    const { zone, nowMs, warn } = this.#components;
    const now = nowMs();
    for (const statement of [...this.#own.keys()]) {
      if (names.has(statement)) continue;
      this.#own.delete(statement);
      zone.delete(this.#sourceOf(statement));
      this.#pages.delete(statement, now);
    }
    for (const [statement, name] of names) {
      const held = this.#own.get(statement);
      // Mostly the same object.
      if (held === name || (held && JSON.stringify(held) === JSON.stringify(name))) continue;
      this.#own.set(statement, name);
      if (!zone.put(this.#sourceOf(statement), name)) {
        this.#pages.delete(statement, now);
      } else if (!this.#pages.put(statement, name, now)) {
        warn(`There is no room to tell the mesh the name ${name.name}: this host has too many`);
      }
    }
    this.#wake();
  }

  onChange({ owner, key, record }: Parameters<RecordRoom['onChange']>[0], isOwn: boolean): void {
    if (isOwn) {
      this.#onOwn(key, record);
      return;
    }
    const { zone } = this.#components;
    const slot = `${owner}/${Buffer.from(key).toString('hex')}`;
    for (const source of this.#sources.get(slot) ?? []) zone.delete(source);
    this.#sources.delete(slot);
    const page = decodeNameKey(key);
    const read = record && page ? decodeNameRecord(bodyOfRecord(record)) : undefined;
    if (page === undefined || !read?.ok) return;
    const sources = read.value.map((entry, index) => {
      const source = `${slot}/${index}`;
      zone.put(source, { network: page.network, ...entry });
      return source;
    });
    this.#sources.set(slot, sources);
  }

  get nextDeadlineMs(): number {
    return this.#stale.size > 0 ? 0 : this.#pages.nextDeadlineMs;
  }

  onDeadline(nowMs: number, say: SayRecord): void {
    for (const [slot, key] of [...this.#stale]) {
      this.#stale.delete(slot);
      const page = decodeNameKey(key);
      if (page === undefined || !this.#pages.has(page)) say(this.kind, key, undefined);
    }
    for (const { body, ...page } of this.#pages.due(nowMs)) {
      say(this.kind, encodeNameKey(page), body);
    }
  }

  /** What an earlier run said, read from disk or from others, is kept only where this run has a page for it. */
  #onOwn(key: Uint8Array, record: RecordChange['record']): void {
    const page = decodeNameKey(key);
    if (record === undefined || (page !== undefined && this.#pages.has(page))) return;
    this.#stale.set(Buffer.from(key).toString('hex'), key);
  }

  #sourceOf(statement: string): string {
    return `${this.#selfId}/${statement}`;
  }
}
