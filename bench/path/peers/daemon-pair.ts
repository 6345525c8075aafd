import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../../test/netns/lib/exec.js';
import type { Host } from '../../../test/netns/lib/topology.js';
import { isAnswered } from '../../../test/netns/lib/traffic.js';
import { waitFor } from '../../../test/netns/lib/wait.js';
import { Background } from '../process.js';
import type { Pair, Running } from '../tunnel.js';

export const INNER_A = '10.98.0.1';
export const INNER_B = '10.98.0.2';

/** MTU of the tunnel's interface on an underlay of jumbo frames; undefined: its own default. Leaves 100 for headers. */
export function jumboMtu(pair: Pair): number | undefined {
  return pair.mtuBytes > 1500 ? pair.mtuBytes - 100 : undefined;
}

export async function untilReached(pair: Pair, address: string): Promise<void> {
  await waitFor(`an answer from ${address}`, 15_000, () => isAnswered(pair.a, address));
}

export async function packageVersion(name: string): Promise<string> {
  return (await must(['dpkg-query', '-W', '-f', '${Version}', name])).trim();
}

/** One side of a system that is a daemon with an interface of its own. */
export interface DaemonEnd {
  readonly host: Host;
  readonly argv: readonly string[];
  /** On top of our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The interface it makes; both get the address and are set up here. */
  readonly ifName: string;
  readonly inner: string;
  /** It gives its interface address and MTU itself. */
  readonly isSelfConfigured?: boolean;
  /** It is built for frames of the usual length, whatever the underlay. */
  readonly isMtuFixed?: boolean;
  /** What it is told once its interface is there. */
  readonly tell?: () => Promise<void>;
}

/**
 * Starts both daemons one after the other and waits until they carry traffic.
 * @throws with what they said when they do not.
 */
export async function startPair(
  pair: Pair,
  ends: readonly DaemonEnd[],
  description: string,
  helpers: readonly Background[] = [],
): Promise<Running> {
  const running: Background[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of [...running, ...helpers]) await daemon.stop();
  };
  try {
    for (const { host, argv, env, ifName, inner, isSelfConfigured, isMtuFixed, tell } of ends) {
      const daemon = await Background.start(host, argv, env);
      running.push(daemon);
      const hasInterface = await waitFor(ifName, 5000, async () => {
        if (!daemon.isRunning) return 'ended';
        return (await host.interfaces()).includes(ifName) ? 'there' : undefined;
      });
      if (hasInterface === 'ended') throw new Error(`${argv[0] ?? ''} ended by itself`);
      await tell?.();
      if (isSelfConfigured === true) continue;
      const mtu = isMtuFixed === true ? undefined : jumboMtu(pair);
      if (mtu !== undefined) await host.ip(['link', 'set', ifName, 'mtu', String(mtu)]);
      await host.ip(['address', 'add', `${inner}/24`, 'dev', ifName]);
      await host.ip(['link', 'set', ifName, 'up']);
    }
    await untilReached(pair, INNER_B);
  } catch (cause) {
    await stop();
    const said = running.map((daemon) => daemon.said).join('\n');
    throw new Error(`${String(cause)}\n${said}`.trim(), { cause });
  }
  return { addressB: INNER_B, pids: running.map((daemon) => daemon.pid), description, stop };
}

/** Writes a file of a daemon's configuration, readable by root alone, and gives its path. */
export async function configure(
  pair: Pair,
  directory: string,
  name: string,
  text: string,
): Promise<string> {
  const path = join(pair.topology.directory, directory);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, name), text, { mode: 0o600 });
  return join(path, name);
}
