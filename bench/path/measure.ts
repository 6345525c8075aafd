import { readFile, readdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { must } from '../../test/netns/lib/exec.js';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { Background } from './process.js';
import type { Pair, Running } from './tunnel.js';

const PORT = '5201';

interface IperfEnd {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum_received_bidir_reverse?: { readonly bits_per_second: number };
    readonly sum?: {
      readonly packets: number;
      readonly lost_packets: number;
      readonly seconds: number;
    };
  };
}

async function iperf(pair: Pair, address: string, args: readonly string[]): Promise<IperfEnd> {
  const server = await Background.start(pair.b, ['iperf3', '-s', '-1', '-B', address, '-p', PORT]);
  try {
    await waitFor('iperf3 -s', 5000, () => isListening(pair.b));
    const words = ['iperf3', '-c', address, '-p', PORT, '-J', '--connect-timeout', '3000', ...args];
    return JSON.parse(await pair.a.must(words, { timeoutMs: 60_000 })) as IperfEnd;
  } finally {
    await server.stop();
  }
}

async function isListening(host: Host): Promise<boolean> {
  return (await host.must(['ss', '-Htln'])).includes(`:${PORT}`);
}

/** CUBIC unless said otherwise: the default of the machine would be part of the figure. */
export interface TcpLoad {
  readonly congestion?: string;
  /** More options of iperf3: streams, directions. */
  readonly options?: readonly string[];
}

/** What one load of TCP showed. */
export interface TcpReading {
  /** As received, all streams and directions. */
  readonly gbps: number;
  /** User and system time of all daemons for 10^9 received bytes; NaN for what lives in the kernel. */
  readonly cpuSecondsPerGb: number;
  /** Times their threads were switched away from, willingly or not, for as much; NaN as above. */
  readonly switchesPerGb: number;
}

/** TCP a to b, one stream unless the options say more. */
export async function tcp(
  pair: Pair,
  running: Running,
  seconds: number,
  { congestion = 'cubic', options = [] }: TcpLoad = {},
): Promise<TcpReading> {
  const before = await usage(running);
  const args = ['-C', congestion, '-t', String(seconds), ...options];
  const { end } = await iperf(pair, running.addressB, args);
  const after = await usage(running);
  const there = end.sum_received?.bits_per_second ?? Number.NaN;
  const gbps = (there + (end.sum_received_bidir_reverse?.bits_per_second ?? 0)) / 1e9;
  const gigabytes = (gbps * seconds) / 8;
  const perGb = (spent: number): number =>
    running.pids.length > 0 ? spent / gigabytes : Number.NaN;
  return {
    gbps,
    cpuSecondsPerGb: perGb(after.cpuSeconds - before.cpuSeconds),
    switchesPerGb: perGb(after.switches - before.switches),
  };
}

const LOSS_LIMIT = 0.01;
/** Ends the search when the bounds are this near. */
const UDP_PRECISION = 0.05;
/** How far the first bounds are looked for around the expected rate, each time. */
const UDP_STRIDE = 1.25;
const UDP_FIRST_PPS = 60_000;
const UDP_MAX_PPS = 2_000_000;

/** What a trial at one offered rate said. */
export interface Trial {
  readonly deliveredPps: number;
  /** 0 ... 1 */
  readonly loss: number;
}

/**
 * Highest offered rate that loses less than 1 % (RFC 2544 §26.1, with its zero loss relaxed). First the rate is moved up or down from
 * `expectedPps` until one passed and one did not, then the bounds are halved.
 *
 * @returns that rate, and the most that a trial which passed delivered, per second
 */
export async function highestRate(
  trial: (pps: number) => Promise<Trial>,
  expectedPps: number,
): Promise<{ readonly offeredPps: number; readonly deliveredPps: number }> {
  let delivered = 0;
  let passed = 0;
  let refused = Number.POSITIVE_INFINITY;
  let pps = expectedPps;
  while ((refused - passed) / refused > UDP_PRECISION || refused === Number.POSITIVE_INFINITY) {
    if (pps < 1000 || pps > UDP_MAX_PPS) break;
    const { deliveredPps, loss } = await trial(pps);
    if (loss < LOSS_LIMIT) {
      passed = pps;
      delivered = Math.max(delivered, deliveredPps);
      // The sender itself cannot go faster: asking for more tells nothing.
      if (deliveredPps < pps * 0.9) break;
    } else {
      refused = pps;
    }
    if (refused === Number.POSITIVE_INFINITY) pps *= UDP_STRIDE;
    else if (passed === 0) pps /= UDP_STRIDE;
    else pps = (passed + refused) / 2;
  }
  return { offeredPps: passed, deliveredPps: delivered };
}

/** Where the last search of a system and size ended: the next one begins there. */
const lastRates = new WeakMap<Running, Map<string, number>>();

