import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../test/netns/lib/exec.js';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';
import { Background } from './process.js';
import { INNER_A, INNER_B, jumboMtu, packageVersion, untilReached } from './peers/daemon-pair.js';
import type { Tunnel } from './tunnel.js';

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
    const running: Background[] = [];
    const stop = async (): Promise<void> => {
      for (const daemon of running) await daemon.stop();
    };
    try {
      for (const { name, host, inner } of nodes) {
        const files = [`--pidfile=${join(base, name, 'pid')}`];
        running.push(
          await Background.start(host, ['tincd', '-c', join(base, name), '-D', ...files]),
        );
        await waitFor('tinc0', 5000, async () => (await host.interfaces()).includes('tinc0'));
        await host.ip(['address', 'add', `${inner}/24`, 'dev', 'tinc0']);
        await host.ip(['link', 'set', 'tinc0', 'up']);
      }
      await untilReached(pair, INNER_B);
    } catch (cause) {
      await stop();
      throw new Error(running.map((daemon) => daemon.said).join('\n'), { cause });
    }
    return {
      addressB: INNER_B,
      pids: running.map((daemon) => daemon.pid),
      description: `tinc ${await packageVersion('tinc')}, switch mode`,
      stop,
    };
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
      const ends = [
        { host: pair.a, ifName: `wg${tag}a`, inner: INNER_A },
        { host: pair.b, ifName: `wg${tag}b`, inner: INNER_B },
      ] as const;
      const running: Background[] = [];
      const stop = async (): Promise<void> => {
        for (const daemon of running) await daemon.stop();
      };
      const keys: { file: string; publicKey: string }[] = [];
      for (const { ifName } of ends) {
        const privateKey = await must(['wg', 'genkey']);
        const file = join(pair.topology.directory, `${ifName}.key`);
        await writeFile(file, privateKey, { mode: 0o600 });
        keys.push({
          file,
          publicKey: (await must(['wg', 'pubkey'], { input: privateKey })).trim(),
        });
      }
      try {
        for (const [index, { host, ifName, inner }] of ends.entries()) {
          const other = ends[1 - index];
          const [own, others] = [keys[index], keys[1 - index]];
          if (other === undefined || own === undefined || others === undefined) continue;
          running.push(await Background.start(host, [binary ?? 'wireguard-go', '-f', ifName]));
          await waitFor(`control of ${ifName}`, 5000, async () => {
            const outcome = await host.run(['wg', 'show', ifName]);
            return outcome.code === 0;
          });
          await host.must(
            ['wg', 'set', ifName, 'private-key', own.file, 'listen-port', '51820'].concat([
              ...['peer', others.publicKey, 'allowed-ips', `${other.inner}/32`],
              ...['endpoint', `${other.host.address(4)}:51820`],
            ]),
          );
          const mtu = jumboMtu(pair);
          if (mtu !== undefined) await host.ip(['link', 'set', ifName, 'mtu', String(mtu)]);
          await host.ip(['address', 'add', `${inner}/24`, 'dev', ifName]);
          await host.ip(['link', 'set', ifName, 'up']);
        }
        await untilReached(pair, INNER_B);
      } catch (cause) {
        await stop();
        throw new Error(running.map((daemon) => daemon.said).join('\n'), { cause });
      }
      return {
        addressB: INNER_B,
        pids: running.map((daemon) => daemon.pid),
        description:
          binary === undefined
            ? `wireguard-go ${await packageVersion('wireguard-go')} (Debian)`
            : `wireguard-go (${binary})`,
        stop,
      };
    },
  };
}
