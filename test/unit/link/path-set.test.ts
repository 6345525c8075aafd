import assert from 'node:assert/strict';

import { TokenBucket } from '../../../src/base/token-bucket.js';
import type { PathCounters } from '../../../src/dataplane/dataplane.js';
import { kindOf } from '../../../src/link/candidate.js';
import {
  STRANGER_PAUSE_MS,
  STRANGER_PROBES_BURST,
  STRANGER_PROBES_PER_SECOND,
  STRANGER_ROUNDS,
} from '../../../src/link/constants.js';
import { pathCost } from '../../../src/link/path-cost.js';
import { PathSet } from '../../../src/link/path-set.js';
import type { PathAddress } from '../../../src/model/path-address.js';
import { at } from './fixtures.js';

const RELAY: PathAddress = { family: 'relay', label: 7 };

function counters(path: number, srttMs: number, more: Partial<PathCounters> = {}): PathCounters {
  const none = { txDatagrams: 0n, txBytes: 0n, rxDatagrams: 0n, rxBytes: 0n };
  const quality = { srttUs: srttMs * 1000, rttvarUs: 0, lossPermille: 0, lastFrameMs: 0 };
  return { path, isAlive: true, ...quality, ...none, ...more };
}

/** One set in virtual time; what the data plane would see of it. */
class Bench {
  readonly paths: PathSet;
  nowMs = 0;
  /** PINGs begun, by address. */
  readonly begun: { readonly atMs: number; readonly address: PathAddress }[] = [];
  readonly #seen = new Set<number>();
  /** Round trips by address; without one nothing is measured. */
  srttMs = new Map<PathAddress, number>();
  #nextId = 1;

  constructor(budget = new TokenBucket(STRANGER_PROBES_BURST, STRANGER_PROBES_PER_SECOND)) {
    this.paths = new PathSet(() => this.#nextId++, 1444, budget);
  }

  idOf(address: PathAddress): number {
    return this.paths.all.find((path) => path.address === address)?.id ?? assert.fail('unknown');
  }

  get activeAddress(): PathAddress | undefined {
    return this.paths.active?.address;
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      this.#look();
      const next = Math.max(this.nowMs, this.paths.nextDeadlineMs);
      if (next > endMs) break;
      this.nowMs = next === this.nowMs ? next + 1 : next;
      this.paths.onDeadline(this.nowMs, (id) => {
        const path = this.paths.get(id);
        const srttMs = path && this.srttMs.get(path.address);
        return srttMs === undefined ? undefined : counters(id, srttMs);
      });
    }
    this.nowMs = endMs;
    this.#look();
  }

  alive(address: PathAddress, rttMs: number): void {
    this.srttMs.set(address, rttMs);
    this.paths.onAlive(this.idOf(address), rttMs * 1000, this.nowMs);
  }

  #look(): void {
    for (const { path, isSpeaking } of this.paths.live) {
      if (!isSpeaking || this.#seen.has(path.id)) continue;
      this.#seen.add(path.id);
      this.begun.push({ atMs: this.nowMs, address: path.address });
    }
  }
}

describe('cost of a path', () => {
  it('is that of its round trip and loss when direct', () => {
    const cost = pathCost(counters(1, 10, { rttvarUs: 1000, lossPermille: 500 }), at(1), 1);
    assert.equal(cost?.cost, (10 + 2) * 4);
  });

  it('is 1.6 times that and 15 ms more over a relay or TCP, 5 ms more for each further hop', () => {
    assert.equal(pathCost(counters(1, 10), RELAY, 1)?.cost, 16 + 15);
    assert.equal(pathCost(counters(1, 10), RELAY, 3)?.cost, 16 + 25);
    assert.equal(pathCost(counters(1, 10), { family: 'tcp', connection: 3 }, 1)?.cost, 16 + 15);
    assert.equal(pathCost(counters(1, 10), RELAY, 3)?.terms['surchargeMs'], 25);
  });

  it('is unknown before anything was measured', () => {
    assert.equal(pathCost(undefined, at(1), 1), undefined);
    assert.equal(pathCost(counters(1, 0), at(1), 1), undefined);
  });
});

