import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { Gossip } from '../../../src/records/gossip.js';
import { signRecord } from '../../../src/records/signed-record.js';
import { CONTROL } from '../../../src/wire/control-types.js';
import { encodeRecords } from '../../../src/wire/records.js';
import { cryptoOf, Member } from './fixtures.js';

const KIND = 1;
/** The first field of a DIGEST that asks, behind the head of its array. */
const DIGEST_ASK = 1;

interface Flight {
  readonly atMs: number;
  readonly from: PeerId;
  readonly to: PeerId;
  readonly type: number;
  readonly body: Uint8Array;
}

/** Members that gossip over links with a delay, a loss and cuts, on one virtual clock. */
class Net {
  readonly members: Member[] = [];
  readonly gossips = new Map<PeerId, Gossip>();
  readonly #byId = new Map<PeerId, Member>();
  readonly #rng = seededRng(5);
  readonly #links = new Map<PeerId, Set<PeerId>>();
  #flights: Flight[] = [];
  readonly events: string[] = [];
  /** All that was sent, lost or not. */
  readonly sent: Flight[] = [];
  sentBytes = 0;
  nowMs = 0;
  delayMs = 10;
  loss = 0;

  add(count: number): void {
    for (let added = 0; added < count; added++) {
      const number = this.members.length + 1;
      const member = new Member({ number, nowMs: this.nowMs });
      this.members.push(member);
      this.#byId.set(member.store.selfId, member);
      this.#links.set(member.store.selfId, new Set());
      const components = { store: member.store, rng: seededRng(number) };
      this.gossips.set(member.store.selfId, new Gossip(components, { nowMs: this.nowMs }));
    }
  }

  id(at: number): PeerId {
    return this.members[at]!.store.selfId;
  }

  link(a: number, b: number): void {
    this.#links.get(this.id(a))!.add(this.id(b));
    this.#links.get(this.id(b))!.add(this.id(a));
    this.#tellNeighbours(a);
    this.#tellNeighbours(b);
  }

  cut(a: number, b: number): void {
    this.#links.get(this.id(a))!.delete(this.id(b));
    this.#links.get(this.id(b))!.delete(this.id(a));
    this.#tellNeighbours(a);
    this.#tellNeighbours(b);
  }

  say(at: number, text: string): void {
    const member = this.#at(at);
    const gossip = this.gossips.get(this.id(at))!;
    gossip.put(KIND, Buffer.from('k'), Buffer.from(text), this.nowMs, member.out);
    this.#flush(member);
  }

  inject(from: number, to: number, type: number, body: Uint8Array): void {
    this.#deliver({ atMs: this.nowMs, from: this.id(from), to: this.id(to), type, body });
  }

  /** Runs to the next thing that is due. */
  step(untilMs: number): boolean {
    let next = Math.min(...[...this.gossips.values()].map((gossip) => gossip.nextDeadlineMs));
    for (const flight of this.#flights) next = Math.min(next, flight.atMs);
    if (next > untilMs) return false;
    this.nowMs = Math.max(this.nowMs, next);
    const due = this.#flights.filter(({ atMs }) => atMs <= this.nowMs);
    this.#flights = this.#flights.filter(({ atMs }) => atMs > this.nowMs);
    for (const flight of due) this.#deliver(flight);
    for (const [at, member] of this.members.entries()) {
      member.nowMs = this.nowMs;
      const gossip = this.gossips.get(this.id(at))!;
      if (gossip.nextDeadlineMs > this.nowMs) continue;
      gossip.onDeadline(this.nowMs, member.out);
      this.#flush(member);
    }
    return true;
  }

  run(forMs: number, isDone: () => boolean = () => false): number {
    const startMs = this.nowMs;
    while (!isDone()) if (!this.step(startMs + forMs)) break;
    if (!isDone()) this.nowMs = startMs + forMs;
    return this.nowMs - startMs;
  }

  get isEqual(): boolean {
    const roots = this.members.map(({ store }) => Buffer.from(store.digest.root()).toString('hex'));
    return new Set(roots).size === 1;
  }

  #at(at: number): Member {
    const member = this.members[at]!;
    member.nowMs = this.nowMs;
    return member;
  }

  #deliver({ from, to, type, body }: Flight): void {
    const member = this.#byId.get(to)!;
    if (!this.#links.get(from)!.has(to)) return;
    member.nowMs = this.nowMs;
    this.gossips.get(to)!.onMessage(from, type, body, this.nowMs, member.out);
    this.#flush(member);
  }

  #tellNeighbours(at: number): void {
    const member = this.#at(at);
    const peers = [...this.#links.get(this.id(at))!];
    this.gossips.get(this.id(at))!.onNeighbours(peers, this.nowMs, member.out);
    this.#flush(member);
  }

