import type { Rng } from '../base/rng.js';
import { TokenBucket } from '../base/token-bucket.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import {
  decodeDigest,
  decodePull,
  decodeRecords,
  encodeRecords,
  MESSAGE_TARGET_BYTES,
} from '../wire/records.js';
import type { RecordActions } from './actions.js';
import { answerAsk, answerPull, type Answer } from './answers.js';
import {
  ANSWER_BURST_BYTES,
  ANSWER_BYTES_PER_SECOND,
  ANTI_ENTROPY_MAX_MS,
  ANTI_ENTROPY_MIN_MS,
  CATCH_UPS_BURST,
  CATCH_UPS_PER_SECOND,
  ASK_BELOW_QUEUED,
  MAX_SYNCS,
  NEWS_COMPARED_MAX_MS,
  NEWS_COMPARED_MIN_MS,
  PUSH_AGAIN_FROM,
  PUSH_AGAIN_MS,
  PUSH_DELAY_MS,
  PUSH_FANOUT,
  PUSH_MAX_QUEUED,
  PUSH_PULLED_MAX,
  SYNC_AGAIN_MS,
  VERIFY_PER_TURN,
} from './constants.js';
import type { SignedRecord } from './signed-record.js';
import type { RecordStore } from './store.js';
import { Shares } from './shares.js';
import { Sync } from './sync.js';
import { VerifyQueue } from './verify-queue.js';

/*
 * How records spread (docs/protocol.md §5):
 *
 *   news, ours or another's ─ 10 ms ─► pushed to 3 neighbours        a new neighbour, one that differs ─► due ─► Sync
 *   every 10-30 s, and 2-5 s after                                   whatever comes ─► VerifyQueue ─► store ─► news
 *   something new ─► one that is due, or any neighbour ─► Sync
 *
 * Pushes to three reach nineteen of twenty members. Who has something new compares soon, so the last one is found within
 * seconds and a mesh that was cut in two agrees as fast as it grows together, while one at rest stays quiet.
 * A lost push is found by the next comparison. What a neighbour can make us do is bounded: bytes answered, signatures
 * looked at, records waiting.
 */

/** Answers cost by the kilobyte. */
const ANSWER_UNIT_BYTES = 1024;
const MAX_RECORDS_PER_PUSH = 32;

interface News {
  readonly record: SignedRecord;
  /** Undefined: our own. */
  readonly from: PeerId | undefined;
}

export interface GossipComponents {
  readonly store: RecordStore;
  readonly rng: Rng;
}

export class Gossip {
  readonly #store: RecordStore;
  readonly #rng: Rng;
  readonly #queue = new VerifyQueue();
  readonly #shares = new Shares();
  readonly #syncs = new Map<PeerId, Sync>();
  /** To be caught up with, in this order: a few at once, since after those one learns little from another. */
  readonly #due = new Set<PeerId>();
  readonly #catchUps = new TokenBucket(CATCH_UPS_BURST, CATCH_UPS_PER_SECOND);
  #catchUpAtMs = Number.POSITIVE_INFINITY;
  readonly #syncedAtMs = new Map<PeerId, number>();
  readonly #answers = new Map<PeerId, TokenBucket>();
  #neighbours: readonly PeerId[] = [];
  #news: News[] = [];
  #pushAtMs = Number.POSITIVE_INFINITY;
  #pushedMs = Number.NEGATIVE_INFINITY;
  #antiEntropyAtMs: number;
  #id = 0;

  constructor(components: GossipComponents, options: { readonly nowMs: number }) {
    this.#store = components.store;
    this.#rng = components.rng;
    this.#antiEntropyAtMs = options.nowMs + this.#pauseMs(ANTI_ENTROPY_MIN_MS, ANTI_ENTROPY_MAX_MS);
  }

