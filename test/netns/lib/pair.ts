import type { DaemonArguments, TestDaemon } from './daemon.js';
import { type Host, type LinkOptions, Topology } from './topology.js';

/** Two hosts on one cable: alice waits, bob has --peer. */
export interface Pair {
  readonly topology: Topology;
  readonly alice: Host;
  readonly bob: Host;
  readonly a: TestDaemon;
  readonly b: TestDaemon;
}

/** Starts a daemon on each, with the same arguments, and waits until both see each other. */
export async function startPair(args: DaemonArguments, link: LinkOptions = {}): Promise<Pair> {
  const topology = await Topology.create();
  const alice = await topology.host('alice');
  const bob = await topology.host('bob');
  await topology.link(alice, bob, link);
  const a = await alice.startDaemon(args);
  await a.wait('ready');
  const b = await bob.startDaemon({ ...args, peers: [alice.address()] });
  await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
  return { topology, alice, bob, a, b };
}
