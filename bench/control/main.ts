import { parseArgs } from 'node:util';

import type { Idle } from '../../test/sim/scale-scenarios.js';
import { harmOf, missedByMesh, missedByStore } from './limits.js';
import { measure, PHASES, type Figures, type Phase } from './measure.js';
import { storeOf } from './store.js';

/*
 * What gossip and links cost as a mesh grows, in the simulator: whole daemons, virtual time, 20 ms round trip. The exit
 * code is 1 when a limit is missed.
 *
 * usage: node --expose-gc dist/bench/control/main.js [--nodes 10,30,100,200,1000] [--store 10000] [--seed n] [--kinds]
 *        [--only lostPush,newcomer,away,partition,pause]
 */

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,30,100,200,1000' },
    /** Owners in one store that a second one fetches; 0: not measured. */
    store: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    /** Also: what the bytes at rest are, and who was disturbed. */
    kinds: { type: 'boolean', default: false },
    only: { type: 'string', default: PHASES.join() },
  },
});
const phases = new Set<Phase>(PHASES.filter((phase) => values.only.split(',').includes(phase)));

const COLUMNS: readonly (readonly [string, (figures: Figures) => string])[] = [
  ['nodes', ({ nodes }) => String(nodes)],
  ['links', ({ linksMean }) => linksMean.toFixed(1)],
  ['most', ({ linksMost }) => String(linksMost)],
  ['idle B/s', (figures) => figures.idle.meanBytesPerSecond.toFixed(0)],
  ['most B/s', (figures) => figures.idle.mostBytesPerSecond.toFixed(0)],
  ['newcomer s', ({ newcomer }) => cell(newcomer, (of) => seconds(of.knowsAllMs))],
  ['told all s', ({ newcomer }) => cell(newcomer, (of) => seconds(of.knownToAllMs))],
  ['lost push s', ({ lostPush }) => cell(lostPush, (of) => seconds(of.foundMs))],
  ['healed s', ({ partition }) => cell(partition, (of) => seconds(of.healMs))],
  ['cut B/s', ({ partition }) => cell(partition, (of) => of.cutBytesPerSecond.toFixed(0))],
  ['healing B/s', ({ partition }) => cell(partition, (of) => of.healBytesPerSecond.toFixed(0))],
  ['disturbed', ({ pause }) => cell(pause, (of) => String(of.disturbances.length))],
  ['paused B/s', ({ pause }) => cell(pause, (of) => of.meanBytesPerSecond.toFixed(0))],
  ['away s', ({ away }) => cell(away, (of) => seconds(of.sameMs))],
  ['away harm', ({ away }) => cell(away, (of) => String(harmOf(of)))],
  ['handshakes', ({ handshakes }) => String(handshakes)],
  ['signatures', ({ verifications }) => String(verifications)],
  ['heap MB', ({ heapMegabytes }) => heapMegabytes.toFixed(0)],
  ['cpu s', ({ cpuMs }) => (cpuMs / 1000).toFixed(1)],
];

function seconds(ms: number | undefined): string {
  return ms === undefined ? 'never' : (ms / 1000).toFixed(2);
}

function cell<Of>(figures: Of | undefined, textOf: (figures: Of) => string): string {
  return figures === undefined ? '-' : textOf(figures);
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${cells.map((cell) => cell.padStart(12)).join('')}\n`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function sayKinds(when: string, kinds: Idle['kinds'] = []): void {
  for (const [kind, rate] of kinds) say(`  ${when}: ${kind} ${rate.toFixed(1)} B/s`);
}

const missed: string[] = [];
const all: Figures[] = [];
print(COLUMNS.map(([title]) => title));
for (const nodes of values.nodes.split(',').filter(Boolean).map(Number)) {
  const figures = await measure(nodes, Number(values.seed), phases, (step) => {
    process.stderr.write(`${new Date().toISOString()} ${nodes} nodes: ${step}\n`);
  });
  all.push(figures);
  print(COLUMNS.map(([, textOf]) => textOf(figures)));
  missed.push(...missedByMesh(figures));
  if (!values.kinds) continue;
  const { idle, partition, pause } = figures;
  sayKinds('at rest', idle.kinds);
  sayKinds('cut', partition?.cutKinds);
  sayKinds('after the cut', partition?.healKinds);
  sayKinds('beside a pause', pause?.kinds);
  for (const disturbance of pause?.disturbances.slice(0, 20) ?? []) say(`  ${disturbance}`);
}

const [first, last] = [all.at(0), all.at(-1)];
if (first && last && first !== last) {
  const growth = (of: (figures: Figures) => number | undefined): string =>
    `× ${((of(last) ?? NaN) / (of(first) ?? NaN)).toFixed(1)}`;
  say(
    `from ${first.nodes} to ${last.nodes} nodes: links ${growth((f) => f.linksMean)}, ` +
      `bytes at rest ${growth((f) => f.idle.meanBytesPerSecond)}, newcomer ${growth((f) => f.newcomer?.knowsAllMs)}, ` +
      `heap of all ${growth((f) => f.heapMegabytes)}, cpu of all ${growth((f) => f.cpuMs)}`,
  );
}

const owners = Number(values.store);
if (owners > 0) {
  const few = Math.ceil(owners / 10);
  const little = await storeOf(few, Number(values.seed));
  const figures = await storeOf(owners, Number(values.seed));
  const heapOfAll = figures.heapBytesPerNode * owners;
  const each = (heapOfAll - little.heapBytesPerNode * few) / (owners - few);
  say(
    `heap a remote node: ${each.toFixed(0)} bytes for each beyond ${few}, and ` +
      `${(((little.heapBytesPerNode - each) * few) / 1024).toFixed(0)} KiB of a daemon that knows few: ` +
      `${little.heapBytesPerNode.toFixed(0)} bytes each with ${few} known`,
  );
  say(
    `store of ${owners}: ${figures.heapBytesPerNode.toFixed(0)} bytes of heap a remote node in a whole daemon, ` +
      `${figures.planeBytesPerNode.toFixed(0)} more for the simulated data plane, ` +
      `${figures.owners} fetched by a newcomer in ${seconds(figures.syncMs)} s of virtual time, ` +
      `${(figures.cpuMs / 1000).toFixed(1)} s of CPU`,
  );
  missed.push(...missedByStore({ ...figures, heapBytesEach: each }));
}

for (const line of missed) say(`MISSED ${line}`);
process.exitCode = missed.length > 0 ? 1 : 0;