  #flush(member: Member): void {
    for (const action of member.flush()) {
      if (action.kind === 'event') this.events.push(action.event.code);
      if (action.kind !== 'send') continue;
      this.sentBytes += action.body.length;
      const { type, body, peer: to } = action;
      const atMs = this.nowMs + this.delayMs;
      const flight = { atMs, from: member.store.selfId, to, type, body };
      this.sent.push(flight);
      if (this.#rng.fraction() < this.loss) continue;
      this.#flights.push(flight);
    }
  }
}

/** A ring with a few chords: six links a node, whatever the number. */
function mesh(count: number): Net {
  const net = new Net();
  net.add(count);
  for (let at = 0; at < count; at++) {
    net.say(at, `node ${at}`);
    for (const step of [1, 7, 19]) {
      if (count > step * 2) net.link(at, (at + step) % count);
    }
  }
  return net;
}

describe('gossip', function () {
  this.timeout(600_000);

  it('brings what one says to all that are linked, over others', () => {
    const net = new Net();
    net.add(4);
    for (const at of [0, 1, 2]) net.link(at, at + 1);
    net.run(1000);
    net.say(0, 'hello');
    const tookMs = net.run(5000, () => net.isEqual);
    assert.ok(net.isEqual);
    assert.ok(tookMs <= 200, `${tookMs} ms`);
  });

  it('teaches a newcomer all that is known in a second', () => {
    const net = mesh(80);
    net.run(60_000, () => net.isEqual);
    assert.ok(net.isEqual, 'the mesh agrees');
    net.add(1);
    net.link(0, 80);
    const tookMs = net.run(5000, () => net.isEqual);
    assert.ok(net.isEqual);
    assert.ok(tookMs <= 3000, `${tookMs} ms`);
  });

  it('passes a storm on in a few messages a second where there are many neighbours', () => {
    const net = new Net();
    net.add(10);
    for (let at = 0; at < 10; at++) if (at !== 1) net.link(1, at);
    net.run(20_000);
    const before = net.sent.length;
    for (let word = 0; word < 40; word++) {
      net.say(0, `word ${word}`);
      net.run(25);
    }
    net.run(300);
    const pushed = net.sent
      .slice(before)
      .filter(({ from, to }) => from === net.id(1) && to !== net.id(0))
      .filter(({ type }) => type === CONTROL.RECORDS);
    // A second in steps of half of one, each to three, in messages of 1 kB; record by record it would be 40 times three.
    assert.ok(pushed.length >= 6 && pushed.length <= 24, `${pushed.length}`);
  });

  it('compares with six of many new neighbours at once, with one in seconds then, and still agrees', () => {
    const net = mesh(40);
    net.run(30_000);
    net.add(1);
    const before = net.sent.length;
    for (let at = 0; at < 40; at++) net.link(40, at);
    net.run(1000);
    const asked = net.sent
      .slice(before)
      .filter(({ type, body }) => type === CONTROL.DIGEST && body[1] === DIGEST_ASK);
    assert.ok(asked.some(({ from }) => from === net.id(40)));
    assert.ok(asked.length <= 60, `${asked.length} comparisons begun or gone on with in a second`);
    net.say(40, 'the newcomer');
    assert.ok(net.run(15_000, () => net.isEqual) < 15_000);
  });

  it('tells what a node said while it had no neighbour to the first it gets, however many come with it', () => {
    const net = mesh(12);
    net.run(30_000);
    net.add(20);
    for (let at = 12; at < 32; at++) net.say(at, `newcomer ${at}`);
    net.run(1000);
    for (let at = 12; at < 32; at++) for (let old = 0; old < 12; old++) net.link(at, old);
    const tookMs = net.run(10_000, () => net.isEqual);
    assert.ok(net.isEqual);
    assert.ok(tookMs <= 2000, `${tookMs} ms`);
  });

  it('costs an idle node less than 5 kB/s', () => {
    const net = mesh(60);
    net.run(60_000, () => net.isEqual);
    net.run(40_000);
    const before = net.sentBytes;
    net.run(60_000);
    const perSecond = (net.sentBytes - before) / 60 / 60;
    assert.ok(perSecond < 5000, `${perSecond} B/s`);
  });

  it('agrees within 15 s after everybody said something, though a push reaches three neighbours only', () => {
    const net = mesh(80);
    net.run(60_000, () => net.isEqual);
    net.run(60_000);
    for (let at = 0; at < 80; at++) net.say(at, `again ${at}`);
    const tookMs = net.run(60_000, () => net.isEqual);
    assert.ok(net.isEqual && tookMs <= 15_000, `${tookMs} ms`);
  });

  it('fits ten thousand owners into a store, and a newcomer fetches them in half a minute', function () {
    this.timeout(600_000);
    const owners = 10_000;
    const net = new Net();
    net.add(1);
    const [rich] = net.members as [Member];
    for (let owner = 0; owner < owners; owner++) {
      const publicKey = new Uint8Array(32);
      new DataView(publicKey.buffer).setUint32(0, owner);
      for (const [kind, bodyBytes] of [
        [1, 120],
        [2, 272],
      ] as const) {
        const body = new Uint8Array(bodyBytes);
        const fields = { kind, key: new Uint8Array(0), version: 1000, isTombstone: false };
        const record = signRecord({ ...fields, body, publicKey }, cryptoOf(publicKey));
        assert.equal(rich.offer(record.bytes), 'new');
      }
    }
    rich.flush();
    assert.equal(rich.store.shelfCount, owners);
    net.add(1);
    net.link(0, 1);
    const tookMs = net.run(120_000, () => net.isEqual);
    assert.ok(net.isEqual && tookMs <= 30_000, `${tookMs} ms`);
    assert.equal(net.members[1]!.store.shelfCount, owners);
    assert.deepEqual(net.events, []);
  });

  it('agrees although a third of all messages is lost', () => {
    const net = mesh(30);
    net.loss = 0.33;
    for (let at = 0; at < 30; at++) net.say(at, `again ${at}`);
    const tookMs = net.run(300_000, () => net.isEqual);
    assert.ok(net.isEqual, `not within ${tookMs} ms`);
  });

  it('finds a push that was lost for ever by the digest', () => {
    const net = new Net();
    net.add(2);
    net.link(0, 1);
    net.run(1000);
    net.loss = 1;
    net.say(0, 'nobody hears it');
    net.run(500);
    net.loss = 0;
    net.run(31_000, () => net.isEqual);
    assert.ok(net.isEqual);
  });

  it('makes two halves of a mesh one again within 60 s', () => {
    const net = mesh(40);
    net.run(60_000, () => net.isEqual);
    const across: [number, number][] = [];
    for (let at = 0; at < 40; at++) {
      for (const step of [1, 7, 19]) {
        const other = (at + step) % 40;
        if (at < 12 !== other < 12) across.push([at, other]);
      }
    }
    for (const [a, b] of across) net.cut(a, b);
    for (let at = 0; at < 40; at++) net.say(at, `apart ${at}`);
    net.run(60_000);
    assert.ok(!net.isEqual);
    for (const [a, b] of across) net.link(a, b);
    net.run(60_000, () => net.isEqual);
    assert.ok(net.isEqual);
  });

  it('stops listening to a neighbour that passes on forgeries, says so, and serves the others', () => {
    const net = new Net();
    net.add(3);
    net.link(0, 1);
    net.link(1, 2);
    net.run(1000);
    for (let round = 0; round < 40; round++) {
      const forger = new Member({ number: 500 + round, nowMs: net.nowMs });
      const record = forger.put(KIND, 'k', 'forged');
      assert.ok(typeof record === 'object');
      const bytes = record.bytes.slice();
      bytes[bytes.length - 1]! ^= 1;
      const body = encodeRecords({ id: 0, index: 0, count: 1, isMore: false, records: [bytes] });
      net.inject(0, 1, CONTROL.RECORDS, body);
      net.run(1);
    }
    assert.deepEqual(net.events, ['record-forged']);
    net.say(2, 'still heard');
    const heard = () => net.members[1]!.store.get(net.id(2), KIND, Buffer.from('k')) !== undefined;
    net.run(1000, heard);
    assert.ok(heard());
    assert.equal(net.members[1]!.store.shelfCount, 1);
  });

  it('takes no answer it did not ask for, and survives every flipped byte of its messages', () => {
    const net = new Net();
    net.add(2);
    net.link(0, 1);
    net.run(1000);
    const stranger = new Member({ number: 900, nowMs: net.nowMs });
    const record = stranger.put(KIND, 'k', 'unasked');
    assert.ok(typeof record === 'object');
    const { bytes } = record;
    const body = encodeRecords({ id: 77, index: 0, count: 1, isMore: false, records: [bytes] });
    net.inject(0, 1, CONTROL.RECORDS, body);
    net.run(100);
    const owners = net.members[1]!.store.shelfCount;
    for (const type of [CONTROL.RECORDS, CONTROL.DIGEST, CONTROL.PULL]) {
      for (let at = 0; at < body.length; at++) {
        const copy = body.slice();
        copy[at]! ^= 0x41;
        net.inject(0, 1, type, copy);
      }
    }
    net.run(100);
    assert.equal(net.members[1]!.store.shelfCount, owners);
  });
});
