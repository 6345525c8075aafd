import type { Host, Topology } from '../../test/netns/lib/topology.js';

/** Two hosts on one veth pair of their own, where one system runs. */
export interface Pair {
  readonly topology: Topology;
  readonly a: Host;
  readonly b: Host;
  /** Of the underlay. */
  readonly mtuBytes: number;
}

/** A system that is up: traffic from a to `addressB` goes through it. */
export interface Running {
  readonly addressB: string;
  /** Its processes on both hosts; none for what lives in the kernel. */
  readonly pids: readonly number[];
  /** What is compared, in one line: version, cipher. */
  readonly description: string;
  stop(): Promise<void>;
}

/** A way to join two hosts. `start` resolves when a reaches b through it, and throws when it does not come up. */
export interface Tunnel {
  readonly name: string;
  /** Debian packages it comes in. */
  readonly packages: readonly string[];
  start(pair: Pair): Promise<Running>;
}
