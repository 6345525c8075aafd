import type { DaemonArguments, TestDaemon } from '../../../test/netns/lib/daemon.js';
import { waitFor } from '../../../test/netns/lib/wait.js';
import type { Pair, Running, Tunnel } from '../tunnel.js';
import { jumboMtu, untilReached } from './daemon-pair.js';

/*
 * Ours: two daemons on the cable, or three with a relay between two that cannot reach each other.
 *
 *      a ──────── b              a ──✕──── b   cut, or kept for the same daemons without relaying
 *                                 └── r ───┘
 */

export interface OverlaydVariant {
  /** As its own option; undefined: what the daemons choose. */
  readonly cipher?: string | undefined;
  /** Without libipsec-mb, as on machines where it is not. */
  readonly isLibsodiumOnly?: boolean;
}

const LOG_LEVEL = 'info';
/** Deriving the key from the password takes a machine that is busy otherwise long. */
const START_MS = 30_000;

/** Two daemons. */
export function overlayd(variant: OverlaydVariant, name = 'overlayd'): Tunnel {
  return {
    name,
    packages: [],
    start: async (pair): Promise<Running> => {
      const options = daemonOptions(pair, variant);
      const a = await pair.a.startDaemon(options);
      await a.wait('ready', START_MS);
      const b = await pair.b.startDaemon({ ...options, peers: [pair.a.address(4)] });
      await Promise.all([a.wait('peers=2', START_MS), b.wait('peers=2', START_MS)]);
      return running(pair, [a, b], await describe(a, pair.b.name, variant));
    },
  };
}

/** How long a and b may take until they talk over the wanted kind of path. */
const ROUTE_TIMEOUT_MS = 20_000;

/** Three daemons, the third on a cable to each of the two: `relayed` cuts the cable between the two. */
export function overlaydOfThree(way: 'relayed' | 'direct'): Tunnel {
  return {
    name: way === 'relayed' ? 'overlayd' : 'overlayd-direct',
    packages: [],
    start: async (pair): Promise<Running> => {
      const middle = await pair.topology.host(`${way}-r`);
      await pair.topology.link(pair.a, middle, { mtuBytes: pair.mtuBytes });
      await pair.topology.link(middle, pair.b, { mtuBytes: pair.mtuBytes });
      if (way === 'relayed') await pair.a.ip(['link', 'set', 'eth0', 'down']);
      const [towardsA = '', towardsB = ''] = middle.addresses.filter((text) => text.includes('.'));
      const options = daemonOptions(pair, {});
      const r = await middle.startDaemon(options);
      await r.wait('ready', START_MS);
      const a = await pair.a.startDaemon({ ...options, peers: [towardsA] });
      const b = await pair.b.startDaemon({ ...options, peers: [towardsB] });
      await Promise.all([
        a.wait('ready', START_MS),
        b.wait('ready', START_MS),
        r.wait('peers=3', START_MS),
      ]);
      const isWanted = (hops: number): boolean => (way === 'relayed' ? hops > 0 : hops === 0);
      try {
        await waitFor(`a ${way} route`, ROUTE_TIMEOUT_MS, async () => {
          const hops = await relaysBetween(a, pair.b.name);
          return hops !== undefined && isWanted(hops);
        });
      } catch {
        const hops = await relaysBetween(a, pair.b.name);
        const seen = hops === undefined ? 'no route at all' : `a route with ${String(hops)} relays`;
        throw new Error(`no relay: wanted a ${way} route between the two, there is ${seen}`);
      }
      return running(pair, [a, r, b], `${await describe(a, pair.b.name, {})}, three hosts, ${way}`);
    },
  };
}

function daemonOptions(pair: Pair, { cipher, isLibsodiumOnly }: OverlaydVariant): DaemonArguments {
  const mtu = jumboMtu(pair);
  return {
    logLevel: LOG_LEVEL,
    args: [
      ...(cipher === undefined ? [] : ['--cipher', cipher]),
      ...(mtu === undefined ? [] : ['--mtu', String(mtu)]),
    ],
    env:
      isLibsodiumOnly === true ? { OVERLAYD_DEBUG: '1', OVERLAYD_DEBUG_PROVIDER: 'libsodium' } : {},
  };
}

/** The last of the daemons is b's. */
async function running(
  pair: Pair,
  daemons: readonly TestDaemon[],
  description: string,
): Promise<Running> {
  const addressB = await daemons.at(-1)!.address(4);
  await untilReached(pair, addressB);
  return {
    addressB,
    pids: daemons.map((daemon) => daemon.pid),
    description,
    stop: async () => {
      for (const daemon of daemons.toReversed()) await daemon.stop();
    },
  };
}

async function describe(
  from: TestDaemon,
  nickname: string,
  { isLibsodiumOnly = false }: OverlaydVariant,
): Promise<string> {
  const { stdout } = await from.ctl(['--json', 'peers']);
  const { peers } = JSON.parse(stdout) as { peers: { nickname: string; cipher: string }[] };
  const cipher = peers.find((peer) => peer.nickname === nickname)?.cipher ?? 'unknown cipher';
  return `overlayd, ${cipher}${isLibsodiumOnly ? ', libsodium only' : ''}`;
}

/** Undefined when there is no way. */
async function relaysBetween(from: TestDaemon, nickname: string): Promise<number | undefined> {
  const { stdout } = await from.ctl(['--json', 'routes']);
  const { routes } = JSON.parse(stdout) as {
    routes: { nickname: string; via: readonly string[] }[];
  };
  return routes.find((route) => route.nickname === nickname)?.via.length;
}
