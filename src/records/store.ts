import { parsePeerId, peerIdBytes, shortPeerId, type PeerId } from '../model/peer-id.js';
import { isSharedKind, RECORD_KIND, signaturePart, signedPart } from '../wire/record.js';
import type { RecordActions } from './actions.js';
import {
  EXPIRY_GRACE_MS,
  LEASE_TICK_MS,
  OWNER_MAX_BYTES,
  OWNER_MAX_RECORDS,
  REMOVAL_SIGNER_KNOWN_MS,
  REMOVAL_SILENCE_MS,
  STORE_MAX_BYTES,
  STORE_MAX_OWNERS,
} from './constants.js';
import type { RecordCrypto } from './crypto-port.js';
import type { Digest } from './digest.js';
import { Membership } from './membership.js';
import { OwnRecords } from './own-records.js';
import { numberFrom, numberValue } from './persistence.js';
import { removedPeer, Removals, type PlaceRules, type RemovalView } from './removals.js';
import type { Offer, Shelf } from './shelf.js';
import { Shelves } from './shelves.js';
import {
  bodyOfRecord,
  keyOfRecord,
  publicKeyOfRecord,
  recordReader,
  signRecord,
  slotOf,
  type RecordReader,
  type SignedRecord,
} from './signed-record.js';

/** What became of a record that somebody offered. */
export type MergeResult = Offer | 'bad signature' | 'refused';

export interface RecordStoreComponents {
  readonly crypto: RecordCrypto;
  /** This node's Ed25519 public key. */
  readonly publicKey: Uint8Array;
  /** Wall clock in ms: the source of own versions and of how long somebody is known. */
  readonly wallMs: () => number;
  /** A simulator's, which remembers what it read. */
  readonly reader?: RecordReader;
  /** Whether a shared record (title …) may stand; `current` is the winner so far. Removals are judged here. */
  readonly acceptShared?: (record: SignedRecord, current: SignedRecord | undefined) => boolean;
  readonly isAdmin?: (signer: PeerId) => boolean;
}

export interface RecordStoreOptions {
  readonly nowMs: number;
  /** Counted silence after which a peer is hidden. */
  readonly leaseMs?: number;
  /** Silence after which a peer may be removed. */
  readonly removalSilenceMs?: number;
  readonly maxOwners?: number;
  readonly maxBytes?: number;
}

const CONTEST_SLOT = slotOf(RECORD_KIND.CONTEST, new Uint8Array(0));

/**
 * All records this node knows (docs/protocol.md §5): shelves, their digest, who is hidden or removed, and its own
 * statements. Whoever hands it a foreign record has it verified here; what it keeps is written through `out`.
 */
export class RecordStore {
  readonly selfId: PeerId;
  readonly reader: RecordReader;
  /** A peer is silent after this: it may be removed. */
  readonly removalSilenceMs: number;
  readonly #components: RecordStoreComponents;
  readonly #own: OwnRecords;
  readonly #removals: Removals;
  readonly #shelves: Shelves;
  readonly #members: Membership;
  #membersRevision = 0;
  #nextTickMs: number;
  #isSettled = false;
  #fullToldMs = -Infinity;