describe('ways to a peer', () => {
  it('ask an address nobody ever answered from three times, then once an hour', () => {
    const bench = new Bench();
    const stranger = at(2);
    bench.paths.prove(at(1), 0);
    bench.paths.addCandidate({ address: stranger, source: 'record' }, 0);
    bench.run(600_000);
    const toIt = () => bench.begun.filter(({ address }) => address === stranger).length;
    assert.equal(toIt(), STRANGER_ROUNDS);
    bench.paths.addCandidate({ address: at(2), source: 'record' }, bench.nowMs);
    bench.run(600_000);
    assert.equal(toIt(), STRANGER_ROUNDS, 'said again, it is no better known');
    bench.run(STRANGER_PAUSE_MS);
    assert.equal(toIt(), STRANGER_ROUNDS + 1);
  });

  it('send at most 20 datagrams a second to such addresses, of all peers together', () => {
    const budget = new TokenBucket(STRANGER_PROBES_BURST, STRANGER_PROBES_PER_SECOND);
    const benches = Array.from({ length: 10 }, () => new Bench(budget));
    for (const [peer, bench] of benches.entries()) {
      for (let host = 0; host < 8; host++) {
        bench.paths.addCandidate({ address: at(10 + 8 * peer + host), source: 'record' }, 0);
      }
    }
    for (let step = 0; step < 600; step++) for (const bench of benches) bench.run(50);
    const times = benches.flatMap((bench) => bench.begun.map(({ atMs }) => atMs));
    assert.equal(times.length > 80, true);
    for (const from of times) {
      const within = times.filter((time) => time >= from && time < from + 1000).length;
      assert.ok(within <= 20, `${within} from ${from} ms on`);
    }
  });

  it('begin anew with a stranger that the peer itself names over a relay, within the same budget', () => {
    const bench = new Bench();
    const [stranger, ...more] = [2, 3, 4, 5, 6, 7, 8, 9].map((number) => at(number));
    assert.ok(stranger);
    bench.paths.prove(RELAY, 0);
    bench.paths.addCandidate({ address: stranger, source: 'record' }, 0);
    bench.run(600_000);
    assert.equal(bench.begun.filter(({ address }) => address === stranger).length, 3);
    bench.paths.punch([stranger], bench.nowMs);
    bench.run(1);
    assert.equal(bench.begun.filter(({ address }) => address === stranger).length, 4);
    const speaking = () => bench.paths.live.filter(({ isSpeaking }) => isSpeaking).length;
    bench.run(600);
    assert.equal(speaking(), 2, 'the relay and the stranger');
    bench.run(200);
    assert.equal(speaking(), 1);
    bench.run(60_000);
    const before = bench.begun.length;
    bench.paths.punch(more, bench.nowMs);
    bench.run(1);
    assert.ok(bench.begun.length - before <= 3, 'ten tokens: four PINGs, four and two');
  });

  it('ask a relay that died for ever, at least once a minute', () => {
    const bench = new Bench();
    bench.paths.prove(at(1), 0);
    bench.paths.addCandidate({ address: RELAY, source: 'relay', hops: 2 }, 0);
    bench.run(100);
    bench.alive(RELAY, 10);
    bench.paths.onDead(bench.idOf(RELAY), bench.nowMs);
    const before = bench.begun.length;
    bench.run(600_000);
    const rounds = bench.begun.length - before;
    assert.ok(rounds >= 9 && rounds <= 20, `${rounds} rounds`);
  });

  it('go through the relay until the direct way works, and change by the one rule', () => {
    const bench = new Bench();
    const direct = at(2);
    bench.paths.prove(RELAY, 0);
    bench.alive(RELAY, 20);
    bench.paths.addCandidate({ address: direct, source: 'record' }, 0);
    bench.run(100);
    assert.equal(kindOf(bench.paths.active?.address ?? direct), 'relay');
    bench.alive(direct, 18);
    bench.run(4900);
    assert.equal(bench.activeAddress, RELAY, 'not before 5 s');
    bench.run(3000);
    assert.equal(bench.activeAddress, direct);
    assert.match(bench.paths.lastSwitch?.reason ?? '', /^cost 18.0 instead of 47.0$/);
    bench.srttMs.set(RELAY, 1);
    bench.run(60_000);
    assert.equal(bench.activeAddress, direct, '16.6 is not 0.8 times 18');
  });

  it('take the first that answers when the one in use died, and not another that died with it', () => {
    const bench = new Bench();
    const [first, second] = [at(1), at(2)];
    bench.paths.prove(first, 0);
    bench.paths.addCandidate({ address: second, source: 'record' }, 0);
    bench.paths.addCandidate({ address: RELAY, source: 'relay' }, 0);
    bench.run(10);
    bench.alive(first, 1);
    bench.alive(second, 1);
    bench.alive(RELAY, 2);
    bench.run(1000);
    bench.paths.onDead(bench.idOf(first), bench.nowMs);
    assert.equal(bench.activeAddress, second, 'it costs least, as far as is known');
    const asked = bench.paths.onDeadline(bench.nowMs, () => undefined).map(({ path }) => path);
    assert.deepEqual(asked.sort(), [bench.idOf(second), bench.idOf(RELAY)].sort());
    bench.paths.onProbeAnswered(bench.idOf(RELAY), 100, 2000, bench.nowMs);
    assert.equal(bench.activeAddress, RELAY);
    bench.paths.onProbeAnswered(bench.idOf(second), 100, 9000, bench.nowMs);
    assert.equal(bench.activeAddress, RELAY, 'that is a matter of cost now');
  });

  it('change at most once on any two constant costs', () => {
    for (const srttA of [0.1, 1, 9, 10, 12, 50]) {
      for (const srttB of [0.2, 1, 8, 10, 13, 200]) {
        const bench = new Bench();
        const [a, b] = [at(1), at(2)];
        bench.paths.prove(a, 0);
        bench.alive(a, srttA);
        bench.paths.addCandidate({ address: b, source: 'record' }, 0);
        bench.run(10);
        bench.alive(b, srttB);
        let changes = 0;
        let last = bench.paths.active;
        for (let second = 0; second < 120; second++) {
          bench.run(1000);
          if (bench.paths.active !== last) changes += 1;
          last = bench.paths.active;
        }
        assert.ok(changes <= 1, `${changes} changes between ${srttA} and ${srttB}`);
      }
    }
  });

  it('leave a relay at once that is taken away', () => {
    const bench = new Bench();
    bench.paths.prove(RELAY, 0);
    const direct = at(2);
    bench.paths.addCandidate({ address: direct, source: 'record' }, 0);
    bench.run(10);
    bench.alive(direct, 30);
    bench.paths.removeCandidate(RELAY, bench.nowMs);
    assert.equal(bench.activeAddress, direct);
    bench.paths.removeCandidate(direct, bench.nowMs);
    assert.equal(bench.paths.active, undefined);
  });

  it('keep what works and forget the rest when the record lists other addresses', () => {
    const bench = new Bench();
    const [a, b, c, d] = [at(1), at(2), at(3), at(4)];
    bench.paths.prove(a, 0);
    bench.paths.setRecord([b, c], 0);
    bench.run(10);
    bench.alive(b, 10);
    bench.paths.setRecord([d], bench.nowMs);
    assert.deepEqual(
      bench.paths.all.map((path) => path.address),
      [a, b, d],
    );
  });
});
