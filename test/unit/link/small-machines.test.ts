import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  FIN_ANSWERS_PER_SECOND,
  HALF_OPEN_MAX,
  HALF_OPEN_MS,
} from '../../../src/link/constants.js';
import { HalfOpenTable, UnfinishedCounter } from '../../../src/link/half-open.js';
import { PmtuSearch } from '../../../src/link/pmtu.js';
import { keptOf, type LinkSession } from '../../../src/link/sessions.js';
import { TokenBucket, TokenBuckets } from '../../../src/base/token-bucket.js';
import { at, OWN, PEER } from './fixtures.js';

const handshake = { resp: new Uint8Array(512), onFin: () => assert.fail(), erase: () => undefined };

function initNumber(number: number): Uint8Array {
  const init = new Uint8Array(512);
  new DataView(init.buffer).setUint32(24, number, true);
  return init;
}

describe('half-open table', () => {
  it('knows an INIT again whatever its cookie', () => {
    const table = new HalfOpenTable();
    table.add(initNumber(1), handshake, 11, at(1), false, 0);
    const withCookie = initNumber(1).fill(9, 472);
    assert.equal(table.find(withCookie)?.localIndex, 11);
    assert.equal(table.find(initNumber(2)), undefined);
  });

  it('forgets after HALF_OPEN_MS', () => {
    const table = new HalfOpenTable();
    table.add(initNumber(1), handshake, 11, at(1), false, 100);
    assert.equal(table.nextDeadlineMs, 100 + HALF_OPEN_MS);
    assert.equal(table.expire(99 + HALF_OPEN_MS).length, 0);
    assert.equal(table.expire(100 + HALF_OPEN_MS).length, 1);
    assert.equal(table.byIndex(11), undefined);
  });

  it('is full for strangers at HALF_OPEN_MAX, and lets a known member take the oldest place', () => {
    const table = new HalfOpenTable();
    for (let number = 0; number < HALF_OPEN_MAX; number++) {
      table.add(initNumber(number), handshake, number + 1, at(1), false, 0);
    }
    assert.equal(table.makeRoom(false), 'full');
    const evicted = table.makeRoom(true);
    assert.ok(typeof evicted === 'object' && evicted.localIndex === 1);
    assert.equal(table.size, HALF_OPEN_MAX - 1);
  });

  it('answers repetitions of a FIN a few times a second', () => {
    const table = new HalfOpenTable();
    const entry = table.add(initNumber(1), handshake, 1, at(1), false, 0);
    const answers = Array.from({ length: 20 }, () => entry.finAnswers.take(0));
    assert.equal(answers.filter(Boolean).length, FIN_ANSWERS_PER_SECOND);
  });
});

describe('counter of unfinished handshakes', () => {
  it('speaks at 3, 6, 12 … and starts anew after a good one', () => {
    const counter = new UnfinishedCounter();
    const said = Array.from({ length: 13 }, () => counter.onUnfinished(at(1)));
    assert.deepEqual(
      said.filter((count) => count !== undefined),
      [3, 6, 12],
    );
    counter.onFinished(at(1));
    assert.equal(counter.onUnfinished(at(1)), undefined);
  });
});

describe('token bucket', () => {
  it('never gives more than burst plus refill', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 60 }), (waits) => {
        const bucket = new TokenBucket(5, 0.2);
        let nowMs = 0;
        let taken = 0;
        for (const wait of waits) {
          nowMs += wait;
          if (bucket.take(nowMs)) taken += 1;
        }
        assert.ok(taken <= 5 + (nowMs / 1000) * 0.2 + 1e-9);
      }),
    );
  });

  it('says how long to wait for the next one', () => {
    const bucket = new TokenBucket(1, 0.2);
    bucket.take(0);
    assert.equal(bucket.waitMs(0), 5000);
    assert.equal(bucket.waitMs(4999), 1);
    assert.ok(bucket.take(5000));
  });

  it('keeps a bounded number of keys', () => {
    const buckets = new TokenBuckets(() => new TokenBucket(1, 0.001), 2);
    assert.ok(buckets.take('a', 0) && buckets.take('b', 0) && buckets.take('c', 0));
    assert.ok(buckets.take('a', 0), 'the oldest was forgotten');
    assert.ok(!buckets.take('c', 0));
  });
});

