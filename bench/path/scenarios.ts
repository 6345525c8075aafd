import {
  cpuSecondsPerGb,
  loadedPingMs,
  pingMs,
  setUdpOffload,
  tcpGbps,
  udpKpps,
} from './measure.js';
import { median, percentile } from './statistics.js';
import { type Targets, floor, target, targetAtMost } from './targets.js';
import type { Pair, Running } from './tunnel.js';

/** What all systems of a scenario stand on. Scenarios with the same ground share the running systems. */
export interface Ground {
  readonly mtuBytes: number;
  /** overlayd with libsodium's ChaCha20-Poly1305, as on machines without AES and libipsec-mb. */
  readonly isLibsodiumOnly: boolean;
}

/** A figure that two systems are compared by. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly ground: Ground;
  /** Compared after the bare path's own figure of the same round is taken off. */
  readonly isAddedToBarePath: boolean;
  /** Asks processes: says nothing about what lives in the kernel. */
  readonly isOfDaemons: boolean;
  /** One reading; `seconds` is how long it may load the path. */
  measure(pair: Pair, running: Running, seconds: number): Promise<number>;
  readonly targets: Targets;
}

const USUAL: Ground = { mtuBytes: 1500, isLibsodiumOnly: false };
const JUMBO: Ground = { mtuBytes: 9000, isLibsodiumOnly: false };
const LIBSODIUM: Ground = { mtuBytes: 1500, isLibsodiumOnly: true };

type Parts = Pick<Scenario, 'name' | 'title' | 'unit' | 'measure'> & Partial<Scenario>;
const scenario = (parts: Parts): Scenario => ({
  ground: USUAL,
  isAddedToBarePath: false,
  isOfDaemons: false,
  targets: {},
  ...parts,
});

const OTHERS = ['tinc', 'n2n', 'fastd', 'nebula', 'openvpn'];
const againstOthers = (ratio: number): Targets =>
  Object.fromEntries(OTHERS.map((name) => [name, [target(ratio)]]));

const udp = (bytes: number, targets: Targets): Scenario =>
  scenario({
    name: `udp${String(bytes)}`,
    title: `${String(bytes)}-byte UDP, highest rate with less than 1 % loss`,
    unit: 'kpps',
    measure: (pair, running, seconds) => udpKpps(pair, running, seconds, bytes),
    targets,
  });

export const SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'tcp',
    title: 'one TCP stream, CUBIC',
    unit: 'Gb/s',
    measure: (pair, running, seconds) => tcpGbps(pair, running, seconds),
    targets: {
      ...againstOthers(11),
      tinc: [target(11), floor(11)],
      'wireguard-go': [target(14), floor(12)],
      'wireguard-go-build': [target(3)],
      vxlan: [target(0.6)],
    },
  }),
  scenario({
    name: 'tcp8',
    title: 'eight TCP streams, CUBIC',
    unit: 'Gb/s',
    measure: (pair, running, seconds) => tcpGbps(pair, running, seconds, ['-P', '8']),
  }),
  scenario({
    name: 'tcp-both',
    title: 'one TCP stream each way at once, CUBIC, sum',
    unit: 'Gb/s',
    measure: (pair, running, seconds) => tcpGbps(pair, running, seconds, ['--bidir']),
  }),
  scenario({
    name: 'tcp-no-offload',
    title: 'one TCP stream, CUBIC, underlay without UDP offload',
    unit: 'Gb/s',
    measure: async (pair, running, seconds) => {
      await setUdpOffload(pair, false);
      try {
        return await tcpGbps(pair, running, seconds);
      } finally {
        await setUdpOffload(pair, true);
      }
    },
    targets: { 'wireguard-go': [target(6), floor(5)], 'wireguard-go-build': [target(4)] },
  }),
  udp(64, {
    ...Object.fromEntries([...OTHERS, 'wireguard-go-build'].map((name) => [name, [target(1.6)]])),
    'wireguard-go': [target(1.6)],
    tinc: [target(1.6), floor(1.5)],
  }),
  udp(512, {}),
  udp(1400, {}),
  scenario({
    name: 'ping',
    title: 'round trip, idle, median; compared by what each adds to the bare path',
    unit: 'ms',
    isAddedToBarePath: true,
    measure: async (pair, running) => median(await pingMs(pair, running)),
    targets: {
      'wireguard-go': [targetAtMost(0.45)],
      'wireguard-go-build': [targetAtMost(0.45)],
    },
  }),
  scenario({
    name: 'ping-p99',
    title: 'round trip, idle, 99th percentile of 200',
    unit: 'ms',
    measure: async (pair, running) => percentile(await pingMs(pair, running), 0.99),
  }),
  scenario({
    name: 'ping-loaded',
    title: 'round trip beside one TCP stream, median',
    unit: 'ms',
    measure: async (pair, running, seconds) => median(await loadedPingMs(pair, running, seconds)),
  }),
  scenario({
    name: 'ping-loaded-p99',
    title: 'round trip beside one TCP stream, 99th percentile',
    unit: 'ms',
    measure: async (pair, running, seconds) =>
      percentile(await loadedPingMs(pair, running, seconds), 0.99),
  }),
  scenario({
    name: 'cpu',
    title: 'CPU seconds of both daemons per GB, one TCP stream',
    unit: 's/GB',
    isOfDaemons: true,
    measure: cpuSecondsPerGb,
  }),
  scenario({
    name: 'tcp-libsodium-chacha',
    title: 'one TCP stream, CUBIC, overlayd with ChaCha20-Poly1305 of libsodium',
    unit: 'Gb/s',
    ground: LIBSODIUM,
    measure: (pair, running, seconds) => tcpGbps(pair, running, seconds),
    targets: { tinc: [floor(5)], 'wireguard-go-build': [target(1.2)] },
  }),
  scenario({
    name: 'tcp-mtu9000',
    title: 'one TCP stream, CUBIC, underlay of MTU 9000',
    unit: 'Gb/s',
    ground: JUMBO,
    measure: (pair, running, seconds) => tcpGbps(pair, running, seconds),
  }),
];

/** The scenarios by their ground, in order. */
export function byGround(scenarios: readonly Scenario[]): ReadonlyMap<Ground, Scenario[]> {
  const groups = new Map<Ground, Scenario[]>();
  for (const one of scenarios) {
    groups.set(one.ground, [...(groups.get(one.ground) ?? []), one]);
  }
  return groups;
}
