import {
  CIPHERS,
  type Ground,
  JUMBO,
  LIBSODIUM_CHACHA,
  LIBSODIUM_NACL,
  PLAIN,
  RELAYED,
} from './grounds.js';
import {
  type TcpLoad,
  loadedPingMs,
  pingMs,
  tcp,
  udpKpps,
  withDaemonsApart,
  withoutUdpOffload,
} from './measure.js';
import { median, percentile } from './statistics.js';
import { type Targets, floor, target, targetAtMost } from './targets.js';
import type { Pair, Running } from './tunnel.js';

/** A figure that two systems are compared by. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  /** In the picture, which compares nothing; else the title. */
  readonly chartTitle?: string;
  /** Default true. */
  readonly isCharted?: boolean;
  readonly unit: string;
  /** Compared after the bare path's own figure of the same round is taken off. */
  readonly isAddedToBarePath?: boolean;
  readonly targets?: Targets;
}

/** A load, and the figures that one reading of it gives. */
export interface Scenario {
  readonly name: string;
  readonly ground: Ground;
  /** `full`: the pairs that the run was told; `few`: at most three of them, where no target hangs on it. */
  readonly pairs: 'full' | 'few';
  readonly figures: readonly Figure[];
  /** About how long one reading takes when a load lasts `seconds`. */
  readingSeconds(seconds: number): number;
  /** In the order of the figures, NaN where one says nothing of this system; `seconds` is how long to load the path. */
  measure(pair: Pair, running: Running, seconds: number): Promise<readonly number[]>;
}

/** iperf3 comes and goes. */
const START_SECONDS = 0.4;
/** Of a search that begins where the last one ended. */
const UDP_TRIALS = 6;

const OTHERS = ['tinc', 'n2n', 'fastd', 'nebula', 'openvpn', 'weaver'];
const againstOthers = (ratio: number): Targets =>
  Object.fromEntries(OTHERS.map((name) => [name, [target(ratio)]]));

type Parts = Partial<Pick<Scenario, 'ground' | 'pairs'>> & { readonly targets?: Targets };

const cpuOf = (name: string): Figure => ({
  name: `${name}-cpu`,
  title: 'CPU seconds of all its daemons per GB of that',
  chartTitle: 'CPU seconds of all daemons per GB, one TCP stream',
  unit: 's/GB',
});

const switchesOf = (name: string): Figure => ({
  name: `${name}-switches`,
  title: 'context switches of all its daemons per GB of that',
  unit: '/GB',
  isCharted: false,
});

function tcpScenario(
  name: string,
  title: string,
  load: TcpLoad & { readonly isWithoutUdpOffload?: boolean; readonly isApart?: boolean },
  { ground = PLAIN, pairs = 'few', targets = {} }: Parts = {},
): Scenario {
  return {
    name,
    ground,
    pairs,
    figures: [{ name, title, unit: 'Gb/s', targets }, cpuOf(name), switchesOf(name)],
    readingSeconds: (seconds) => seconds + START_SECONDS,
    measure: async (pair, running, seconds) => {
      // What lives in the kernel works on the CPU of whoever sends: it cannot be kept apart.
      if (load.isApart === true && running.pids.length === 0) return [NaN, NaN, NaN];
      const once = (more: readonly string[] = []) =>
        tcp(pair, running, seconds, { ...load, options: [...(load.options ?? []), ...more] });
      const body = () => (load.isApart === true ? withDaemonsApart(running, once) : once());
      const reading = load.isWithoutUdpOffload === true ? withoutUdpOffload(pair, body) : body();
      const { gbps, cpuSecondsPerGb, switchesPerGb } = await reading;
      return [gbps, cpuSecondsPerGb, switchesPerGb];
    },
  };
}

type UdpPath = 'plain' | 'no-offload' | 'mtu9000';

function udpScenario(bytes: number, path: UdpPath = 'plain', parts: Parts = {}): Scenario {
  const name = `udp${String(bytes)}${path === 'plain' ? '' : `-${path}`}`;
  const where = { plain: '', 'no-offload': ', no UDP offload', mtu9000: ', MTU 9000' }[path];
  const { pairs = 'few', targets = {} } = parts;
  const title = `${String(bytes)}-byte UDP, highest rate with less than 1 % loss${where}`;
  return {
    name,
    ground: path === 'mtu9000' ? JUMBO : PLAIN,
    pairs,
    figures: [{ name, title, unit: 'kpps', targets }],
    readingSeconds: (seconds) =>
      UDP_TRIALS * (Math.max(1, Math.round(seconds / 3)) + START_SECONDS),
    measure: async (pair, running, seconds) => {
      const body = () => udpKpps(pair, running, seconds, bytes, path);
      return [await (path === 'no-offload' ? withoutUdpOffload(pair, body) : body())];
    },
  };
}

function pingScenario(ground: Ground, name: string, targets: Targets): Scenario {
  return {
    name,
    ground,
    pairs: 'full',
    figures: [
      {
        name,
        title: 'round trip, idle, median; compared by what each adds to the bare path',
        chartTitle: `round trip, idle, median${ground === RELAYED ? ', through a third host' : ''}`,
        unit: 'ms',
        isAddedToBarePath: true,
        targets,
      },
      { name: `${name}-p99`, title: 'round trip, idle, 99th percentile of 200', unit: 'ms' },
    ],
    readingSeconds: () => 1.2,
    measure: async (pair, running) => {
      const times = await pingMs(pair, running);
      return [median(times), percentile(times, 0.99)];
    },
  };
}