/** By the search above, in kpps as delivered; a trial takes a third of `seconds`, 1 s at least. */
export async function udpKpps(
  pair: Pair,
  running: Running,
  seconds: number,
  bytes: number,
  label = '',
): Promise<number> {
  const rates = lastRates.get(running) ?? new Map<string, number>();
  lastRates.set(running, rates);
  const key = `${String(bytes)}${label}`;
  const trialSeconds = String(Math.max(1, Math.round(seconds / 3)));
  const found = await highestRate(
    async (pps) => {
      const bits = String(Math.round(pps * bytes * 8));
      const args = ['-u', '-l', String(bytes), '-b', bits, '-t', trialSeconds];
      const { sum } = (await iperf(pair, running.addressB, args)).end;
      if (sum === undefined || sum.packets === 0) throw new Error('iperf3 reports no datagrams');
      const deliveredPps = (sum.packets - sum.lost_packets) / sum.seconds;
      return { deliveredPps, loss: sum.lost_packets / sum.packets };
    },
    rates.get(key) ?? UDP_FIRST_PPS,
  );
  if (found.offeredPps > 0) rates.set(key, found.offeredPps);
  return found.deliveredPps / 1000;
}

/** Round trips of 200 echo requests, 5 ms apart, in ms. */
export async function pingMs(pair: Pair, running: Running): Promise<number[]> {
  const text = await pair.a.must(['ping', '-n', '-c', '200', '-i', '0.005', running.addressB]);
  const times = [...text.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  if (times.length === 0) throw new Error(`no answer from ${running.addressB}`);
  return times;
}

/** The same while one TCP stream fills the path. */
export async function loadedPingMs(
  pair: Pair,
  running: Running,
  seconds: number,
): Promise<number[]> {
  // Long enough to outlast the pings, which wait for slow answers.
  const load = tcp(pair, running, Math.max(3, seconds));
  const [times] = await Promise.all([pingMs(pair, running), load]);
  return times;
}

/** Kernel ticks are 10 ms for programs on every architecture. */
const TICKS_PER_SECOND = 100;

/** Of all its processes since they began. */
async function usage(running: Running): Promise<{ cpuSeconds: number; switches: number }> {
  let ticks = 0;
  let switches = 0;
  for (const pid of running.pids) {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // Behind the name, which may hold blanks: state is field 3, utime 14, stime 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
    for (const thread of await readdir(`/proc/${String(pid)}/task`)) {
      const status = await readFile(`/proc/${String(pid)}/task/${thread}/status`, 'utf8');
      for (const [, count] of status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)) {
        switches += Number(count);
      }
    }
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, switches };
}

/** Mean resident memory of its processes in MB: now, or the most since forgetPeak. */
export async function residentMb(running: Running, which: 'now' | 'peak'): Promise<number> {
  const line = which === 'now' ? /^VmRSS:\s+(\d+) kB$/m : /^VmHWM:\s+(\d+) kB$/m;
  let total = 0;
  for (const pid of running.pids) {
    const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
    total += Number(line.exec(status)?.[1] ?? Number.NaN);
  }
  return total / running.pids.length / 1000;
}

/** So that the peak is the load's: starting up takes memory of its own (Argon2id does). */
export async function forgetPeak(running: Running): Promise<void> {
  for (const pid of running.pids) await writeFile(`/proc/${String(pid)}/clear_refs`, '5');
}

/** Of the load's programs and of the daemons, while they are kept apart. */
const LOAD_CPU = '0';
const DAEMON_CPU = '1';

/**
 * What one CPU carries: the load's programs of both ends on the first, the daemons of both ends on the second, while `body`
 * runs. Where the scheduler puts them otherwise moves a figure by a third.
 *
 * @param body is given the options of iperf3 that keep it on its CPU
 */
export async function withDaemonsApart<T>(
  { pids }: Running,
  body: (options: readonly string[]) => Promise<T>,
): Promise<T> {
  if (availableParallelism() < 2) throw new Error('load and daemons apart: needs two CPUs');
  await setCpus(pids, DAEMON_CPU);
  try {
    return await body(['-A', `${LOAD_CPU},${LOAD_CPU}`]);
  } finally {
    await setCpus(pids, `0-${String(cpus().length - 1)}`);
  }
}

/** `list` as taskset has it. */
async function setCpus(pids: readonly number[], list: string): Promise<void> {
  for (const pid of pids) await must(['taskset', '-a', '-c', '-p', list, String(pid)]);
}

/** What many clouds look like: no UDP segmentation on the way out, no joining on the way in, while `body` runs. */
export async function withoutUdpOffload<T>(pair: Pair, body: () => Promise<T>): Promise<T> {
  await setUdpOffload(pair, 'off');
  try {
    return await body();
  } finally {
    await setUdpOffload(pair, 'on');
  }
}

async function setUdpOffload(pair: Pair, word: 'on' | 'off'): Promise<void> {
  for (const host of [pair.a, pair.b]) {
    await host.must(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', word, 'gro', word]);
  }
}
