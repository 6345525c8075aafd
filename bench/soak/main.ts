import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { TestDaemon } from '../../test/netns/lib/daemon.js';
import { type Host, Topology } from '../../test/netns/lib/topology.js';
import { isAnswered } from '../../test/netns/lib/traffic.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { machineLine } from '../path/report.js';
import { Changes } from './changes.js';
import { Load } from './load.js';
import {
  MAX_GROWTH_MB,
  MIN_JUDGED_SECONDS,
  type MemorySample,
  growth,
  missing,
  unexplained,
} from './verdict.js';

/* Full load for a long time while the paths change. Run by scripts/soak.sh, which has the usage. */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    verbose: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes >= 1 && minutes <= 1440)) throw new Error('minutes: a number from 1 to 1440');
if (!Number.isInteger(seed)) throw new Error('--seed: a whole number');

const START_MS = 30_000;
const SAMPLE_MS = 5000;
const SHOWN_EVERY_S = 180;
/** At the end the paths are whole: this long until all is as it was. */
const SETTLE_MS = 20_000;
const INTERRUPTED = 130;

interface Node {
  readonly host: Host;
  readonly daemon: TestDaemon;
  readonly samples: MemorySample[];
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1000;
}

/** A leak goes on, what is touched for the first time ends: a slope alone does not tell one from the other. */
function course(samples: readonly MemorySample[]): string {
  let nextSeconds = 0;
  const shown = samples.filter(({ seconds }) => {
    if (seconds < nextSeconds) return false;
    nextSeconds += SHOWN_EVERY_S;
    return true;
  });
  return shown.map(({ mb }) => mb.toFixed(1)).join(' ');
}

/** Frames the kernel could not queue for a daemon that reads too slowly: a full queue like any other, but shown. */
async function tapDropped(host: Host): Promise<number> {
  const text = await host.ip(['-json', '-s', 'link', 'show', 'overlay0-t']);
  const [link] = JSON.parse(text) as { stats64: { tx: { dropped: number } } }[];
  return link?.stats64.tx.dropped ?? Number.NaN;
}

async function start(topology: Topology): Promise<[Node, Node, Node]> {
  const [alice, bob, relay] = [
    await topology.host('alice'),
    await topology.host('bob'),
    await topology.host('relay'),
  ];
  // A link that goes down loses its IPv6 addresses for good.
  const link = { underlay: 'ipv4' as const };
  await topology.link(alice, bob, link);
  await topology.link(alice, bob, link);
  await topology.link(alice, relay, link);
  await topology.link(relay, bob, link);
  const launch = async (host: Host, peers: readonly string[]): Promise<Node> => {
    const daemon = await host.startDaemon({ peers, logLevel: 'info' });
    await daemon.wait('ready', START_MS);
    return { host, daemon, samples: [] };
  };
  const r = await launch(relay, []);
  const [, towardsBob = ''] = relay.addresses;
  const a = await launch(alice, [relay.address(4)]);
  const b = await launch(bob, [towardsBob, alice.address(4)]);
  await Promise.all([a, b, r].map(({ daemon }) => daemon.wait('peers=3', START_MS)));
  return [a, b, r];
}

