import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { residentMb, tcpGbps } from './measure.js';
import { fastd } from './peers/fastd.js';
import { n2n } from './peers/n2n.js';
import { nebula } from './peers/nebula.js';
import { openvpn } from './peers/openvpn.js';
import {
  type Absence,
  type Report,
  commit,
  machineLine,
  markdown,
  systemOf,
  table,
} from './report.js';
import {
  type Comparison,
  type Contestant,
  type ScenarioFitness,
  bringUp,
  compare,
  fitness,
  takeDown,
} from './run.js';
import { type Ground, SCENARIOS, type Scenario, byGround } from './scenarios.js';
import type { Tunnel } from './tunnel.js';
import { overlayd, tinc, veth, vxlan, wireguardGo } from './tunnels.js';

/* Throughput of overlayd against other overlays, two hosts on one machine. Run by scripts/bench.sh, which has the usage. */

/** Exit code of a run on a machine that did not hold still. */
const UNFIT = 3;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string' },
    scenarios: { type: 'string' },
    pairs: { type: 'string' },
    seconds: { type: 'string' },
    cipher: { type: 'string' },
    'wireguard-go': { type: 'string' },
    out: { type: 'string' },
    packages: { type: 'boolean', default: false },
  },
});

/** Of the list given by an option those that it names; all when it is not given. */
function pick<T extends { readonly name: string }>(
  option: string,
  names: string | undefined,
  all: readonly T[],
): readonly T[] {
  if (names === undefined) return all;
  return names.split(',').map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) {
      throw new Error(`--${option}: ${name} is none of ${all.map((one) => one.name).join()}`);
    }
    return found;
  });
}

const build = values['wireguard-go'];
const peers = pick<Tunnel>('peers', values.peers, [
  ...[veth, vxlan, tinc, n2n, fastd, nebula, openvpn, wireguardGo(undefined)],
  ...(build === undefined ? [] : [wireguardGo(build)]),
]);
const scenarios = pick('scenarios', values.scenarios, SCENARIOS);
const pairs = Number(values.pairs ?? (values.quick ? 3 : 7));
const seconds = Number(values.seconds ?? (values.quick ? 2 : 3));

const progress = (text: string): void => console.error(text);
const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What the run has found so far. */
const absent: Absence[] = [];
const comparisons: Comparison[] = [];
const fitnesses: ScenarioFitness[] = [];
const systems = new Map<string, ReturnType<typeof systemOf>>();

/** All scenarios of one ground, on systems started for them and ended after them. */
async function runGround(ground: Ground, group: readonly Scenario[]): Promise<void> {
  const contestants: Contestant[] = [];
  const start = async (tunnel: Tunnel): Promise<Contestant> => {
    const contestant = await bringUp(tunnel, ground);
    contestants.push(contestant);
    return contestant;
  };
  try {
    const bare = await start(veth);
    const cipher = ground.isLibsodiumOnly ? 'chacha20poly1305' : values.cipher;
    const { isLibsodiumOnly } = ground;
    const ours = await start(overlayd({ cipher, isLibsodiumOnly }));
    const others: Contestant[] = [];
    for (const tunnel of peers) {
      try {
        others.push(tunnel === veth ? bare : await start(tunnel));
      } catch (error) {
        absent.push({ name: tunnel.name, reason: words(error) });
      }
    }
    for (const scenario of group) await runScenario(scenario, ours, others, bare);
    for (const contestant of contestants) {
      const { pids, description } = contestant.running;
      const peakMb = pids.length === 0 ? undefined : await residentMb(contestant.running, 'peak');
      if (!systems.has(description)) systems.set(description, systemOf(contestant, peakMb));
    }
  } finally {
    for (const contestant of contestants.reverse()) {
      const reason = await takeDown(contestant);
      if (reason !== undefined) absent.push({ name: `end of ${contestant.name}`, reason });
    }
  }
}

/** Against every other that it can be asked of, the bare path read before each and at the end. */
async function runScenario(
  scenario: Scenario,
  ours: Contestant,
  others: readonly Contestant[],
  bare: Contestant,
): Promise<void> {
  const bareGbps: number[] = [];
  const readBare = async (): Promise<void> => {
    bareGbps.push(await tcpGbps(bare.pair, bare.running, seconds));
  };
  for (const other of others) {
    if (scenario.isAddedToBarePath && other === bare) continue;
    if (scenario.isOfDaemons && other.running.pids.length === 0) continue;
    await readBare();
    try {
      comparisons.push(await compare(scenario, ours, other, bare, { pairs, seconds, progress }));
    } catch (error) {
      absent.push({ name: `${other.name} in ${scenario.name}`, reason: words(error) });
    }
  }
  await readBare();
  fitnesses.push({ scenario: scenario.name, ...fitness(bareGbps), bareGbps });
}

async function main(): Promise<number> {
  for (const [ground, group] of byGround(scenarios)) await runGround(ground, group);
  const report: Report = {
    schema: 2,
    at: new Date().toISOString(),
    machine: machineLine(),
    commit: await commit(),
    options: { pairs, seconds },
    isFit: fitnesses.every(({ isFit }) => isFit),
    fitness: fitnesses,
    systems: [...systems.values()],
    absent,
    comparisons,
  };
  console.log(table(report, scenarios));
  if (values.out !== undefined) {
    await mkdir(values.out, { recursive: true });
    await writeFile(join(values.out, 'path.json'), JSON.stringify(report, null, 2) + '\n');
    await writeFile(join(values.out, 'results.md'), markdown(report, scenarios));
  }
  return report.isFit ? 0 : UNFIT;
}

if (values.packages) {
  for (const name of peers.flatMap((tunnel) => tunnel.packages)) console.log(name);
} else process.exitCode = await main();
