import type { TestDaemon } from './daemon.js';
import type { Switch } from './switch.js';
import { type Host, Topology } from './topology.js';
import { waitFor } from './wait.js';

/**
 * Three hosts of which two know the third only; what is between them is the test's choice:
 *
 *           b
 *         /   \
 *       a ····· c
 */
export class ThreeHosts {
  readonly topology: Topology;
  readonly a: Host;
  readonly b: Host;
  readonly c: Host;

  private constructor(topology: Topology, [a, b, c]: readonly [Host, Host, Host]) {
    this.topology = topology;
    this.a = a;
    this.b = b;
    this.c = c;
  }

  static async create(): Promise<ThreeHosts> {
    const topology = await Topology.create();
    const [a, b, c] = [
      await topology.host('a'),
      await topology.host('b'),
      await topology.host('c'),
    ];
    return new ThreeHosts(topology, [a, b, c]);
  }

  /** A switch with these of the hosts on it. */
  async plugged(...hosts: readonly Host[]): Promise<Switch> {
    const outside = await this.topology.switch();
    for (const host of hosts) await outside.plug(host);
    return outside;
  }

  /** b first, then the two that know b only; all three run, and are given in the order a, b, c. */
  async startAll(
    args: readonly string[] = [],
  ): Promise<readonly [TestDaemon, TestDaemon, TestDaemon]> {
    const onB = await this.b.startDaemon({ args });
    await onB.wait('ready');
    const peers = [this.b.address(4)];
    const onA = await this.a.startDaemon({ peers, args });
    const onC = await this.c.startDaemon({ peers, args });
    for (const end of [onA, onC]) await end.wait('ready');
    return [onA, onB, onC];
  }
}

/** Waits until the way to another node is of this kind, and gives how many milliseconds that took. */
export async function untilRoute(
  from: TestDaemon,
  to: string,
  path: 'direct' | 'relay',
  withinMs: number,
): Promise<number> {
  const startMs = performance.now();
  await waitFor(`${path} route to ${to}`, withinMs, async () => {
    return (await from.route(to))?.path === path;
  });
  return Math.round(performance.now() - startMs);
}
