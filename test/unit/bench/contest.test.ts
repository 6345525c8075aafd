import assert from 'node:assert/strict';
import { type Trial, highestRate } from '../../../bench/path/measure.js';
import { compare, comparisonSeconds, pairsOf } from '../../../bench/path/run.js';
import type { Contestant } from '../../../bench/path/run.js';
import { type Report, markdown, table } from '../../../bench/path/report.js';
import { SCENARIOS, type Scenario, byGround } from '../../../bench/path/scenarios.js';
import { estimateSeconds } from '../../../bench/path/contest.js';
import { tinc, veth } from '../../../bench/path/tunnels.js';

/** A path that delivers all up to `capacityPps` and loses what is above it. */
function path(capacityPps: number): { trials: number; trial: (pps: number) => Promise<Trial> } {
  const found = {
    trials: 0,
    trial: async (pps: number): Promise<Trial> => {
      found.trials++;
      const deliveredPps = Math.min(pps, capacityPps);
      return { deliveredPps, loss: 1 - deliveredPps / pps };
    },
  };
  return found;
}

/** Readings are taken from the list, one after the other; the host behind them is never asked. */
function contestant(name: string, readings: readonly (readonly number[])[]): Contestant {
  const running = { readings: [...readings] };
  return { name, running, pair: {}, idleMb: undefined } as unknown as Contestant;
}

const scenario: Scenario = {
  ...SCENARIOS.find((one) => one.name === 'ping')!,
  measure: async (_pair, running) =>
    (running as unknown as { readings: number[][] }).readings.shift()!,
};

describe('search for the highest UDP rate', () => {
  for (const capacity of [3_000, 40_000, 110_000, 900_000]) {
    it(`finds ${capacity} packets a second within 6 %, wherever it begins`, async () => {
      for (const expected of [60_000, capacity, capacity * 2, capacity / 2]) {
        const found = await highestRate(path(capacity).trial, expected);
        assert.ok(found.offeredPps <= capacity * 1.011, `${found.offeredPps}`);
        assert.ok(found.offeredPps >= capacity * 0.94, `${found.offeredPps}`);
      }
    });
  }

  it('takes few trials when it begins where the last search ended', async () => {
    const line = path(100_000);
    await highestRate(line.trial, 97_000);
    assert.ok(line.trials <= 5, `${line.trials}`);
  });

  it('gives nothing for a path that loses at every rate, and ends', async () => {
    const dead = async (): Promise<Trial> => ({ deliveredPps: 0, loss: 1 });
    assert.deepEqual(await highestRate(dead, 60_000), { offeredPps: 0, deliveredPps: 0 });
  });

  it('ends when the sender cannot go faster', async () => {
    const lazy = async (pps: number): Promise<Trial> => ({
      deliveredPps: Math.min(pps, 50_000),
      loss: 0,
    });
    assert.equal((await highestRate(lazy, 60_000)).deliveredPps, 50_000);
  });
});

describe('comparison of two systems', () => {
  const options = { pairs: 2, seconds: 1, progress: () => undefined, isStopped: () => false };
  const bare = contestant('veth', [
    [0.01, 0.02],
    [0.01, 0.02],
  ]);

  it('takes the bare path off where a figure is what a system adds, and only there', async () => {
    const ours = contestant('overlayd', [
      [0.11, 0.4],
      [0.11, 0.4],
    ]);
    const theirs = contestant('tinc', [
      [0.21, 0.8],
      [0.21, 0.8],
    ]);
    const [added, p99] = await compare(scenario, ours, theirs, bare, options);
    assert.ok(Math.abs(added!.ratio.median - 0.5) < 1e-9);
    assert.equal(p99!.ratio.median, 0.5);
    assert.equal(p99!.figure, 'ping-p99');
  });

  it('ends after the pair under way when it is stopped, and counts what it has', async () => {
    const plain = { ...scenario, figures: scenario.figures.slice(1) };
    const [ours, theirs] = [contestant('overlayd', [[1], [9]]), contestant('tinc', [[2], [9]])];
    let rounds = 0;
    const stopping = { ...options, isStopped: () => rounds++ > 0 };
    const [figure] = await compare(plain, ours, theirs, bare, stopping);
    assert.deepEqual(figure!.ratio.samples, [0.5]);
    assert.deepEqual(await compare(plain, ours, theirs, bare, stopping), []);
  });

  it('leaves a figure out that says nothing of one of them', async () => {
    const plain = { ...scenario, figures: scenario.figures.slice(1) };
    const measured = contestant('overlayd', [[1], [1]]);
    const kernel = contestant('vxlan', [[Number.NaN], [Number.NaN]]);
    assert.deepEqual(await compare(plain, measured, kernel, bare, options), []);
  });
});