const pingLoaded: Scenario = {
  name: 'ping-loaded',
  ground: PLAIN,
  pairs: 'few',
  figures: [
    { name: 'ping-loaded', title: 'round trip beside one TCP stream, median', unit: 'ms' },
    {
      name: 'ping-loaded-p99',
      title: 'round trip beside one TCP stream, 99th percentile of 200',
      unit: 'ms',
    },
  ],
  readingSeconds: (seconds) => Math.max(3, seconds) + START_SECONDS,
  measure: async (pair, running, seconds) => {
    const times = await loadedPingMs(pair, running, seconds);
    return [median(times), percentile(times, 0.99)];
  },
};

/** What hangs on a target first: a run that is cut short has those. */
export const SCENARIOS: readonly Scenario[] = [
  tcpScenario(
    'tcp',
    'one TCP stream, CUBIC',
    {},
    {
      pairs: 'full',
      targets: {
        ...againstOthers(11),
        tinc: [target(11), floor(11)],
        'wireguard-go': [target(14), floor(12)],
        'wireguard-go-build': [target(3)],
        vxlan: [target(0.6)],
      },
    },
  ),
  pingScenario(PLAIN, 'ping', {
    'wireguard-go': [targetAtMost(0.45)],
    'wireguard-go-build': [targetAtMost(0.45)],
  }),
  tcpScenario(
    'tcp-no-offload',
    'one TCP stream, CUBIC, underlay without UDP offload',
    { isWithoutUdpOffload: true },
    {
      pairs: 'full',
      targets: { 'wireguard-go': [target(6), floor(5)], 'wireguard-go-build': [target(4)] },
    },
  ),
  udpScenario(64, 'plain', {
    pairs: 'full',
    targets: {
      ...againstOthers(1.6),
      tinc: [target(1.6), floor(1.5)],
      'wireguard-go': [target(1.6)],
      'wireguard-go-build': [target(1.6)],
    },
  }),
  tcpScenario(
    'tcp-apart',
    'one TCP stream, CUBIC, iperf3 of both ends on one CPU, all daemons on another',
    { isApart: true },
    {
      pairs: 'full',
      targets: {
        ...againstOthers(11),
        'wireguard-go': [target(14)],
        'wireguard-go-build': [target(3)],
      },
    },
  ),
  tcpScenario(
    'tcp-apart-no-offload',
    'one TCP stream, CUBIC, iperf3 and daemons on a CPU each, underlay without UDP offload',
    { isApart: true, isWithoutUdpOffload: true },
    {
      pairs: 'full',
      targets: { 'wireguard-go': [target(6)], 'wireguard-go-build': [target(4)] },
    },
  ),
  tcpScenario('tcp8', 'eight TCP streams, CUBIC', { options: ['-P', '8'] }),
  tcpScenario('tcp-both', 'one TCP stream each way at once, CUBIC, sum', { options: ['--bidir'] }),
  tcpScenario('tcp-bbr', 'one TCP stream, BBR', { congestion: 'bbr' }),
  pingLoaded,
  udpScenario(512),
  udpScenario(1400),
  udpScenario(64, 'no-offload'),
  tcpScenario(
    'tcp-relayed',
    'one TCP stream, CUBIC, through a third host',
    {},
    {
      ground: RELAYED,
      pairs: 'full',
      targets: { 'overlayd-direct': [target(0.6)] },
    },
  ),
  pingScenario(RELAYED, 'ping-relayed', {}),
  tcpScenario(
    'tcp-libsodium-chacha',
    'one TCP stream, CUBIC, ChaCha20-Poly1305 of libsodium',
    {},
    {
      ground: LIBSODIUM_CHACHA,
      pairs: 'full',
      targets: { tinc: [floor(5)], 'wireguard-go-build': [target(1.2)] },
    },
  ),
  tcpScenario(
    'tcp-libsodium-nacl',
    'one TCP stream, CUBIC, NaCl secretbox of libsodium',
    {},
    {
      ground: LIBSODIUM_NACL,
      pairs: 'full',
      targets: { 'wireguard-go-build': [target(1.2)] },
    },
  ),
  tcpScenario(
    'tcp-ciphers',
    'one TCP stream, CUBIC, each cipher and provider',
    {},
    {
      ground: CIPHERS,
    },
  ),
  tcpScenario('tcp-mtu9000', 'one TCP stream, CUBIC, underlay of MTU 9000', {}, { ground: JUMBO }),
  udpScenario(64, 'mtu9000'),
];

/** The scenarios by their ground, in order. */
export function byGround(scenarios: readonly Scenario[]): ReadonlyMap<Ground, Scenario[]> {
  const groups = new Map<Ground, Scenario[]>();
  for (const one of scenarios) {
    groups.set(one.ground, [...(groups.get(one.ground) ?? []), one]);
  }
  return groups;
}
