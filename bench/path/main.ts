import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chart, panelsOf } from './chart.js';
import { Contest, type ContestOptions, estimateSeconds } from './contest.js';
import { fastd } from './peers/fastd.js';
import { n2n } from './peers/n2n.js';
import { nebula } from './peers/nebula.js';
import { openvpn } from './peers/openvpn.js';
import { weaver } from './peers/weaver.js';
import { type Report, commit, machineLine, markdown, table } from './report.js';
import { SCENARIOS } from './scenarios.js';
import type { Tunnel } from './tunnel.js';
import { tinc, veth, vxlan, wireguardGo } from './tunnels.js';

/* Throughput of overlayd against other overlays, two hosts on one machine. Run by scripts/bench.sh, which has the usage. */

/** Exit code of a run on a machine that did not hold still. */
const USAGE = 2;
const UNFIT = 3;
const INTERRUPTED = 130;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string' },
    scenarios: { type: 'string' },
    pairs: { type: 'string' },
    seconds: { type: 'string' },
    'max-minutes': { type: 'string', default: '120' },
    cipher: { type: 'string' },
    'wireguard-go': { type: 'string' },
    weaver: { type: 'string' },
    out: { type: 'string' },
    packages: { type: 'boolean', default: false },
  },
});

/** A word on the command line that cannot be used. */
function refuse(why: string): never {
  console.error(`error: ${why}`);
  process.exit(USAGE);
}

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
      return refuse(`--${option}: ${name} is none of ${all.map((one) => one.name).join()}`);
    }
    return found;
  });
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!/^\d{1,4}$/.test(text) || value === 0) {
    return refuse(`--${option}: ${text} is no number from 1 to 9999`);
  }
  return value;
}

const given = (option: 'wireguard-go' | 'weaver', make: (path: string) => Tunnel): Tunnel[] => {
  const path = values[option];
  return path === undefined ? [] : [make(path)];
};
const peers = pick<Tunnel>('peers', values.peers, [
  ...[veth, vxlan, tinc, n2n, fastd, nebula, openvpn, wireguardGo(undefined)],
  ...given('wireguard-go', wireguardGo),
  ...given('weaver', weaver),
]);
const options: ContestOptions = {
  peers,
  scenarios: pick('scenarios', values.scenarios, SCENARIOS),
  pairs: count('pairs', values.pairs ?? (values.quick ? '2' : '7')),
  seconds: count('seconds', values.seconds ?? (values.quick ? '1' : '3')),
  cipher: values.cipher,
  maxSeconds: count('max-minutes', values['max-minutes']) * 60,
  progress: (text) => console.error(text),
};

async function main(): Promise<number> {
  const contest = new Contest(options);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      contest.stop();
    });
  }
  const minutes = String(Math.ceil(estimateSeconds(options) / 60));
  options.progress(`about ${minutes} minutes, ${values['max-minutes']} at most`);
  await contest.run();
  const { pairs, seconds } = options;
  const report: Report = {
    schema: 3,
    at: new Date().toISOString(),
    machine: machineLine(),
    commit: await commit(),
    options: { pairs, seconds },
    isFit: contest.fitness.every(({ isFit }) => isFit),
    fitness: contest.fitness,
    systems: contest.systems,
    absent: contest.absent,
    comparisons: contest.comparisons,
  };
  console.log(table(report, options.scenarios));
  if (values.out !== undefined) {
    await mkdir(values.out, { recursive: true });
    await writeFile(join(values.out, 'path.json'), JSON.stringify(report, null, 2) + '\n');
    const caption = `${report.machine}; commit ${report.commit}, ${report.at.slice(0, 10)}`;
    const picture = chart(panelsOf(report, options.scenarios), caption);
    await writeFile(join(values.out, 'results.svg'), picture);
    await writeFile(join(values.out, 'results.md'), markdown(report, options.scenarios));
  }
  if (contest.isStopped) return INTERRUPTED;
  return report.isFit ? 0 : UNFIT;
}

if (values.packages) {
  for (const name of peers.flatMap((tunnel) => tunnel.packages)) console.log(name);
} else process.exitCode = await main();