/** @returns the complaints */
async function judge(nodes: readonly Node[], seconds: number): Promise<string[]> {
  const warmUpSeconds = Math.min(300, seconds / 3);
  const complaints: string[] = [];
  for (const { host, daemon, samples } of nodes) {
    const { counters, drops } = await daemon.report();
    const slope = growth(samples, warmUpSeconds);
    const peak = Math.max(...samples.map(({ mb }) => mb));
    const isJudged = seconds - warmUpSeconds >= MIN_JUDGED_SECONDS;
    const counted = Object.entries(drops).filter(([, count]) => count > 0);
    console.log(
      `${host.name.padEnd(6)} ${peak.toFixed(1)} MB at most, ${slope.toFixed(2)} MB/10 min` +
        (isJudged ? '' : ' (too short to judge)'),
    );
    console.log(`       MB every ${String(SHOWN_EVERY_S / 60)} min: ${course(samples)}`);
    const dropped = counted.map(([reason, count]) => `${reason} ${String(count)}`).join(', ');
    const kernel = `kernel: socket ${String(counters['rxq_overflow'] ?? 0)}, TAP ${String(await tapDropped(host))}`;
    console.log(`       drops: ${dropped || 'none'}; ${kernel}`);
    if (isJudged && slope > MAX_GROWTH_MB) {
      complaints.push(`${host.name} grows by ${slope.toFixed(2)} MB in 10 minutes`);
    }
    for (const [reason, count] of unexplained(drops)) {
      complaints.push(`${host.name} dropped ${String(count)} as ${reason}`);
    }
    const lost = missing(counters, drops, seconds);
    if (lost !== 0) {
      complaints.push(`${host.name}: ${String(lost)} opened datagrams are not accounted for`);
    }
  }
  return complaints;
}

async function main(): Promise<number> {
  const topology = await Topology.create();
  /** By a signal, or by what failed. */
  const stop = { isAsked: false };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.isAsked = true;
    });
  }
  try {
    const nodes = await start(topology);
    const [a, b] = nodes;
    const startMs = performance.now();
    const elapsed = (): number => (performance.now() - startMs) / 1000;
    const isOver = (): boolean => stop.isAsked || elapsed() >= minutes * 60;
    console.log(`${machineLine()}; ${String(minutes)} minutes, seed ${String(seed)}`);
    const addressB = await b.daemon.address(4);
    const loads = [
      new Load(a.host, b.host, addressB, 5201, ['-C', 'cubic', '--bidir']),
      new Load(a.host, b.host, addressB, 5202, ['-u', '-b', '100M', '-l', '1200']),
    ];
    const changes = new Changes(a.host, b.host, seed);
    const say = (text: string): void => {
      if (values.verbose) console.error(`${elapsed().toFixed(1)} s: ${text}`);
    };
    const sample = async (): Promise<void> => {
      while (!isOver()) {
        for (const { daemon, samples } of nodes) {
          samples.push({ seconds: elapsed(), mb: await residentMb(daemon.pid) });
        }
        await delay(SAMPLE_MS);
      }
    };
    const work = [...loads.map((load) => load.run(isOver)), changes.run(isOver, say), sample()];
    // Whatever fails first ends all the rest, before the hosts go.
    const failed = new AbortController();
    const ended = work.map((one) => one.catch((error: unknown) => failed.abort(error)));
    failed.signal.addEventListener('abort', () => (stop.isAsked = true));
    await Promise.all(ended);
    failed.signal.throwIfAborted();
    const seconds = elapsed();
    const complaints: string[] = [];
    await waitFor('an answer at the end', SETTLE_MS, () => isAnswered(a.host, addressB)).catch(() =>
      complaints.push('alice does not reach bob any more, on whole paths'),
    );
    const happened = [...changes.counts].map(([what, count]) => `${what} ${String(count)}`);
    console.log(`changes: ${happened.join(', ')}`);
    for (const [index, { runs, broken, bytes }] of loads.entries()) {
      const rate = `${((bytes * 8) / seconds / 1e9).toFixed(2)} Gb/s`;
      const name = index === 0 ? 'TCP' : 'UDP';
      console.log(`${name}: ${String(runs)} runs, ${String(broken)} broke off, ${rate} over all`);
    }
    if (loads.some(({ bytes }) => bytes === 0)) complaints.push('a load carried nothing');
    complaints.push(...(await judge(nodes, seconds)));
    for (const complaint of complaints) console.log(`FAIL ${complaint}`);
    if (stop.isAsked) return INTERRUPTED;
    if (complaints.length === 0) console.log('ok');
    return complaints.length === 0 ? 0 : 1;
  } finally {
    await topology.dispose();
  }
}

process.exitCode = await main();