  get nextDeadlineMs(): number {
    if (this.#queue.size > 0) return 0;
    let next = Math.min(this.#pushAtMs, this.#catchUpAtMs, this.#store.nextDeadlineMs);
    if (this.#neighbours.length > 0) next = Math.min(next, this.#antiEntropyAtMs);
    for (const sync of this.#syncs.values()) next = Math.min(next, sync.nextDeadlineMs);
    return next;
  }

  /** States something of ours and spreads it. */
  put(kind: number, key: Uint8Array, body: Uint8Array, nowMs: number, out: RecordActions): void {
    const record = this.#store.put(kind, key, body, nowMs, out);
    if (typeof record === 'object') this.#spread({ record, from: undefined }, nowMs);
  }

  /** States something shared under a version of its own and spreads it. @returns its record */
  putShared(
    kind: number,
    key: Uint8Array,
    version: number,
    body: Uint8Array,
    nowMs: number,
    out: RecordActions,
  ): SignedRecord | undefined {
    const record = this.#store.putShared(kind, key, version, body, nowMs, out);
    if (record) this.#spread({ record, from: undefined }, nowMs);
    return record;
  }

  /** Hands a peer records that it should have at once, without waiting for them to spread. */
  hand(peer: PeerId, records: readonly SignedRecord[], out: RecordActions): void {
    for (const group of groupsOf(records.map(({ bytes }) => bytes))) {
      const body = encodeRecords({ id: 0, index: 0, count: 1, isMore: false, records: group });
      out.send(peer, CONTROL.RECORDS, body);
    }
  }

  /** Takes something of ours back. */
  delete(kind: number, key: Uint8Array, nowMs: number, out: RecordActions): void {
    const record = this.#store.delete(kind, key, nowMs, out);
    if (record) this.#spread({ record, from: undefined }, nowMs);
  }

  /** Signs that a member is removed, and spreads it. */
  remove(peer: PeerId, nowMs: number, out: RecordActions): void {
    this.#spread({ record: this.#store.remove(peer, nowMs, out), from: undefined }, nowMs);
  }

  /** Who can be talked to now, all of them; new ones are caught up with at once. */
  onNeighbours(peers: readonly PeerId[], nowMs: number, out: RecordActions): void {
    const before = new Set(this.#neighbours);
    this.#neighbours = [...peers];
    const now = new Set(peers);
    this.#store.onCompany(peers.length > 0, nowMs);
    const isFirst = before.size === 0 && peers.length > 0;
    if (isFirst && this.#news.length > 0) this.#pushAtMs = nowMs + PUSH_DELAY_MS;
    for (const peer of peers) {
      if (before.has(peer)) continue;
      this.#store.noteSession(peer, nowMs, out);
      this.#due.add(peer);
    }
    for (const peer of before) {
      if (now.has(peer)) continue;
      this.#syncs.delete(peer);
      this.#due.delete(peer);
      this.#syncedAtMs.delete(peer);
      this.#answers.delete(peer);
      this.#shares.forget(peer);
    }
    this.#queue.keep(now, nowMs);
    this.#startSyncs(nowMs, out);
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, nowMs: number, out: RecordActions): void {
    if (this.#queue.isDeafTo(peer, nowMs)) return;
    if (type === CONTROL.DIGEST) this.#onDigest(peer, body, nowMs, out);
    else if (type === CONTROL.PULL) this.#onPull(peer, body, nowMs, out);
    else if (type === CONTROL.RECORDS) this.#onRecords(peer, body, nowMs, out);
    this.#startSyncs(nowMs, out);
  }

  onDeadline(nowMs: number, out: RecordActions): void {
    this.#verify(nowMs, out);
    for (const record of this.#store.onDeadline(nowMs, out)) {
      this.#spread({ record, from: undefined }, nowMs);
    }
    if (nowMs >= this.#antiEntropyAtMs) {
      this.#antiEntropyAtMs = nowMs + this.#pauseMs(ANTI_ENTROPY_MIN_MS, ANTI_ENTROPY_MAX_MS);
      for (const peer of this.#neighbours) this.#store.noteSession(peer, nowMs, out);
      const [waiting] = this.#due;
      const peer = waiting ?? this.#pick(1)[0];
      if (peer) this.#startSync(peer, nowMs, out);
    }
    for (const [peer, sync] of this.#syncs) {
      send(peer, sync.onDeadline(nowMs), out);
      this.#endSync(sync, nowMs);
    }
    if (nowMs >= this.#pushAtMs) this.#push(nowMs, out);
    this.#startSyncs(nowMs, out);
  }

  #onDigest(peer: PeerId, body: Uint8Array, nowMs: number, out: RecordActions): void {
    const message = decodeDigest(body);
    if (!message.ok) return;
    if (message.value.kind !== 'ask') {
      const sync = this.#syncs.get(peer);
      if (!sync) return;
      send(peer, sync.onDigest(message.value, nowMs), out);
      this.#settle(sync, nowMs, out);
      return;
    }
    const { id, root } = message.value;
    const answer = answerAsk(this.#store, id, root);
    if (!this.#mayAnswer(peer, answer.body.length, nowMs)) return;
    send(peer, answer, out);
    const isSame = Buffer.compare(root, this.#store.digest.root()) === 0;
    const lastMs = this.#syncedAtMs.get(peer) ?? Number.NEGATIVE_INFINITY;
    if (!isSame && nowMs - lastMs >= SYNC_AGAIN_MS) this.#due.add(peer);
  }

  #onPull(peer: PeerId, body: Uint8Array, nowMs: number, out: RecordActions): void {
    const message = decodePull(body);
    if (!message.ok || !this.#mayAnswer(peer, ANSWER_UNIT_BYTES, nowMs)) return;
    for (const answer of answerPull(this.#store, message.value)) {
      // What is cut off here is asked for again.
      if (!this.#mayAnswer(peer, answer.body.length, nowMs)) return;
      send(peer, answer, out);
    }
  }

  #onRecords(peer: PeerId, body: Uint8Array, nowMs: number, out: RecordActions): void {
    const message = decodeRecords(body);
    if (!message.ok) return;
    const { id, index, count, isMore, records } = message.value;
    const sync = this.#syncs.get(peer);
    const isAnswer = id !== 0 && sync?.expects(id) === true;
    if (id !== 0 && !isAnswer) return;
    const isNews = !isAnswer || (count === 1 && !isMore && records.length <= PUSH_PULLED_MAX);
    let brought = false;
    for (const bytes of records) {
      const read = this.#store.reader(bytes);
      if (!read.ok) continue;
      const offer = this.#store.judge(read.value, nowMs);
      if (offer === 'over quota') this.#onOverQuota(read.value, peer, nowMs, out);
      if (offer !== 'new' && offer !== 'equivocation') continue;
      if (!isAnswer && !this.#shares.mayPush(peer, nowMs)) {
        this.#tellQuota(peer, 'pushes', nowMs, out);
        break;
      }
      brought = true;
      this.#queue.add({ record: read.value, from: peer, isNews }, nowMs);
    }
    if (!isAnswer) return;
    send(peer, sync.onRecords(index, count, brought, nowMs), out);
    this.#settle(sync, nowMs, out);
  }

  #verify(nowMs: number, out: RecordActions): void {
    for (let done = 0; done < VERIFY_PER_TURN; done++) {
      const waiting = this.#queue.take();
      if (!waiting) break;
      const { record, from, isNews } = waiting;
      const offer = this.#store.judge(record, nowMs);
      if (offer !== 'new' && offer !== 'equivocation') continue;
      if (!this.#store.verify(record)) {
        this.#onForged(from, nowMs, out);
        continue;
      }
      const result = this.#store.merge(record, nowMs, out);
      if (result === 'new') this.#hasten(nowMs);
      if (isNews && (result === 'new' || result === 'equivocation')) {
        this.#spread({ record, from }, nowMs);
      }
    }
    if (this.#queue.size > 0) return;
    for (const sync of [...this.#syncs.values()]) this.#settle(sync, nowMs, out);
  }

  /** A full store refuses strangers too, which is nobody's fault. */
  #onOverQuota(record: SignedRecord, from: PeerId, nowMs: number, out: RecordActions): void {
    const { owner } = record;
    if (this.#store.isFull || !this.#shares.mayCheck(owner, nowMs)) return;
    if (this.#store.verify(record)) this.#tellQuota(owner, 'signs', nowMs, out);
    else this.#onForged(from, nowMs, out);
  }

  #tellQuota(peer: PeerId, verb: 'signs' | 'pushes', nowMs: number, out: RecordActions): void {
    if (!this.#shares.accuse(peer, nowMs)) return;
    out.event({
      level: 'warn',
      code: 'record-quota',
      message: `Peer ${shortPeerId(peer)} ${verb} more records than its share; the rest is not taken`,
      peer,
      cure: 'Look at that peer: it is broken or hostile. Remove it from the mesh if it goes on.',
    });
  }

  #onForged(from: PeerId, nowMs: number, out: RecordActions): void {
    if (!this.#queue.onForged(from, nowMs)) return;
    this.#syncs.delete(from);
    out.event({
      level: 'warn',
      code: 'record-forged',
      message: `Peer ${shortPeerId(from)} passed on records with bad signatures; not listened to for a minute`,
      peer: from,
      cure: 'It runs a broken or hostile overlayd: update it, or remove it from the mesh.',
    });
  }

  /** A sync that has all answers goes on when what it brought is verified. */
  #settle(sync: Sync, nowMs: number, out: RecordActions): void {
    if (this.#queue.size === 0) send(sync.peer, sync.onVerified(nowMs), out);
    this.#endSync(sync, nowMs);
  }

  #endSync(sync: Sync, nowMs: number): void {
    if (sync.state === 'running') return;
    if (this.#syncs.get(sync.peer) === sync) this.#syncs.delete(sync.peer);
    if (sync.state === 'done') this.#store.onSynced(nowMs);
  }

  #startSyncs(nowMs: number, out: RecordActions): void {
    this.#catchUpAtMs = Number.POSITIVE_INFINITY;
    for (const peer of this.#due) {
      if (this.#syncs.size >= MAX_SYNCS || this.#queue.size > ASK_BELOW_QUEUED) return;
      if (!this.#catchUps.take(nowMs)) {
        this.#catchUpAtMs = nowMs + this.#catchUps.waitMs(nowMs);
        return;
      }
      this.#startSync(peer, nowMs, out);
    }
  }

  #startSync(peer: PeerId, nowMs: number, out: RecordActions): void {
    if (this.#syncs.size >= MAX_SYNCS || this.#queue.size > ASK_BELOW_QUEUED) {
      this.#due.add(peer);
      return;
    }
    this.#due.delete(peer);
    if (this.#syncs.has(peer) || this.#queue.isDeafTo(peer, nowMs)) return;
    const sync = new Sync(peer, this.#store, () => this.#nextId());
    this.#syncs.set(peer, sync);
    this.#syncedAtMs.set(peer, nowMs);
    send(peer, sync.start(nowMs), out);
  }

  /** The next comparison comes sooner; news that go on do not put it off. */
  #hasten(nowMs: number): void {
    if (this.#antiEntropyAtMs <= nowMs + NEWS_COMPARED_MIN_MS) return;
    const soonMs = nowMs + this.#pauseMs(NEWS_COMPARED_MIN_MS, NEWS_COMPARED_MAX_MS);
    this.#antiEntropyAtMs = Math.min(this.#antiEntropyAtMs, soonMs);
  }

  #spread(news: News, nowMs: number): void {
    this.#hasten(nowMs);
    if (this.#news.length >= PUSH_MAX_QUEUED) this.#news.shift();
    this.#news.push(news);
    // What is ours goes at once; a storm of others' news is passed on twice a second and not record by record.
    const isStorm = news.from !== undefined && this.#neighbours.length >= PUSH_AGAIN_FROM;
    const restMs = isStorm ? this.#pushedMs + PUSH_AGAIN_MS : nowMs;
    this.#pushAtMs = Math.min(this.#pushAtMs, Math.max(nowMs + PUSH_DELAY_MS, restMs));
  }

  #push(nowMs: number, out: RecordActions): void {
    this.#pushAtMs = Number.POSITIVE_INFINITY;
    // What a node says at its start, before it has anybody to say it to, waits for the first.
    if (this.#neighbours.length === 0) return;
    const news = this.#news;
    this.#pushedMs = nowMs;
    this.#news = [];
    for (const peer of this.#pick(PUSH_FANOUT)) {
      const records = news.filter(({ from }) => from !== peer).map(({ record }) => record.bytes);
      for (const group of groupsOf(records)) {
        const body = encodeRecords({ id: 0, index: 0, count: 1, isMore: false, records: group });
        out.send(peer, CONTROL.RECORDS, body);
      }
    }
  }

  #mayAnswer(peer: PeerId, bytes: number, nowMs: number): boolean {
    let bucket = this.#answers.get(peer);
    if (!bucket) {
      const [burst, rate] = [ANSWER_BURST_BYTES, ANSWER_BYTES_PER_SECOND];
      bucket = new TokenBucket(burst / ANSWER_UNIT_BYTES, rate / ANSWER_UNIT_BYTES);
      this.#answers.set(peer, bucket);
    }
    for (let at = 0; at < bytes; at += ANSWER_UNIT_BYTES) if (!bucket.take(nowMs)) return false;
    return true;
  }

  #pick(count: number): PeerId[] {
    const pool = [...this.#neighbours];
    const picked: PeerId[] = [];
    while (picked.length < count && pool.length > 0) {
      const at = Math.floor(this.#rng.fraction() * pool.length);
      picked.push(...pool.splice(at, 1));
    }
    return picked;
  }

  #pauseMs(leastMs: number, mostMs: number): number {
    return leastMs + Math.round(this.#rng.fraction() * (mostMs - leastMs));
  }

  #nextId(): number {
    this.#id = this.#id >= 0xffff_ffff ? 1 : this.#id + 1;
    return this.#id;
  }
}

function send(peer: PeerId, message: Answer | undefined, out: RecordActions): void {
  if (message) out.send(peer, message.type, message.body);
}

function* groupsOf(records: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let group: Uint8Array[] = [];
  let bytes = 0;
  for (const record of records) {
    const isFull = bytes + record.length > MESSAGE_TARGET_BYTES;
    if (group.length > 0 && (isFull || group.length >= MAX_RECORDS_PER_PUSH)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(record);
    bytes += record.length;
  }
  if (group.length > 0) yield group;
}
