import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../test/netns/lib/exec.js';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { INNER_A, INNER_B, packageVersion, startPair, untilReached } from './peers/daemon-pair.js';
import type { Pair, Tunnel } from './tunnel.js';

/** The bare underlay: what there is to lose. */
export const veth: Tunnel = {
  name: 'veth',
  packages: [],
  start: async (pair) => ({
    addressB: pair.b.address(4),
    pids: [],
    description: 'bare veth, no overlay',
    stop: () => Promise.resolve(),
  }),
};

/** Kernel VXLAN, without encryption. */
export const vxlan: Tunnel = {
  name: 'vxlan',
  packages: [],
  start: async (pair) => {
    const add = async (host: Host, remote: Host, inner: string): Promise<void> => {
      const words = ['link', 'add', 'vx0', 'type', 'vxlan', 'id', '42', 'dstport', '4789'];
      await host.ip([...words, 'remote', remote.address(4), 'dev', 'eth0']);
      await host.ip(['address', 'add', `${inner}/24`, 'dev', 'vx0']);
      await host.ip(['link', 'set', 'vx0', 'up']);
    };
    await add(pair.a, pair.b, INNER_A);
    await add(pair.b, pair.a, INNER_B);
    await untilReached(pair, INNER_B);
    return {
      addressB: INNER_B,
      pids: [],
      description: 'kernel VXLAN, not encrypted',
      stop: () => Promise.resolve(),
    };
  },
};

/** tinc 1.0 in switch mode, its own default cipher. It is built for frames of at most 1518 bytes. */
export const tinc: Tunnel = {
  name: 'tinc',
  packages: ['tinc'],
  start: async (pair) => {
    const base = join(pair.topology.directory, 'tinc');
    const nodes = [
      { name: 'a', host: pair.a, inner: INNER_A, more: '' },
      { name: 'b', host: pair.b, inner: INNER_B, more: 'ConnectTo = a\n' },
    ];
    for (const { name, host, more } of nodes) {
      await mkdir(join(base, name, 'hosts'), { recursive: true });
      await writeFile(
        join(base, name, 'tinc.conf'),
        `Name = ${name}\nMode = switch\nDeviceType = tap\nInterface = tinc0\n${more}`,
      );
      await writeFile(join(base, name, 'hosts', name), `Address = ${host.address(4)}\n`);
      // Asks where to put the keys; an empty line is the default.
      await must(['tincd', '-c', join(base, name), '-K', '2048'], { input: '\n\n' });
    }
    await must(['cp', join(base, 'a/hosts/a'), join(base, 'b/hosts/a')]);
    await must(['cp', join(base, 'b/hosts/b'), join(base, 'a/hosts/b')]);
    const ends = nodes.map(({ name, host, inner }) => ({
      ...{ host, inner, ifName: 'tinc0', isMtuFixed: true },
      argv: ['tincd', '-c', join(base, name), '-D', `--pidfile=${join(base, name, 'pid')}`],
    }));
    return startPair(pair, ends, `tinc ${await packageVersion('tinc')}, switch mode`);
  },
};

/** wireguard-go: as packaged, or another binary of it, which is then a peer of its own. */
export function wireguardGo(binary: string | undefined): Tunnel {
  return {
    name: binary === undefined ? 'wireguard-go' : 'wireguard-go-build',
    packages: binary === undefined ? ['wireguard-go', 'wireguard-tools'] : ['wireguard-tools'],
    start: async (pair) => {
      // Its control sockets lie in one directory, whatever the namespace: two names.
      const tag = `${String(process.pid % 100_000)}${binary === undefined ? '' : 'x'}`;
      const a = await makeWireguardSide(pair, pair.a, `wg${tag}a`, INNER_A);
      const b = await makeWireguardSide(pair, pair.b, `wg${tag}b`, INNER_B);
      const ends = [
        { own: a, other: b },
        { own: b, other: a },
      ].map(({ own, other }) => ({
        ...own,
        argv: [binary ?? 'wireguard-go', '-f', own.ifName],
        tell: () => configureWireguard(own, other),
      }));
      return startPair(
        pair,
        ends,
        binary === undefined
          ? `wireguard-go ${await packageVersion('wireguard-go')} (Debian)`
          : `wireguard-go (${binary})`,
      );
    },
  };
}

interface WireguardSide {
  readonly host: Host;
  readonly ifName: string;
  readonly inner: string;
  readonly keyFile: string;
  readonly publicKey: string;
}

async function makeWireguardSide(
  pair: Pair,
  host: Host,
  ifName: string,
  inner: string,
): Promise<WireguardSide> {
  const privateKey = await must(['wg', 'genkey']);
  const keyFile = join(pair.topology.directory, `${ifName}.key`);
  await writeFile(keyFile, privateKey, { mode: 0o600 });
  const publicKey = (await must(['wg', 'pubkey'], { input: privateKey })).trim();
  return { host, ifName, inner, keyFile, publicKey };
}

async function configureWireguard(own: WireguardSide, other: WireguardSide): Promise<void> {
  const { host, ifName, keyFile } = own;
  // The interface is there a little before the socket that takes this.
  await waitFor(`control of ${ifName}`, 5000, async () => {
    const outcome = await host.run(['wg', 'show', ifName]);
    return outcome.code === 0;
  });
  await host.must(
    ['wg', 'set', ifName, 'private-key', keyFile, 'listen-port', '51820'].concat([
      ...['peer', other.publicKey, 'allowed-ips', `${other.inner}/32`],
      ...['endpoint', `${other.host.address(4)}:51820`],
    ]),
  );
}
