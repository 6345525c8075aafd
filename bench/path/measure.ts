import { readFile } from 'node:fs/promises';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { Background } from './process.js';
import { median } from './statistics.js';
import type { Pair, Running } from './tunnel.js';

const PORT = '5201';

interface IperfEnd {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
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

/** One TCP stream with CUBIC, a to b. Gb/s as received. */
export async function tcpGbps(pair: Pair, running: Running, seconds: number): Promise<number> {
  const result = await iperf(pair, running.addressB, ['-C', 'cubic', '-t', String(seconds)]);
  return (result.end.sum_received?.bits_per_second ?? Number.NaN) / 1e9;
}

const UDP_BYTES = 64;
const LOSS_LIMIT = 0.01;
/** Ends the search when the bounds are this near. */
const UDP_PRECISION = 0.05;

/**
 * Highest rate of 64-byte UDP datagrams that loses less than 1 % (RFC 2544 §26.1, with its zero loss relaxed), in
 * kpps as delivered. Found by halving between the best rate that passed and the least that did not.
 */
export async function udpKpps(pair: Pair, running: Running, seconds: number): Promise<number> {
  let best = 0;
  let passed = 0;
  let refused = 600_000;
  let rate = 100_000;
  while ((refused - passed) / refused > UDP_PRECISION && refused > 2000) {
    const bits = String(Math.round(rate * UDP_BYTES * 8));
    const args = ['-u', '-l', String(UDP_BYTES), '-b', bits, '-t', String(seconds)];
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

/** Median round trip of 200 echo requests on an idle path, in ms. */
export async function pingMs(pair: Pair, running: Running): Promise<number> {
  const text = await pair.a.must(['ping', '-n', '-c', '200', '-i', '0.005', running.addressB]);
  const times = [...text.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  if (times.length === 0) throw new Error(`no answer from ${running.addressB}`);
  return median(times);
}

/** Mean resident memory of its processes, in MB. */
export async function residentMb(running: Running): Promise<number> {
  let total = 0;
  for (const pid of running.pids) {
    const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
    total += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
  }
  return total / running.pids.length / 1000;
}

/** What many clouds look like: no UDP segmentation on the way out, no joining on the way in. */
export async function setUdpOffload(pair: Pair, isOn: boolean): Promise<void> {
  const word = isOn ? 'on' : 'off';
  for (const host of [pair.a, pair.b]) {
    await host.must(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', word, 'gro', word]);
  }
}