describe('scenarios', () => {
  it('have names of their own, and figures too', () => {
    const names = SCENARIOS.map((one) => one.name);
    assert.equal(new Set(names).size, names.length);
    const figures = SCENARIOS.flatMap((one) => one.figures.map((figure) => figure.name));
    assert.equal(new Set(figures).size, figures.length);
  });

  it('share the systems of their ground', () => {
    const grounds = byGround(SCENARIOS);
    assert.ok(grounds.size < SCENARIOS.length);
    assert.equal([...grounds.values()].flat().length, SCENARIOS.length);
  });

  it('take as long as they say: each pair twice, and a third time where the bare path is taken off', () => {
    const tcp = SCENARIOS.find((one) => one.name === 'tcp8')!;
    assert.equal(pairsOf(tcp, 7), 3);
    assert.equal(comparisonSeconds(tcp, 7, 3), 6 * tcp.readingSeconds(3));
    assert.equal(comparisonSeconds(scenario, 7, 3), 21 * scenario.readingSeconds(3));
    const run = { peers: [veth, tinc], scenarios: [tcp], pairs: 7, seconds: 3, cipher: undefined };
    const seconds = estimateSeconds({ ...run, maxSeconds: 1, progress: () => undefined });
    assert.ok(seconds > 2 * comparisonSeconds(tcp, 7, 3) && seconds < 90, `${seconds}`);
  });
});

describe('benchmark report', () => {
  const summary = (value: number) => ({ median: value, min: value, max: value, samples: [value] });
  const report = (ratio: number, isFit: boolean): Report => ({
    schema: 3,
    at: '2026-01-02T03:04:05.000Z',
    machine: '2 x Some CPU, Linux 6.1, Node v20, CUBIC',
    commit: 'abc1234',
    options: { pairs: 7, seconds: 3 },
    isFit,
    fitness: [{ scenario: 'tcp', isFit, spread: isFit ? 0.1 : 0.6, bareGbps: [20] }],
    systems: [{ name: 'tinc', description: 'tinc 1.0', idleMb: 6, peakMb: 7 }],
    absent: [{ name: 'weaver', reason: 'spawn ENOENT\nmore' }],
    comparisons: [
      {
        ...{ figure: 'tcp', peer: 'tinc', unit: 'Gb/s' },
        ...{ ours: summary(8), theirs: summary(0.5), ratio: summary(ratio) },
      },
    ],
  });

  it('says which target is reached, what did not run and on which machine', () => {
    for (const text of [
      table(report(16, true), SCENARIOS),
      markdown(report(16, true), SCENARIOS),
    ]) {
      assert.match(text, /2 x Some CPU, Linux 6\.1/);
      assert.match(text, /target >= 11 reached/);
      assert.match(text, /weaver.*ENOENT/);
    }
    assert.match(table(report(9, true), SCENARIOS), /target >= 11 MISSED/);
  });

  it('says unfit where the bare path did not hold still', () => {
    assert.match(table(report(16, false), SCENARIOS), /UNFIT/);
    assert.match(markdown(report(16, false), SCENARIOS), /UNFIT/);
    assert.doesNotMatch(table(report(16, true), SCENARIOS), /UNFIT/);
  });
});
