import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tcpGbps } from './measure.js';
import { type Report, commit, machineLine, systemOf, table } from './report.js';
import { type Comparison, type Contestant, bringUp, compare, fitness, takeDown } from './run.js';
import { SCENARIOS } from './scenarios.js';
import type { Tunnel } from './tunnel.js';
import { overlayd, tinc, veth, vxlan, wireguardGo } from './tunnels.js';

/* Throughput of overlayd against other overlays, two hosts on one machine. Run by scripts/bench.sh, which has the usage. */

/** Exit code of a run on a machine that did not hold still. */
const UNFIT = 3;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'veth,vxlan,tinc,wireguard-go' },
    scenarios: { type: 'string', default: SCENARIOS.map(({ name }) => name).join() },
    pairs: { type: 'string' },
    seconds: { type: 'string' },
    cipher: { type: 'string' },
    'wireguard-go': { type: 'string' },
    out: { type: 'string' },
    packages: { type: 'boolean', default: false },
  },
});

const known: readonly Tunnel[] = [veth, vxlan, tinc, wireguardGo(values['wireguard-go'])];
const peers = values.peers.split(',').map((name) => {
  const found = known.find((tunnel) => tunnel.name === name);
  if (found === undefined)
    throw new Error(`--peers: ${name} is none of ${known.map((t) => t.name).join()}`);
  return found;
});
const scenarios = values.scenarios.split(',').map((name) => {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined)
    throw new Error(`--scenarios: ${name} is none of ${SCENARIOS.map((s) => s.name).join()}`);
  return found;
});
const pairs = Number(values.pairs ?? (values.quick ? 3 : 7));
const seconds = Number(values.seconds ?? (values.quick ? 2 : 3));

async function main(): Promise<number> {
  const contestants: Contestant[] = [];
  const absent: { name: string; reason: string }[] = [];
  const start = async (tunnel: Tunnel): Promise<Contestant | undefined> => {
    try {
      const contestant = await bringUp(tunnel);
      contestants.push(contestant);
      return contestant;
    } catch (error) {
      absent.push({
        name: tunnel.name,
        reason: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  };
  const progress = (text: string): void => console.error(text);
  const comparisons: Comparison[] = [];
  const bareGbps: number[] = [];
  try {
    const bare = await start(veth);
    const ours = await start(overlayd(values.cipher));
    if (bare === undefined || ours === undefined) {
      throw new Error(absent.map(({ name, reason }) => `${name}: ${reason}`).join('\n'));
    }
    const others: Contestant[] = [];
    for (const tunnel of peers) {
      const other = tunnel === veth ? bare : await start(tunnel);
      if (other !== undefined) others.push(other);
    }
    for (const scenario of scenarios) {
      for (const other of others) {
        if (scenario.isAddedToBarePath && other === bare) continue;
        bareGbps.push(await tcpGbps(bare.pair, bare.running, 1));
        comparisons.push(await compare(scenario, ours, other, bare, { pairs, seconds, progress }));
      }
    }
    bareGbps.push(await tcpGbps(bare.pair, bare.running, 1));
    const report: Report = {
      schema: 1,
      at: new Date().toISOString(),
      machine: machineLine(),
      commit: await commit(),
      options: { pairs, seconds },
      fitness: { ...fitness(bareGbps), bareGbps },
      systems: contestants.map(systemOf),
      absent,
      comparisons,
    };
    console.log(table(report, scenarios));
    if (values.out !== undefined) {
      await mkdir(values.out, { recursive: true });
      await writeFile(join(values.out, 'path.json'), JSON.stringify(report, null, 2) + '\n');
    }
    return report.fitness.isFit ? 0 : UNFIT;
  } finally {
    for (const contestant of contestants.reverse()) await takeDown(contestant);
  }
}

if (values.packages) {
  for (const name of peers.flatMap((tunnel) => tunnel.packages)) console.log(name);
} else process.exitCode = await main();