describe('choice between two sessions', () => {
  const session = (isInitiator: boolean, initAtMs: number) =>
    ({ isInitiator, initAtMs }) as LinkSession;

  it('keeps the newer one', () => {
    const older = session(true, 0);
    const newer = session(true, 1000);
    assert.equal(keptOf(older, newer, OWN, PEER, 1100), newer);
  });

  it('keeps the one of the smaller PeerId when both INITs crossed, the same on both sides', () => {
    const ours = session(true, 0);
    const theirs = session(false, 10);
    assert.equal(keptOf(ours, theirs, OWN, PEER, 50), ours);
    assert.equal(keptOf(theirs, ours, OWN, PEER, 50), ours);
    assert.equal(keptOf(ours, theirs, PEER, OWN, 50), theirs);
  });

  it('does not call them crossed when one is older than 5 s', () => {
    const ours = session(true, 0);
    const theirs = session(false, 5000);
    assert.equal(keptOf(ours, theirs, OWN, PEER, 5000), theirs);
  });
});

describe('search for the path size', () => {
  /** Runs the search against a path that carries `limit`; the size it ends with and the probes it took. */
  function searchOn(limit: number, search = new PmtuSearch(1444), startMs = 0) {
    let nowMs = startMs;
    let probes = 0;
    search.begin(nowMs);
    while (!search.isSettled) {
      nowMs = Math.max(nowMs, search.nextDeadlineMs);
      for (const bytes of search.onDeadline(nowMs, 1)) {
        probes += 1;
        if (bytes <= limit) search.onAnswered(bytes, nowMs);
      }
      assert.ok(probes < 100, 'it ends');
    }
    return { bytes: search.bytes, probes, nowMs };
  }

  it('ends after one round on a path that carries all that is useful', () => {
    assert.deepEqual(searchOn(1472), { bytes: 1444, probes: 2, nowMs: 0 });
  });

  it('ends within a step below what the path carries, for any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 548, max: 2000 }), (limit) => {
        const { bytes } = searchOn(limit);
        const best = Math.min(limit, 1444);
        assert.ok(bytes <= best && bytes > best - 8, `${bytes} for ${limit}`);
      }),
    );
  });

  it('goes down at once when the data plane says so, and finds the new size', () => {
    const search = new PmtuSearch(1444);
    searchOn(1472, search);
    search.onTooBig(1300, 1000);
    assert.equal(search.bytes, 1300, 'as said');
    assert.ok(searchOn(1300, search, 1000).bytes > 1292);
    search.onTooBig(search.bytes, 9000);
    assert.equal(search.bytes, 548, 'nobody said what passes');
    assert.ok(searchOn(700, search, 9000).bytes > 692);
  });

  it('looks upwards every 5 s for two minutes after a fall, then every 10 minutes', () => {
    const search = new PmtuSearch(1444);
    searchOn(1472, search);
    search.onTooBig(1444, 0);
    let nowMs = 0;
    const rounds: number[] = [];
    while (nowMs < 3_000_000) {
      nowMs = Math.max(nowMs, search.nextDeadlineMs);
      const sizes = search.onDeadline(nowMs, 1);
      const isAgain = sizes.includes(1444) && nowMs - (rounds.at(-1) ?? -5000) >= 5000;
      if (isAgain) rounds.push(nowMs);
      for (const bytes of sizes) if (bytes <= 700) search.onAnswered(bytes, nowMs);
      assert.ok(search.bytes <= 1444 && search.bytes >= 548);
    }
    const eager = rounds.filter((atMs) => atMs < 120_000);
    assert.ok(eager.length >= 10, `${eager.length} rounds in two minutes`);
    for (const [number, atMs] of eager.entries()) {
      if (number > 0) assert.ok(atMs - (eager[number - 1] ?? 0) < 12_000);
    }
    const later = rounds.filter((atMs) => atMs > 200_000);
    assert.ok(later.length >= 3 && later.length <= 6, `${later.length} rounds later`);
  });

  it('finds the old size within 12 s of its coming back', () => {
    for (const backAtMs of [10_000, 33_333, 100_000]) {
      const search = new PmtuSearch(1444);
      searchOn(1472, search);
      search.onTooBig(1444, 0);
      let nowMs = 0;
      while (search.bytes < 1444) {
        nowMs = Math.max(nowMs, search.nextDeadlineMs);
        const limit = nowMs < backAtMs ? 700 : 1472;
        for (const bytes of search.onDeadline(nowMs, 1)) {
          if (bytes <= limit) search.onAnswered(bytes, nowMs);
        }
        assert.ok(nowMs < backAtMs + 12_000);
      }
    }
  });

  it('does not go down when only a probe was too big', () => {
    const search = new PmtuSearch(1444);
    search.begin(0);
    search.onDeadline(0, 1);
    search.onTooBig(1444, 1);
    assert.equal(search.bytes, 1200);
  });
});
