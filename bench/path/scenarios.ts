import { pingMs, setUdpOffload, tcpGbps, udpKpps } from './measure.js';
import type { Pair, Running } from './tunnel.js';

/** A figure that two systems are compared by. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** Compared after the bare path's own figure is taken off. */
  readonly isAddedToBarePath: boolean;
  /** One reading; `seconds` is how long it may load the path. */
  measure(pair: Pair, running: Running, seconds: number): Promise<number>;
  /** What docs/performance.md asks of overlayd ÷ the other, by the other's name. */
  readonly targets: Readonly<
    Record<string, { readonly atLeast: number } | { readonly atMost: number }>
  >;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'tcp',
    title: 'one TCP stream, CUBIC',
    unit: 'Gb/s',
    isAddedToBarePath: false,
    measure: tcpGbps,
    targets: {
      tinc: { atLeast: 11 },
      'wireguard-go': { atLeast: 14 },
      vxlan: { atLeast: 0.6 },
    },
  },
  {
    name: 'tcp-no-offload',
    title: 'one TCP stream, CUBIC, underlay without UDP offload',
    unit: 'Gb/s',
    isAddedToBarePath: false,
    measure: async (pair, running, seconds) => {
      await setUdpOffload(pair, false);
      try {
        return await tcpGbps(pair, running, seconds);
      } finally {
        await setUdpOffload(pair, true);
      }
    },
    targets: { 'wireguard-go': { atLeast: 6 } },
  },
  {
    name: 'udp64',
    title: '64-byte UDP, highest rate with less than 1 % loss',
    unit: 'kpps',
    isAddedToBarePath: false,
    measure: udpKpps,
    targets: { tinc: { atLeast: 1.6 }, 'wireguard-go': { atLeast: 1.6 } },
  },
  {
    name: 'ping',
    title: 'round trip, idle, median; compared by what each adds to the bare path',
    unit: 'ms',
    isAddedToBarePath: true,
    measure: pingMs,
    targets: { 'wireguard-go': { atMost: 0.45 } },
  },
];
