import assert from 'node:assert/strict';
import { type Panel, chart, panelsOf } from '../../../bench/path/chart.js';
import type { Report } from '../../../bench/path/report.js';
import type { Comparison } from '../../../bench/path/run.js';
import { SCENARIOS } from '../../../bench/path/scenarios.js';
import { summarize } from '../../../bench/path/statistics.js';

const row = (figure: string, peer: string, ours: number[], theirs: number[]): Comparison => ({
  ...{ figure, peer, unit: 'Gb/s' },
  ...{ ours: summarize(ours), theirs: summarize(theirs) },
  ratio: summarize(ours.map((value, at) => value / theirs[at]!)),
});

const report = (comparisons: readonly Comparison[]): Report => ({
  ...{ schema: 3, at: '', machine: 'a <machine> & more', commit: '', isFit: false },
  options: { pairs: 2, seconds: 1 },
  fitness: [{ scenario: 'tcp', isFit: false, spread: 0.5, bareGbps: [1, 2] }],
  ...{ systems: [], absent: [], comparisons },
});

const sample = report([
  row('tcp', 'veth', [8, 9], [20, 24]),
  row('tcp', 'tinc', [7, 6], [0.5, 0.6]),
  row('ping', 'tinc', [0.4, 0.2], [0.1, 0.1]),
  row('tcp-cpu', 'tinc', [1, 1], [20, 20]),
  row('tcp-switches', 'tinc', [1, 1], [20, 20]),
  row('tcp8-cpu', 'tinc', [1, 1], [20, 20]),
]);

describe('benchmark chart', () => {
  it('has a panel a figure and a bar a system, best first, ours over all its readings', () => {
    const [tcp, cpu, ping, ...rest] = panelsOf(sample, SCENARIOS);
    assert.deepEqual(
      tcp!.bars.map(({ name, median, min, max }) => [name, median, min, max]),
      [
        ['veth', 22, 20, 24],
        ['overlayd', 7.5, 6, 9],
        ['tinc', 0.55, 0.5, 0.6],
      ],
    );
    const order = (panel: Panel): string[] => panel.bars.map(({ name }) => name);
    assert.deepEqual(
      [order(cpu!), order(ping!)],
      [
        ['overlayd', 'tinc'],
        ['tinc', 'overlayd'],
      ],
    );
    assert.deepEqual([tcp!.isUnfit, ping!.isUnfit], [true, false]);
    assert.equal(rest.length, 0);
  });

  it('is an SVG that names every system and figure, whatever the machine is called', () => {
    const svg = chart(panelsOf(sample, SCENARIOS), sample.machine);
    assert.match(svg, /^<svg [^>]*width="1200"/);
    for (const text of [
      'overlayd',
      'veth',
      'tinc',
      'one TCP stream, CUBIC (Gb/s), UNFIT',
      '22.0',
    ]) {
      assert.ok(svg.includes(`>${text}</text>`), text);
    }
    assert.ok(svg.includes('a &lt;machine&gt; &amp; more'));
    assert.equal(svg.match(/<svg/g)!.length, 1);
  });
});
