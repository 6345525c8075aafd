import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report, TestDaemon } from './lib/daemon.js';
import * as frames from './lib/frames.js';
import { FLAG_CONTINUES, FLAG_PARTIAL_CHECKSUM, HostileMember } from './lib/hostile-member.js';
import { HostileScene } from './lib/hostile-scene.js';
import { framesOf } from './lib/pcap.js';
import type { Host } from './lib/topology.js';
import { must } from './lib/exec.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     server eth0 --- veth0 overlay0 alice ===== bob overlay0 veth0 --- eth0 client
 *                                      \\
 *                                       ===== mallory, a member that seals what it likes
 */

const MALLORY_MAC = '02:ba:d0:ba:d0:01';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const SERVER_IP = '10.99.0.1';
const MALLORY_IP = '10.99.0.66';
const TEXT = Buffer.from('payload of a crafted frame');

describe('a hostile member', function () {
  this.timeout(120_000);
  let scene: HostileScene;
  let server: Host;
  let client: Host;
  let a: TestDaemon;
  let b: TestDaemon;
  let member: HostileMember;
  let serverMac: string;

  /** A host behind a port of the overlay's bridge, which the test adds by hand. */
  async function behind(host: Host, name: string): Promise<Host> {
    const attached = await scene.topology.host(name);
    await must(
      ['ip', 'link', 'add', 'veth0', 'netns', host.namespace, 'type', 'veth'].concat([
        ...['peer', 'name', 'eth0', 'netns', attached.namespace],
      ]),
    );
    await host.ip(['link', 'set', 'veth0', 'mtu', '1388', 'master', 'overlay0']);
    await attached.ip(['link', 'set', 'eth0', 'mtu', '1388', 'up']);
    await host.ip(['link', 'set', 'veth0', 'up']);
    return attached;
  }

  async function macOf(host: Host, ifName: string): Promise<string> {
    const links: unknown = JSON.parse(await host.ip(['-json', 'link', 'show', ifName]));
    return (links as { address: string }[])[0]!.address;
  }

  /** Drops since `before` that are not zero, but for what alice's own chatter to groups adds at any time. */
  async function dropsSince(before: Report): Promise<Record<string, number>> {
    const now = await a.report();
    const grown = Object.entries(now.drops).map(
      ([name, count]) => [name, count - (before.drops[name] ?? 0)] as const,
    );
    return Object.fromEntries(
      grown.filter(([name, count]) => count > 0 && name !== 'group_nobody'),
    );
  }

  /** All authentic datagrams of mallory's were opened: `count` more than before. */
  async function opened(before: Report, count: number): Promise<void> {
    await waitFor('the frames to be opened', 3000, async () => {
      return (await a.report()).counters['opened']! >= before.counters['opened']! + count;
    });
  }

  before(async () => {
    scene = await HostileScene.open();
    ({ a, b } = await scene.startBoth(['--cipher', 'chacha20poly1305']));
    server = await behind(scene.alice, 'server');
    client = await behind(scene.bob, 'client');
    await server.ip(['address', 'add', `${SERVER_IP}/24`, 'dev', 'eth0']);
    serverMac = await macOf(server, 'eth0');
    member = await HostileMember.join(scene.attacker, scene.newSource(), scene.target, scene.prs);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await scene.topology.logs());
  });
  after(async () => {
    await scene.alice.run(['ip', 'link', 'delete', 'veth0']);
    await scene.bob.run(['ip', 'link', 'delete', 'veth0']);
    await scene.close();
  });

  it('aside, a DHCP client gets a lease from a server on the other host', async () => {
    const [program, ...rest] = server.inside([
      ...['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--port=0', '--no-ping'],
      ...['--interface=eth0', '--user=root', '--leasefile-ro', '--pid-file='],
      '--dhcp-range=10.99.0.10,10.99.0.20,255.255.255.0,1h',
    ]);
    const dnsmasq = spawn(program ?? '', rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    dnsmasq.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    try {
      await waitFor('dnsmasq', 5000, () => said.includes('DHCP, IP range'));
      const script = join(scene.topology.directory, 'bound.sh');
      const lines = ['#!/bin/sh', '[ "$1" != bound ] || ip address add "$ip/$mask" dev eth0', ''];
      await writeFile(script, lines.join('\n'), { mode: 0o755 });
      const words = ['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-t', '5', '-T', '1'];
      const outcome = await client.run([...words, '-s', script]);
      assert.equal(outcome.code, 0, outcome.stderr + said);
      assert.match(
        await client.ip(['-4', 'address', 'show', 'eth0']),
        /inet 10\.99\.0\.(1\d|20)\/24/,
      );
      await pingAll(client, SERVER_IP);
    } finally {
      const ended = once(dnsmasq, 'exit');
      dnsmasq.kill('SIGTERM');
      await ended;
    }
  });

  it('cannot have a checksum written anywhere but into a whole TCP or UDP packet', async () => {
    const [from, to] = [MALLORY_IP, SERVER_IP];
    const to4 = (packet: Uint8Array): Buffer =>
      frames.ethernet(serverMac, MALLORY_MAC, frames.TYPE_IPV4, packet);
    const datagram = frames.udp(from, to, 9, TEXT);
    const segment = frames.tcp(from, to, 9, TEXT);
    const options = Buffer.concat([Buffer.from([frames.UDP, 0, 1, 4, 0, 0, 0, 0]), datagram]);
    const unfit = [
      frames.ethernet(serverMac, MALLORY_MAC, 0x0806, Buffer.alloc(46)),
      frames.ethernet(serverMac, MALLORY_MAC, 0x88b5, TEXT),
      to4(frames.ipv4(from, to, 1, TEXT)),
      to4(frames.ipv4(from, to, frames.UDP, datagram, { fragment: 0x2000 })),
      to4(frames.ipv4(from, to, frames.UDP, datagram, { fragment: 0x0001 })),
      to4(frames.ipv4(from, to, frames.UDP, datagram, { totalLength: 400 })),
      to4(frames.ipv4(from, to, frames.TCP, segment, { totalLength: 39 })),
      to4(frames.ipv4(from, to, frames.TCP, frames.tcp(from, to, 9, TEXT, { words: 15 }))),
      to4(frames.ipv4(from, to, frames.TCP, frames.tcp(from, to, 9, TEXT, { words: 4 }))),
      frames.ethernet(
        ...([serverMac, MALLORY_MAC, frames.TYPE_IPV6] as const),
        frames.ipv6('fe80::1', 'fe80::2', 0, options),
      ),
      to4(frames.ipv4(from, to, frames.UDP, datagram)).subarray(0, 15),
    ];
    const wrongField = [
      to4(frames.ipv4(from, to, frames.UDP, frames.udp(from, to, 9, TEXT, { checksum: 22 }))),
      to4(frames.ipv4(from, to, frames.TCP, frames.tcp(from, to, 9, TEXT, { checksum: 22 }))),
      to4(frames.ipv4(from, to, frames.UDP, frames.udp(from, to, 9, TEXT, { length: 9 }))),
    ];
    const before = await a.report();
    await member.sendFrames([...unfit, ...wrongField], FLAG_PARTIAL_CHECKSUM);
    await opened(before, unfit.length + wrongField.length);
    assert.deepEqual(await dropsSince(before), {
      partial_checksum_offsets: unfit.length,
      partial_checksum: wrongField.length,
    });
  });

  it('cannot get a frame to port 80 past a bridge filter and have it arrive at port 22', async () => {
    await scene.alice.nft(`table bridge guard {
      chain forward { type filter hook forward priority 0; tcp dport 22 counter drop; }
    }`);
    // The kernel of alice is to write the checksums, behind the filter: what an attack of this kind abuses.
    await scene.alice.setOffloads('veth0', false);
    const [from, to] = [MALLORY_IP, SERVER_IP];
    const frameTo = (port: number, over: Parameters<typeof frames.tcp>[4] = {}): Buffer =>
      frames.ethernet(
        ...([serverMac, MALLORY_MAC, frames.TYPE_IPV4] as const),
        frames.ipv4(from, to, frames.TCP, frames.tcp(from, to, port, TEXT, over)),
      );
    const capture = await server.capture('eth0');
    const before = await a.report();
    const isPlain = 0;
    const sealed = [
      // As it should be; then every lie about it that the wire has room for.
      [FLAG_PARTIAL_CHECKSUM, frameTo(80)],
      [isPlain, frameTo(80, { checksum: 22, sequence: 100 })],
      [FLAG_PARTIAL_CHECKSUM, frameTo(80, { checksum: 22, sequence: 200 })],
      [FLAG_PARTIAL_CHECKSUM, frameTo(22, { sequence: 300 })],
      // A train whose head is allowed: the second must not ride on its port.
      [FLAG_PARTIAL_CHECKSUM, frameTo(80, { sequence: 400 })],
      [FLAG_PARTIAL_CHECKSUM | FLAG_CONTINUES, frameTo(22, { sequence: 400 + TEXT.length })],
      [FLAG_PARTIAL_CHECKSUM | FLAG_CONTINUES, frameTo(22, { sequence: 500 })],
    ] as const;
    await member.sendSealed(sealed.map(([flags, frame]) => member.seal(flags, frame)));
    await opened(before, sealed.length);
    const isOurs = (frame: Buffer): boolean => frame[23] === frames.TCP && frame.length >= 54;
    // A marker behind them all: when it is there, so is everything that got through.
    await member.sendFrames([frameTo(81)], FLAG_PARTIAL_CHECKSUM);
    await waitFor('the marker', 3000, async () =>
      (await capture.sofar()).includes(frameTo(81).subarray(0, 48)),
    );
    const arrived = framesOf(await capture.stop()).filter(isOurs);
    const described = arrived.map((frame) => [frame.readUInt16BE(36), frame.readUInt32BE(38)]);
    assert.deepEqual(described, [
      [80, 1],
      [80, 100],
      [80, 400],
      [81, 1],
    ]);
    for (const frame of arrived) {
      const sequence = frame.readUInt32BE(38);
      const was = frameTo(frame.readUInt16BE(36), { sequence });
      for (const bytes of [frame, was]) bytes.writeUInt16BE(0, 50);
      assert.deepEqual(frame, was, 'nothing but the checksum was written');
    }
    const ruleset = await scene.alice.must(['nft', 'list', 'table', 'bridge', 'guard']);
    assert.match(ruleset, /counter packets 3 /);
    assert.deepEqual(await dropsSince(before), { partial_checksum: 1 });
    await scene.alice.nft('delete table bridge guard');
  });

  it('changes no route, address or bridge table of the other host', async () => {
    const picture = async (): Promise<unknown> => {
      const read = async (argv: readonly string[]): Promise<unknown[]> =>
        JSON.parse(await scene.alice.must(argv)) as unknown[];
      const fdb = (await read(['bridge', '-json', 'fdb', 'show', 'br', 'overlay0'])) as {
        mac: string;
      }[];
      return {
        routes4: await read(['ip', '-json', '-4', 'route', 'show', 'table', 'all']),
        routes6: await read(['ip', '-json', '-6', 'route', 'show', 'table', 'all']),
        addresses: await read(['ip', '-json', 'address', 'show']),
        // Mallory's own place in it is its right.
        fdb: fdb.filter((entry) => entry.mac !== MALLORY_MAC),
        ports: await scene.alice.must(['bridge', 'link', 'show']),
      };
    };
    // A link-local address that becomes valid meanwhile would look like a change.
    await waitFor('no tentative address', 10_000, async () => {
      const addresses = await scene.alice.must(['ip', '-6', 'address', 'show', 'tentative']);
      return addresses.trim() === '';
    });
    const own = await macOf(scene.alice, 'overlay0');
    const tap = await macOf(scene.alice, 'overlay0-t');
    const port = await macOf(scene.alice, 'veth0');
    const advertisement = frames.ethernet(
      ...(['33:33:00:00:00:01', MALLORY_MAC, frames.TYPE_IPV6] as const),
      frames.routerAdvertisement('fe80::bad', '2001:db8:bad::'),
    );
    const bpdu = Buffer.concat([
      ...[frames.mac('01:80:c2:00:00:00'), frames.mac(MALLORY_MAC), frames.u16(38)],
      // A topology change from a root bridge that nobody can beat.
      Buffer.from(
        '424203000000000100000000000000000000000000000000000080010000140002000f00',
        'hex',
      ),
      Buffer.alloc(10),
    ]);
    const pause = Buffer.concat([frames.u16(1), frames.u16(0xffff), Buffer.alloc(42)]);
    const reserved = [
      bpdu,
      frames.ethernet('01:80:c2:00:00:01', MALLORY_MAC, 0x8808, pause),
      frames.ethernet('01:80:c2:00:00:02', MALLORY_MAC, 0x8809, Buffer.alloc(46)),
      frames.ethernet('01:80:c2:00:00:03', MALLORY_MAC, 0x888e, Buffer.alloc(46)),
      frames.ethernet('01:80:c2:00:00:0e', MALLORY_MAC, 0x88cc, Buffer.alloc(46)),
    ];
    const pauses = [frames.ethernet(own, MALLORY_MAC, 0x8808, pause)];
    const posing = [own, tap].map((mac) => frames.ethernet(BROADCAST, mac, 0x88b5, TEXT));
    const invalid = [
      frames.ethernet(BROADCAST, '00:00:00:00:00:00', 0x88b5, TEXT),
      frames.ethernet(BROADCAST, '03:00:00:00:00:01', 0x88b5, TEXT),
    ];
    // They reach the kernel, which is to make nothing of them.
    const delivered = [advertisement, frames.ethernet(BROADCAST, port, 0x88b5, TEXT)];

    const seen = await picture();
    const capture = await scene.alice.capture('overlay0-t');
    const before = await a.report();
    const all = [...reserved, ...pauses, ...posing, ...invalid, ...delivered];
    await member.sendFrames(all);
    await opened(before, all.length);
    assert.deepEqual(await dropsSince(before), {
      reserved_multicast: reserved.length,
      mac_control: pauses.length,
      own_mac: posing.length,
      zero_source: 1,
      multicast_source: 1,
    });
    await waitFor('the router advertisement', 3000, async () =>
      (await capture.sofar()).includes(advertisement),
    );
    await capture.stop();
    assert.deepEqual(await picture(), seen);
    await pingAll(scene.alice, await b.address(4));
  });
});
