import { parseArgs } from 'node:util';

import { measure, type Figures } from './measure.js';
import { storeOf } from './store.js';

/*
 * What gossip and links cost as a mesh grows, in the simulator: whole daemons, virtual time, 20 ms round trip.
 *
 * usage: node dist/bench/control/main.js [--nodes 10,30,100,300,1000] [--store 10000] [--seed n]
 */

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,30,100,300,1000' },
    /** Owners in one store that a second one fetches; 0: not measured. */
    store: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});

const COLUMNS: readonly (readonly [string, (figures: Figures) => string])[] = [
  ['nodes', ({ nodes }) => String(nodes)],
  ['links', ({ linksMean }) => linksMean.toFixed(1)],
  ['most', ({ linksMax }) => String(linksMax)],
  ['idle B/s', (figures) => figures.idleBytesPerSecondMean.toFixed(0)],
  ['most B/s', (figures) => figures.idleBytesPerSecondMax.toFixed(0)],
  ['newcomer ms', ({ newcomerMs }) => textOf(newcomerMs)],
  ['told all ms', ({ toldMs }) => textOf(toldMs)],
  ['healed ms', ({ healMs }) => textOf(healMs)],
  ['lost by pause', ({ lostByPause }) => String(lostByPause)],
  ['cpu s', ({ cpuMs }) => (cpuMs / 1000).toFixed(1)],
];

function textOf(value: number | undefined): string {
  return value === undefined ? 'not' : value.toFixed(0);
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${cells.map((cell) => cell.padStart(13)).join('')}\n`);
}

print(COLUMNS.map(([title]) => title));
for (const nodes of values.nodes.split(',').map(Number)) {
  const figures = await measure(nodes, Number(values.seed));
  print(COLUMNS.map(([, textOfCell]) => textOfCell(figures)));
}

const owners = Number(values.store);
if (owners > 0) {
  const {
    heapBytesPerNode,
    syncMs,
    cpuMs,
    owners: synced,
  } = await storeOf(owners, Number(values.seed));
  process.stdout.write(
    `store of ${owners}: ${heapBytesPerNode.toFixed(0)} bytes of heap a remote node in a whole daemon, ` +
      `${synced} fetched by a newcomer in ${textOf(syncMs)} ms of virtual time, ${(cpuMs / 1000).toFixed(1)} s of CPU\n`,
  );
}