  constructor(components: RecordStoreComponents, options: RecordStoreOptions) {
    const { crypto, publicKey, wallMs } = components;
    this.#components = components;
    this.reader = components.reader ?? recordReader(crypto);
    this.#shelves = new Shelves(crypto, {
      owners: options.maxOwners ?? STORE_MAX_OWNERS,
      bytes: options.maxBytes ?? STORE_MAX_BYTES,
    });
    this.removalSilenceMs = options.removalSilenceMs ?? REMOVAL_SILENCE_MS;
    const { nowMs, leaseMs } = options;
    const { removalSilenceMs } = this;
    this.#members = new Membership({ nowMs, leaseMs, wallMs, removalSilenceMs });
    this.#removals = new Removals(this.removalSilenceMs);
    this.#own = new OwnRecords(crypto, { publicKey, wallMs });
    this.selfId = this.#own.id;
    this.#nextTickMs = nowMs + LEASE_TICK_MS;
  }

  /** Once, before anything else. Cells that make no sense are passed over; nothing is reported as a change. */
  restore(cells: Iterable<readonly [string, Uint8Array]>, nowMs: number): void {
    const heard: [PeerId, number][] = [];
    let counted: number | undefined;
    for (const [key, value] of cells) {
      if (key.startsWith('r/')) {
        this.#restoreRecord(value, nowMs);
        continue;
      }
      const number = numberFrom(value);
      if (number === undefined) continue;
      const [, name, id = ''] = key.split('/');
      const peer = parsePeerId(id);
      if (name === 'version') this.#own.restore(number);
      else if (name === 'counted') counted = number;
      else if (name === 'heard' && peer) heard.push([peer, number]);
      else if (name === 'since' && peer) this.#members.restoreSince(peer, number);
      else if (name === 'removed' && peer) this.#removals.restore(peer);
    }
    this.#members.restoreLease(counted, heard);
    if (!this.#knowsOthers) this.#removals.beginEmpty(nowMs + EXPIRY_GRACE_MS);
    for (const record of this.#shelves.get(this.selfId)?.winners() ?? []) {
      this.#own.raise(record.version);
      if (!record.isTombstone) this.#own.adopt(record, nowMs);
    }
  }

  #restoreRecord(bytes: Uint8Array, nowMs: number): void {
    const read = this.reader(bytes);
    if (!read.ok) return;
    const record = read.value;
    this.#shelves.restore(record, nowMs);
    if (record.kind === RECORD_KIND.REMOVED) this.#removals.add(record, nowMs, true);
  }

  // ── what others ask ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Owners and groups with records, of whatever state. */
  get shelfCount(): number {
    return this.#shelves.count;
  }

  get recordBytes(): number {
    return this.#shelves.bytes;
  }

  /** What two stores compare. */
  get digest(): Digest {
    return this.#shelves.digest;
  }

  /**
   * Whether this node has read its own records back from the mesh since it started, or knows nobody: until then it
   * grants and allocates nothing new.
   */
  get isSettled(): boolean {
    return this.#isSettled || !this.#knowsOthers;
  }

  get #knowsOthers(): boolean {
    return this.#shelves.count > (this.#shelves.get(this.selfId) ? 1 : 0);
  }

  /** What counts under that key: no tombstone, nothing of a hidden or removed owner. */
  get(owner: PeerId, kind: number, key: Uint8Array): SignedRecord | undefined {
    const record = this.#shelves.get(owner)?.get(slotOf(kind, key));
    return record && this.#isVisible(record) ? record : undefined;
  }

  /** The winner of a shared key (title, removal), whoever signed it. */
  getShared(kind: number, key: Uint8Array): SignedRecord | undefined {
    const slot = slotOf(kind, key);
    const shelf = this.#shelves.get(this.#shelves.idOfShared(kind, slot));
    const record = shelf?.get(slot);
    return record && !record.isTombstone ? record : undefined;
  }

  /** All that counts of one kind; walks the whole store, so follow the changes for more than a first look. */
  *ofKind(kind: number): IterableIterator<SignedRecord> {
    for (const shelf of this.#shelves.all()) {
      for (const record of shelf.winners()) {
        if (record.kind === kind && this.#isVisible(record)) yield record;
      }
    }
  }

  /** All that counts of one owner. */
  *ofOwner(owner: PeerId): IterableIterator<SignedRecord> {
    for (const record of this.#shelves.get(owner)?.winners() ?? []) {
      if (this.#isVisible(record)) yield record;
    }
  }

  /** Members that are neither hidden nor removed, this node included. */
  *owners(): IterableIterator<PeerId> {
    for (const { id, size } of this.#shelves.owned()) {
      if (size > 0 && !this.#isAway(id)) yield id;
    }
  }

  /** Grows when somebody becomes a member, is hidden, comes back or is removed: not with what members say. */
  get membersRevision(): number {
    return this.#membersRevision;
  }

  isHidden(peer: PeerId): boolean {
    return this.#members.hidden.has(peer);
  }

  /** Known for over an hour: what it says counts where identities made for the purpose shall not. */
  isEstablished(peer: PeerId): boolean {
    return this.#members.knownForMs(peer) >= REMOVAL_SIGNER_KNOWN_MS;
  }

  /** Whether a peer has given no sign of life for so long that it may be removed. */
  isSilent(peer: PeerId, nowMs: number): boolean {
    return this.#members.isSilent(peer, nowMs);
  }

  /** Monotonic time of a peer's last sign of life in this run. */
  lastHeardMs(peer: PeerId): number | undefined {
    return this.#members.lastHeardMs(peer);
  }

  isRemoved(peer: PeerId): boolean {
    return this.#removals.isInForce(peer);
  }

  /** What members signed about the removal of `peer`, in force or not. */
  removalsOf(peer: PeerId): readonly SignedRecord[] {
    return this.#removals.statementsAbout(peer);
  }

  get hiddenPeers(): ReadonlySet<PeerId> {
    return this.#members.hidden;
  }

  get removedPeers(): ReadonlySet<PeerId> {
    return this.#removals.inForce;
  }

  shelf(id: PeerId): Shelf | undefined {
    return this.#shelves.get(id);
  }

  /** No room for owners that were never met. */
  get isFull(): boolean {
    return this.#shelves.isFull;
  }

  // ── what others say ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a record is worth verifying: what `merge` would say of a good signature. */
  judge(record: SignedRecord, nowMs: number): MergeResult {
    const shelf = this.#shelves.get(this.#shelves.idOf(record));
    const offer = shelf?.judge(record, nowMs) ?? 'new';
    if (offer !== 'new' && offer !== 'equivocation') return offer;
    if (record.kind === RECORD_KIND.REMOVED) {
      return this.#removals.mayAdd(record, nowMs, this.#placeRules) ? offer : 'refused';
    }
    if (isSharedKind(record.kind)) {
      const accept = this.#components.acceptShared;
      if (accept && !accept(record, shelf?.get(record.slot))) return 'refused';
    } else if (this.#removals.isInForce(record.owner) && record.owner !== this.selfId) {
      return 'refused';
    }
    if (!shelf && this.isFull && !this.#members.hasMet(record.owner)) return 'over quota';
    return offer;
  }

  verify(record: SignedRecord): boolean {
    const { bytes } = record;
    return this.#components.crypto.verify(
      publicKeyOfRecord(record),
      signedPart(bytes),
      signaturePart(bytes),
    );
  }

  /** Takes a record whose signature was verified. */
  merge(record: SignedRecord, nowMs: number, out: RecordActions): MergeResult {
    const judged = this.judge(record, nowMs);
    if (judged !== 'new' && judged !== 'equivocation') {
      if (judged === 'over quota' && this.isFull) this.#tellFull(nowMs, out);
      return judged;
    }
    if (record.owner === this.selfId && !isSharedKind(record.kind)) {
      return this.#meetOwn(record, nowMs, out);
    }
    const isRepetition = this.#removals.isRepetition(record);
    const result = this.#add(record, nowMs, false, out);
    if (result !== 'new' && result !== 'equivocation') return result;
    if (!isSharedKind(record.kind)) this.noteAlive(record.owner, nowMs, out);
    if (result === 'equivocation') {
      const peer = record.owner;
      out.event({
        level: 'warn',
        code: 'record-equivocation',
        message: `Peer ${shortPeerId(peer)} signed two records with one version; the same one wins everywhere`,
        peer,
        cure: 'If the machine was cloned, give the clone a state directory of its own; else remove the peer.',
      });
    }
    if (record.kind === RECORD_KIND.REMOVED) this.#onRemoval(record, isRepetition, nowMs, out);
    return result;
  }

  /** A handshake with the peer was completed, now or ever: its records are the last to go when the store is full. */
  noteMet(peer: PeerId): void {
    this.#members.noteMet(peer);
  }

  /** There is a session with the peer. */
  noteSession(peer: PeerId, nowMs: number, out: RecordActions): void {
    if (this.isRemoved(peer)) return;
    this.#members.noteSession(peer, nowMs);
    this.noteAlive(peer, nowMs, out);
  }

  /** The peer has a live session, or sent something new. */
  noteAlive(peer: PeerId, nowMs: number, out: RecordActions): void {
    if (!this.#members.noteAlive(peer, nowMs, out)) return;
    this.#membersRevision += 1;
    this.#retell(peer, out);
  }

  onCompany(hasCompany: boolean, nowMs: number): void {
    this.#members.onCompany(hasCompany, nowMs);
  }

  /** A neighbour has what we have. */
  onSynced(nowMs: number): void {
    this.#members.onSynced(nowMs);
    this.#isSettled = true;
  }

  // ── what this node says ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * States something under our own (kind, key); a body that stands already is not signed again. Shared kinds are
   * signed by us and belong to their key.
   * @returns the record to spread, or why there is none.
   */
  put(
    kind: number,
    key: Uint8Array,
    body: Uint8Array,
    nowMs: number,
    out: RecordActions,
  ): SignedRecord | 'same' | 'over quota' {
    const slot = slotOf(kind, key);
    if (isSharedKind(kind)) return this.#state(slot, body, nowMs, out);
    const shelf = this.#shelves.get(this.selfId);
    const current = shelf?.get(slot);
    if (current && !current.isTombstone && sameBytes(bodyOfRecord(current), body)) {
      if (this.#own.says(slot) === undefined) this.#own.adopt(current, nowMs);
      return 'same';
    }
    const live = [...this.#own.slots].length;
    if (
      !current &&
      (live >= OWNER_MAX_RECORDS - 16 || (shelf?.bytes ?? 0) > OWNER_MAX_BYTES - 4096)
    ) {
      return 'over quota';
    }
    return this.#state(slot, new Uint8Array(body), nowMs, out);
  }

  /**
   * States something shared whose version is part of what is said (titles): not our own counter's.
   * @returns the record to spread; undefined when a later version stands.
   */
  putShared(
    kind: number,
    key: Uint8Array,
    version: number,
    body: Uint8Array,
    nowMs: number,
    out: RecordActions,
  ): SignedRecord | undefined {
    const { crypto, publicKey } = this.#components;
    const fields = { kind, key, version, isTombstone: false, body, publicKey };
    const record = signRecord(fields, crypto);
    const offer = this.#add(record, nowMs, true, out);
    return offer === 'older' || offer === 'over quota' ? undefined : record;
  }

  /** Takes back what we said. @returns the tombstone to spread; undefined when we said nothing. */
  delete(
    kind: number,
    key: Uint8Array,
    nowMs: number,
    out: RecordActions,
  ): SignedRecord | undefined {
    const slot = slotOf(kind, key);
    const current = this.#shelves.get(this.selfId)?.get(slot);
    if (this.#own.says(slot) === undefined && (!current || current.isTombstone)) return undefined;
    return this.#state(slot, undefined, nowMs, out);
  }

  /**
   * Signs that `peer` is removed from the mesh. Removing ourselves is leaving it.
   * @returns the record to spread: one that stands already is not signed again.
   */
  remove(peer: PeerId, nowMs: number, out: RecordActions): SignedRecord {
    const standing = this.#removals.standing(peer, this.selfId, this.#removalView(nowMs));
    if (standing) {
      this.#judgeRemoval(peer, nowMs, out);
      return standing;
    }
    const key = new Uint8Array(32);
    key.set(peerIdBytes(peer), 0);
    key.set(peerIdBytes(this.selfId), 16);
    const record = this.#state(slotOf(RECORD_KIND.REMOVED, key), new Uint8Array(0), nowMs, out);
    this.#onRemoval(record, false, nowMs, out);
    return record;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#nextTickMs, this.#own.nextDeadlineMs);
  }

  /** @returns own records that were signed anew and are to be spread. */
  onDeadline(nowMs: number, out: RecordActions): readonly SignedRecord[] {
    if (nowMs >= this.#nextTickMs) this.#tick(nowMs, out);
    const slot = this.#own.due(nowMs);
    const body = slot === undefined ? undefined : this.#own.says(slot);
    return slot === undefined || !body ? [] : [this.#state(slot, body, nowMs, out)];
  }

  #state(
    slot: string,
    body: Uint8Array | undefined,
    nowMs: number,
    out: RecordActions,
  ): SignedRecord {
    const isShared = isSharedKind(slot.charCodeAt(0));
    const { record, reserve } = this.#own.state(slot, body, nowMs);
    if (reserve !== undefined) out.persist('n/version', numberValue(reserve), true);
    if (isShared) this.#own.forget(slot);
    this.#add(record, nowMs, true, out);
    return record;
  }

  /** A record of ours that we do not have comes from an earlier life: a lost or restored state directory. */
  #meetOwn(record: SignedRecord, nowMs: number, out: RecordActions): MergeResult {
    const mine = this.#own.says(record.slot);
    const current = this.#shelves.get(this.selfId)?.get(record.slot);
    this.#own.raise(record.version);
    const result = this.#add(record, nowMs, true, out);
    const isSame = mine ? !record.isTombstone && sameBytes(mine, bodyOfRecord(record)) : false;
    if (mine && !isSame) this.#state(record.slot, mine, nowMs, out);
    else if (mine || (!record.isTombstone && !this.#isSettled && !current?.isTombstone)) {
      this.#own.adopt(record, nowMs);
    } else if (!record.isTombstone) this.#state(record.slot, undefined, nowMs, out);
    return result;
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #add(record: SignedRecord, nowMs: number, isFree: boolean, out: RecordActions): Offer {
    const isNewShelf = !this.#shelves.get(this.#shelves.idOf(record));
    if (isNewShelf && this.isFull && !isFree) this.#makeRoom(out);
    const added = this.#shelves.add(record, nowMs, isFree, out);
    const { offer, gone, shelf } = added;
    if (added.isComingOrGoing) this.#membersRevision += 1;
    if (offer !== 'new' && offer !== 'equivocation' && gone.length === 0) return offer;
    if (record.kind === RECORD_KIND.REMOVED) this.#removals.add(record, nowMs, isFree);
    if (!isSharedKind(record.kind)) this.#members.noteRecord(record.owner, out);
    const now = shelf.get(record.slot);
    if (now !== added.before) this.#tell(now ?? record, now, out);
    // Who follows shared records judges twins by itself.
    else if (isSharedKind(record.kind)) this.#tell(record, record, out);
    for (const other of gone) {
      if (other.slot !== record.slot && !shelf.get(other.slot)) this.#tell(other, undefined, out);
    }
    return offer;
  }

  /** One owner that was never met makes room for one that was. */
  #makeRoom(out: RecordActions): void {
    for (const shelf of this.#shelves.owned()) {
      if (shelf.id === this.selfId || this.#members.hasMet(shelf.id)) continue;
      this.#drop(shelf, out);
      return;
    }
  }

  /** All that is stored of an owner goes. */
  #drop(shelf: Shelf, out: RecordActions): void {
    for (const record of this.#shelves.drop(shelf, out)) this.#tell(record, undefined, out);
    this.#membersRevision += 1;
    this.#members.forget(shelf.id, out);
  }

  #isAway(owner: PeerId): boolean {
    return this.#members.hidden.has(owner) || this.#removals.isInForce(owner);
  }

  #isVisible(record: SignedRecord): boolean {
    return !record.isTombstone && (isSharedKind(record.kind) || !this.#isAway(record.owner));
  }

  #tell(about: SignedRecord, record: SignedRecord | undefined, out: RecordActions): void {
    const counting = record && this.#isVisible(record) ? record : undefined;
    const { owner, kind } = about;
    out.changed({ owner, kind, key: keyOfRecord(about), record: counting });
  }

  /** All of an owner counts again, or no longer. */
  #retell(owner: PeerId, out: RecordActions): void {
    for (const record of this.#shelves.get(owner)?.winners() ?? []) {
      if (!record.isTombstone) this.#tell(record, record, out);
    }
  }

  #tick(nowMs: number, out: RecordActions): void {
    this.#nextTickMs = nowMs + LEASE_TICK_MS;
    this.#members.advance(nowMs, out);
    for (const peer of this.#removals.pending) this.#judgeRemoval(peer, nowMs, out);
    if (!this.#members.mayExpire(nowMs)) return;
    for (const { id: peer, size } of this.#shelves.owned()) {
      if (peer === this.selfId || size === 0 || this.#isAway(peer)) continue;
      if (!this.#members.expire(peer, out)) continue;
      this.#membersRevision += 1;
      this.#retell(peer, out);
    }
  }

  #onRemoval(record: SignedRecord, isRepetition: boolean, nowMs: number, out: RecordActions): void {
    const peer = removedPeer(record);
    if (!peer) return;
    const signer = record.owner;
    // Nobody asks about whom this node never heard of: a mesh's history, or what a member invents.
    if (!isRepetition && (this.#shelves.get(peer) || peer === this.selfId)) {
      out.event({
        level: 'warn',
        code: peer === this.selfId ? 'self-removal' : 'peer-removal',
        message: `Peer ${shortPeerId(signer)} says that ${shortPeerId(peer)} is removed from the mesh`,
        peer: signer,
      });
    }
    if (peer === this.selfId && signer !== peer) {
      const body = this.#removals.contestBody(peer);
      if (body) this.#state(CONTEST_SLOT, body, nowMs, out);
    }
    // What is said has its effect first.
    this.#judgeRemoval(peer, nowMs, out);
    for (const outranked of this.#removals.takeOutranked(peer, this.#placeRules)) {
      const shelf = this.#shelves.get(this.#shelves.idOf(outranked));
      if (shelf) this.#shelves.dropSlot(shelf, outranked.slot, out);
    }
    this.#nextTickMs = Math.min(this.#nextTickMs, nowMs + this.removalSilenceMs);
  }

  #judgeRemoval(peer: PeerId, nowMs: number, out: RecordActions): void {
    if (!this.#removals.judge(peer, this.#removalView(nowMs))) return;
    this.#membersRevision += 1;
    out.persist(`n/removed/${peer}`, numberValue(1));
    const shelf = this.#shelves.get(peer);
    if (shelf || peer === this.selfId) {
      out.event({
        level: 'warn',
        code: 'peer-removed',
        message: `Peer ${shortPeerId(peer)} is removed from the mesh`,
        peer,
      });
    }
    if (peer === this.selfId) this.#retell(peer, out);
    else if (shelf) this.#drop(shelf, out);
  }

  readonly #placeRules: PlaceRules = {
    isKnown: (signer) => this.isEstablished(signer),
    isExempt: (signer) => signer === this.selfId || this.#components.isAdmin?.(signer) === true,
  };

  #removalView(nowMs: number): RemovalView {
    const { isAdmin } = this.#components;
    return {
      nowMs,
      isOwn: (signer) => signer === this.selfId,
      isSilent: (peer) => peer !== this.selfId && this.#members.isSilent(peer, nowMs),
      lastMetMs: (peer) => (peer === this.selfId ? nowMs + 1 : this.#members.lastMetMs(peer)),
      knownForMs: (peer) => this.#members.knownForMs(peer),
      isAdmin: (peer) => isAdmin?.(peer) ?? false,
      contestOf: (peer) => {
        const record = this.#shelves.get(peer)?.get(CONTEST_SLOT);
        return record && !record.isTombstone ? bodyOfRecord(record) : undefined;
      },
    };
  }

  #tellFull(nowMs: number, out: RecordActions): void {
    if (nowMs - this.#fullToldMs < 10 * LEASE_TICK_MS) return;
    this.#fullToldMs = nowMs;
    out.event({
      level: 'warn',
      code: 'record-store-full',
      message: `The store of records is full (${this.shelfCount} members, ${this.recordBytes} bytes); members this node never met are left out`,
    });
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
