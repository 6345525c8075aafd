import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RecordActions } from '../../../src/records/actions.js';
import { signRecord } from '../../../src/records/signed-record.js';
import { MAX_RECORD_VERSION, RECORD_KIND } from '../../../src/wire/record.js';
import { bytes, HOUR_MS, Member, MINUTE_MS } from './fixtures.js';

const { PEER, NAME, TITLE } = RECORD_KIND;

/** A record that its owner's own store would not have written. */
function forge(owner: Member, key: string, version: number, body: string): Uint8Array {
  const { publicKey } = owner;
  return signRecord(
    { kind: NAME, key: bytes(key), version, isTombstone: false, body: bytes(body), publicKey },
    owner.crypto,
  ).bytes;
}

function isKnown(member: Member, owner: Member, key: string): boolean {
  return member.store.get(owner.store.selfId, NAME, bytes(key)) !== undefined;
}

describe('record store', () => {
  it('a statement reaches others, its repetition is no news, its tombstone ends it', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', '10.0.0.1');
    assert.equal(a.put(NAME, 'web', '10.0.0.1'), 'same');
    b.learnFrom(a);
    assert.ok(isKnown(b, a, 'web'));
    assert.equal(b.offer(a.allBytes()[0]!), 'known');
    a.delete(NAME, 'web');
    const done = b.learnFrom(a);
    assert.ok(!isKnown(b, a, 'web'));
    assert.deepEqual(
      done.flatMap((action) =>
        action.kind === 'changed' ? [[action.change.kind, action.change.record]] : [],
      ),
      [[NAME, undefined]],
    );
    assert.equal(a.root(), b.root());
  });

  it('stores that got the same records in any order, some of them twice, have the same digest', () => {
    const writers = [1, 2, 3].map((number) => new Member({ number }));
    const all = new Map<string, Uint8Array>();
    for (let round = 0; round < 4; round++) {
      for (const [index, writer] of writers.entries()) {
        writer.nowMs += 7 * HOUR_MS * (index + 1);
        writer.put(NAME, `n${round % 2}`, `round ${round}`);
        if (round === 2) writer.delete(NAME, 'n1');
        for (const record of writer.allBytes())
          all.set(Buffer.from(record).toString('hex'), record);
        const twin = forge(writer, 'twin', 5e11 + round, `variant ${round}`);
        const other = forge(writer, 'twin', 5e11 + round, `other ${round}`);
        const third = forge(writer, 'twin', 5e11 + round, `third ${round}`);
        if (round === 3) for (const each of [twin, other, third]) all.set(String(all.size), each);
      }
    }
    const records = [...all.values()];
    const inOrder = (order: readonly Uint8Array[]): string => {
      const reader = new Member({ number: 99 });
      for (const record of order) reader.offer(record);
      return reader.root();
    };
    const expected = inOrder(records);
    fc.assert(
      fc.property(
        fc.shuffledSubarray(records, { minLength: records.length }),
        fc.subarray(records),
        (order, again) => {
          assert.equal(inOrder([...again, ...order]), expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('a changed byte anywhere is a bad signature or no record', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', 'x');
    const good = a.allBytes()[0]!;
    for (let at = 0; at < good.length; at++) {
      const flipped = new Uint8Array(good);
      flipped[at] = flipped[at]! ^ 1;
      assert.match(b.offer(flipped), /^(bad signature|layout|refused)$/, `byte ${at}`);
    }
    assert.equal(b.store.shelfCount, 0);
  });

  it('no trusted time: an owner a year off is believed about itself, and its newest ages the rest', () => {
    const a = new Member({ number: 1, wallOffsetMs: -365 * 24 * HOUR_MS });
    const b = new Member({ number: 2 });
    a.put(NAME, 'old', 'x');
    b.learnFrom(a);
    assert.ok(isKnown(b, a, 'old'));
    b.offer(forge(a, 'new', 1_767_225_600_000 + 365 * 24 * HOUR_MS, 'y'));
    assert.ok(!isKnown(b, a, 'old'));
  });

  it('a node that was away for three days brings back nothing deleted and expires nobody', () => {
    const [a, b, away] = [1, 2, 3].map((number) => new Member({ number })) as [
      Member,
      Member,
      Member,
    ];
    a.put(PEER, '', 'a');
    a.put(NAME, 'gone', 'x');
    for (const member of [b, away]) member.learnFrom(a);
    away.store.onCompany(false, away.nowMs);
    a.delete(NAME, 'gone');
    b.learnFrom(a);
    for (let hour = 0; hour < 72; hour += 4) {
      a.run(4 * HOUR_MS);
      b.nowMs = a.nowMs;
      b.learnFrom(a);
    }
    away.run(72 * HOUR_MS);
    assert.ok(!away.store.isHidden(a.store.selfId));
    b.learnFrom(away);
    assert.ok(!isKnown(b, a, 'gone'));
    away.learnFrom(b);
    assert.ok(!isKnown(away, a, 'gone'));
    assert.equal(away.root(), b.root());
  });

  it('version 2⁵³ − 1 harms its own signer only', () => {
    const [evil, good, b] = [1, 2, 3].map((number) => new Member({ number })) as [
      Member,
      Member,
      Member,
    ];
    good.put(NAME, 'web', 'x');
    b.learnFrom(good);
    assert.equal(b.offer(forge(evil, 'a', MAX_RECORD_VERSION, 'y')), 'new');
    assert.equal(b.offer(forge(evil, 'b', 5, 'y')), 'older');
    assert.ok(isKnown(b, good, 'web'));
    assert.notEqual(typeof good.put(NAME, 'next', 'x'), 'string');
  });

  it('equivocation is told, and the same record wins everywhere', () => {
    const [evil, b, c] = [1, 2, 3].map((number) => new Member({ number })) as [
      Member,
      Member,
      Member,
    ];
    const one = forge(evil, 'k', 1000, 'one');
    const two = forge(evil, 'k', 1000, 'two');
    b.offer(one);
    assert.equal(b.offer(two), 'equivocation');
    c.offer(two);
    c.offer(one);
    const codes = b
      .flush()
      .flatMap((action) => (action.kind === 'event' ? [action.event.code] : []));
    assert.deepEqual(codes, ['record-equivocation']);
    assert.equal(b.root(), c.root());
    const winner = (member: Member) => member.store.get(evil.store.selfId, NAME, bytes('k'))!.hash;
    assert.equal(winner(b), winner(c));
  });

  it('an owner has 256 records and, once its burst is spent, a new version a second', () => {
    const [evil, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    for (let n = 0; n < 300; n++) b.offer(forge(evil, `key ${n}`, 1000 + n, ''));
    assert.equal(b.store.shelf(evil.store.selfId)!.size, 256);
    let taken = 0;
    for (let n = 0; n < 200; n++)
      if (b.offer(forge(evil, 'key 299', 9000 + n, '')) === 'new') taken++;
    assert.ok(taken <= 64, `${taken} versions at once`);
    b.nowMs += 10_000;
    const later = Array.from({ length: 30 }, (_, n) =>
      b.offer(forge(evil, 'key 299', 10_000 + n, '')),
    );
    assert.equal(later.filter((result) => result === 'new').length, 10);
  });

  it('when full, owners never met make room for one that was met, and strangers are left out', () => {
    const b = new Member({ number: 99 }, undefined, {}, { maxOwners: 3 });
    const others = [1, 2, 3, 4, 5].map((number) => new Member({ number }));
    const results = others.slice(0, 4).map((other) => b.offer(forge(other, 'k', 1, '')));
    assert.deepEqual(results, ['new', 'new', 'new', 'over quota']);
    b.store.noteMet(others[4]!.store.selfId);
    assert.equal(b.offer(forge(others[4]!, 'k', 1, '')), 'new');
    assert.ok(!isKnown(b, others[0]!, 'k') && isKnown(b, others[4]!, 'k'));
    assert.equal(b.store.shelfCount, 3);
  });
});

describe('own records', () => {
  it('versions go on above those of an earlier run, though the clock went back', () => {
    const first = new Member({ number: 1 });
    const before = first.put(NAME, 'web', 'x');
    const again = new Member({ number: 1, wallOffsetMs: -30 * 24 * HOUR_MS }, first.table);
    const after = again.put(NAME, 'web', 'y');
    assert.ok(typeof before === 'object' && typeof after === 'object');
    assert.ok(after.version > before.version);
  });

  it('the counter is on disk before the record that uses it is acted on', () => {
    const a = new Member({ number: 1 });
    a.store.put(NAME, bytes('k'), bytes('x'), 0, a.out);
    const [first] = a.out.list;
    assert.ok(first?.kind === 'persist' && first.isUrgent && first.write.key === 'n/version');
  });

  it('are signed again after 8 h', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', 'x');
    b.learnFrom(a);
    const version = () => b.store.get(a.store.selfId, NAME, bytes('web'))!.version;
    const before = version();
    a.run(8 * HOUR_MS - 1);
    b.learnFrom(a);
    assert.equal(version(), before);
    a.run(1);
    b.learnFrom(a);
    assert.equal(version() - before, 8 * HOUR_MS);
  });

  it('after the state directory was lost they come back; once settled, an old key is buried again', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'kept', 'x');
    b.learnFrom(a);
    const reborn = new Member({ number: 1, wallOffsetMs: -HOUR_MS });
    reborn.learnFrom(b);
    assert.ok(isKnown(reborn, a, 'kept'));
    const settled = new Member({ number: 1, wallOffsetMs: -HOUR_MS });
    settled.store.onSynced(settled.nowMs);
    settled.learnFrom(b);
    b.learnFrom(settled);
    assert.ok(!isKnown(b, a, 'kept'));
  });

  it('met with another body they are stated again above it', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', 'later life');
    b.learnFrom(a);
    const restored = new Member({ number: 1, wallOffsetMs: -HOUR_MS });
    restored.put(NAME, 'web', 'this life');
    restored.learnFrom(b);
    b.learnFrom(restored);
    const body = b.store.get(a.store.selfId, NAME, bytes('web'))!.bytes;
    assert.ok(Buffer.from(body).includes('this life'));
  });

  it('a restart brings back the store with the same digest', () => {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', 'x');
    b.put(NAME, 'db', 'y');
    b.put(TITLE, 'block', 'z');
    b.delete(NAME, 'db');
    a.learnFrom(b);
    assert.equal(new Member({ number: 1 }, a.table).root(), a.root());
  });
});

describe('lease', () => {
  /** A member in company that synchronises all the time, or never. */
  function live(member: Member, forMs: number, isSynced: boolean): void {
    member.store.onCompany(true, member.nowMs);
    for (let at = 0; at < forMs; at += 30_000) {
      if (isSynced) member.store.onSynced(member.nowMs);
      member.run(30_000);
    }
  }

  function pair(): [Member, Member] {
    const [a, b] = [new Member({ number: 1 }), new Member({ number: 2 })];
    a.put(NAME, 'web', 'x');
    b.learnFrom(a);
    return [a, b];
  }

  it('hides after 24 h of counted silence, and shows again what it hid', () => {
    const [a, b] = pair();
    live(b, 24 * HOUR_MS - MINUTE_MS, true);
    assert.ok(isKnown(b, a, 'web'));
    live(b, 3 * MINUTE_MS, true);
    assert.ok(!isKnown(b, a, 'web'));
    const out = new RecordActions();
    b.store.noteAlive(a.store.selfId, b.nowMs, out);
    assert.ok(isKnown(b, a, 'web'));
    assert.ok(out.list.some((action) => action.kind === 'changed' && action.change.record));
  });

  it('does not count without synchronisation', () => {
    const [a, b] = pair();
    live(b, 72 * HOUR_MS, false);
    assert.ok(isKnown(b, a, 'web'));
  });

  it('is persisted, and nothing expires in the first 10 minutes after a start', () => {
    const [a, b] = pair();
    live(b, 24 * HOUR_MS - 2 * MINUTE_MS, true);
    const again = new Member({ number: 2, nowMs: b.nowMs }, b.table);
    live(again, 9 * MINUTE_MS, true);
    assert.ok(isKnown(again, a, 'web'));
    live(again, 3 * MINUTE_MS, true);
    assert.ok(!isKnown(again, a, 'web'));
  });
});

describe('removed(X)', () => {
  /** X, a signer and a witness who know each other; all but X are quiet from now on. */
  function three(): [Member, Member, Member] {
    const [x, signer, witness] = [1, 2, 3].map((number) => new Member({ number })) as [
      Member,
      Member,
      Member,
    ];
    for (const member of [x, signer, witness]) member.put(PEER, '', 'peer');
    for (const member of [x, signer, witness]) {
      for (const other of [x, signer, witness]) if (other !== member) member.learnFrom(other);
    }
    return [x, signer, witness];
  }

  function remove(signer: Member, target: Member): void {
    signer.store.remove(target.store.selfId, signer.nowMs, signer.out);
    signer.flush();
  }

  it('takes effect on a silent peer: at once where it was signed, elsewhere when it had a minute to contest', () => {
    const [x, signer, witness] = three();
    for (const member of [signer, witness]) member.run(MINUTE_MS);
    remove(signer, x);
    assert.ok(signer.store.isRemoved(x.store.selfId));
    witness.learnFrom(signer);
    assert.ok(!witness.store.isRemoved(x.store.selfId));
    witness.run(MINUTE_MS);
    assert.ok(witness.store.isRemoved(x.store.selfId));
    const again = new Member({ number: 3, nowMs: witness.nowMs }, witness.table);
    assert.ok(again.store.isRemoved(x.store.selfId));
  });

  it('of a live peer waits for a second signer and an hour, whoever joins later too', () => {
    const [x, signer, witness] = three();
    remove(signer, x);
    witness.learnFrom(signer);
    x.learnFrom(signer);
    witness.learnFrom(x);
    const newcomer = new Member({ number: 4 });
    newcomer.learnFrom(witness);
    for (const member of [witness, newcomer]) {
      member.run(10 * MINUTE_MS);
      assert.ok(!member.store.isRemoved(x.store.selfId));
    }
    const second = new Member({ number: 5 });
    second.put(PEER, '', 'peer');
    remove(second, x);
    for (const member of [witness, x]) member.learnFrom(second);
    witness.learnFrom(x);
    witness.run(59 * MINUTE_MS);
    assert.ok(!witness.store.isRemoved(x.store.selfId));
    witness.run(2 * MINUTE_MS);
    assert.ok(witness.store.isRemoved(x.store.selfId));
  });

  it('signed by the peer itself is leaving', () => {
    const [x, , witness] = three();
    remove(x, x);
    witness.learnFrom(x);
    assert.ok(witness.store.isRemoved(x.store.selfId));
  });

  it('in force drops what the peer said, takes no more of it, and is told to the next', () => {
    const [x, signer, witness] = three();
    for (const member of [signer, witness]) {
      member.run(MINUTE_MS);
      remove(member, x);
      assert.equal(member.store.shelf(x.store.selfId), undefined);
      assert.ok(member.allBytes().length < 5, 'on disk too');
    }
    x.put(NAME, 'web', 'again');
    for (const record of x.store.shelf(x.store.selfId)!.all()) {
      assert.equal(signer.offer(record.bytes), 'refused');
    }
    signer.learnFrom(witness);
    witness.learnFrom(signer);
    assert.equal(signer.root(), witness.root());
    const signers = signer.store.removalsOf(x.store.selfId).map(({ owner }) => owner);
    assert.deepEqual(new Set(signers), new Set([signer, witness].map(({ store }) => store.selfId)));
  });

  it('is believed by a newcomer whatever comes first, the statement or the history of the dead', () => {
    const [x, signer, witness] = three();
    signer.run(MINUTE_MS);
    remove(signer, x);
    for (const order of [
      [signer, witness],
      [witness, signer],
    ]) {
      const newcomer = new Member({ number: 9, nowMs: signer.nowMs });
      for (const member of order) {
        newcomer.learnFrom(member);
        newcomer.run(1000);
      }
      newcomer.run(2 * MINUTE_MS);
      assert.ok(newcomer.store.isRemoved(x.store.selfId));
    }
  });

  it('cannot be crowded out by identities that the peer made itself', () => {
    const [x, signer, witness] = three();
    for (const member of [x, signer, witness]) member.run(61 * MINUTE_MS);
    for (let n = 0; n < 20; n++) {
      const sybil = new Member({ number: 40 + n, nowMs: witness.nowMs });
      remove(sybil, x);
      witness.learnFrom(sybil);
    }
    assert.equal(witness.store.removalsOf(x.store.selfId).length, 8);
    remove(signer, x);
    witness.learnFrom(signer);
    const signers = witness.store.removalsOf(x.store.selfId).map(({ owner }) => owner);
    assert.ok(signers.includes(signer.store.selfId));
  });

  it('is kept of the same eight signers everywhere, whatever came first, and of a ninth who is nearer', () => {
    const [x] = three();
    const signers = Array.from({ length: 20 }, (_, n) => {
      const member = new Member({ number: 40 + n, nowMs: x.nowMs });
      remove(member, x);
      return member;
    });
    const nodes = [31, 32, 33].map((number) => new Member({ number, nowMs: x.nowMs }));
    const [first, second, third] = nodes;
    assert.ok(first && second && third);
    for (const signer of signers) first.learnFrom(signer);
    for (const signer of [...signers].reverse()) second.learnFrom(signer);
    for (const signer of [...signers.slice(7), ...signers.slice(0, 7)]) third.learnFrom(signer);
    const about = (member: Member) =>
      member.store
        .removalsOf(x.store.selfId)
        .map(({ owner }) => owner)
        .sort();
    assert.equal(about(first).length, 8);
    for (const other of [second, third]) {
      assert.deepEqual(about(other), about(first));
      assert.equal(other.root(), first.root());
    }
    const stored = first.allBytes().length;
    for (const signer of signers) first.learnFrom(signer);
    assert.equal(first.allBytes().length, stored, 'nobody comes back');
    const again = new Member({ number: 31, nowMs: first.nowMs }, first.table);
    assert.equal(again.root(), first.root());
  });

  it('said again is six a minute even while a store learns, and one event', () => {
    const [x, signer] = three();
    const fresh = new Member({ number: 9 });
    fresh.learnFrom(x);
    let events = 0;
    let taken = 0;
    for (let n = 0; n < 20; n++) {
      // Contested, so that it is signed anew each time.
      x.learnFrom(signer);
      signer.learnFrom(x);
      remove(signer, x);
      for (const { bytes: said } of signer.store.removalsOf(x.store.selfId)) {
        if (fresh.offer(said) === 'new') taken += 1;
      }
      events += fresh
        .flush()
        .filter(
          ({ kind, ...rest }) => kind === 'event' && JSON.stringify(rest).includes('peer-removal'),
        ).length;
    }
    assert.deepEqual([events, taken], [1, 7]);
  });

  it('is taken six times a minute from one signer', () => {
    const [, signer, witness] = three();
    witness.run(11 * MINUTE_MS);
    const targets = Array.from({ length: 20 }, (_, n) => new Member({ number: 10 + n }));
    for (const target of targets) remove(signer, target);
    const count = () => [...witness.store.ofKind(RECORD_KIND.REMOVED)].length;
    witness.learnFrom(signer);
    assert.equal(count(), 6);
    witness.run(MINUTE_MS);
    witness.learnFrom(signer);
    assert.equal(count(), 12);
  });
});
