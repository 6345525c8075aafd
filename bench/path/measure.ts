import { readFile, writeFile } from 'node:fs/promises';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { Background } from './process.js';
import type { Pair, Running } from './tunnel.js';

const PORT = '5201';

interface IperfEnd {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number };
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

/** TCP with CUBIC, a to b; one stream unless iperf3's options say more. Gb/s as received, all streams and directions. */
export async function tcpGbps(
  pair: Pair,
  running: Running,
  seconds: number,
  options: readonly string[] = [],
): Promise<number> {
  const args = ['-C', 'cubic', '-t', String(seconds), ...options];
  const { end } = await iperf(pair, running.addressB, args);
  const there = end.sum_received?.bits_per_second ?? Number.NaN;
  return (there + (end.sum_received_bidir_reverse?.bits_per_second ?? 0)) / 1e9;
}

const LOSS_LIMIT = 0.01;
/** Ends the search when the bounds are this near. */
const UDP_PRECISION = 0.05;

/**
 * Highest rate of UDP datagrams with `bytes` of payload that loses less than 1 % (RFC 2544 §26.1, with its zero loss relaxed), in
 * kpps as delivered. Found by halving between the best rate that passed and the least that did not.
 */
export async function udpKpps(
  pair: Pair,
  running: Running,
  seconds: number,
  bytes: number,
): Promise<number> {
  let best = 0;
  let passed = 0;
  let refused = 600_000;
  let rate = 100_000;
  while ((refused - passed) / refused > UDP_PRECISION && refused > 2000) {
    const bits = String(Math.round(rate * bytes * 8));
    const args = ['-u', '-l', String(bytes), '-b', bits, '-t', String(seconds)];
    const { sum } = (await iperf(pair, running.addressB, args)).end;
    if (sum === undefined || sum.packets === 0) throw new Error('iperf3 reports no datagrams');
    const delivered = (sum.packets - sum.lost_packets) / sum.seconds;
    if (sum.lost_packets / sum.packets < LOSS_LIMIT) {
      best = Math.max(best, delivered);
      passed = rate;
      // The sender itself cannot go faster: asking for more tells nothing.
      if (delivered < rate * 0.9) break;
    } else {
      refused = rate;
    }
    rate = (passed + refused) / 2;
  }
  return best / 1000;
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
  const load = tcpGbps(pair, running, Math.max(3, seconds));
  const [times] = await Promise.all([pingMs(pair, running), load]);
  return times;
}

/** User and system time that both daemons together take for 10^9 bytes of one TCP stream. */
export async function cpuSecondsPerGb(
  pair: Pair,
  running: Running,
  seconds: number,
): Promise<number> {
  const before = await cpuSeconds(running);
  const { end } = await iperf(pair, running.addressB, ['-C', 'cubic', '-t', String(seconds)]);
  const after = await cpuSeconds(running);
  return (after - before) / ((end.sum_received?.bytes ?? Number.NaN) / 1e9);
}

/** Kernel ticks are 10 ms for programs on every architecture. */
const TICKS_PER_SECOND = 100;

async function cpuSeconds(running: Running): Promise<number> {
  let ticks = 0;
  for (const pid of running.pids) {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // Behind the name, which may hold blanks: state is field 3, utime 14, stime 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
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

/** What many clouds look like: no UDP segmentation on the way out, no joining on the way in. */
export async function setUdpOffload(pair: Pair, isOn: boolean): Promise<void> {
  const word = isOn ? 'on' : 'off';
  for (const host of [pair.a, pair.b]) {
    await host.must(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', word, 'gro', word]);
  }
}
