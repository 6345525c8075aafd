import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { type Outcome, type RunOptions, must, run } from './exec.js';
import { type DaemonArguments, TestDaemon } from './daemon.js';
import { Capture } from './capture.js';
import { Switch } from './switch.js';
import { Wire, type WireRules } from './wire.js';

/*
 * Hosts as network namespaces, joined by veth pairs. Names carry our pid, so that runs side by side do not meet and
 * what a killed run left behind can be told apart:
 *
 *     overlayd-t4711-0-alice            overlayd-t4711-0-bob
 *     +--------------------+            +--------------------+
 *     | overlay0  overlay0-t            | overlay0  overlay0-t
 *     |   eth0 10.1.0.1/24 +----veth----+ eth0 10.1.0.2/24   |
 *     |   fd00:1::1/64     |            |   fd00:1::2/64     |
 *     +--------------------+            +--------------------+
 *
 * More than two hosts hang on a switch (`lan`), some of them behind a NAT (`nat`). Where the underlay is to be bad, a
 * Wire stands in for the veth pair. Every test file disposes of its topology,
 * which fails when anything was left: a process, an interface of ours, a socket file.
 */

export type Underlay = 'ipv4' | 'ipv6' | 'both';

export interface LinkOptions {
  readonly underlay?: Underlay;
  readonly mtuBytes?: number;
  /** False: everything the kernel lets us turn off on the veth is off, at both ends. */
  readonly offloads?: boolean;
}

export interface WireOptions extends LinkOptions {
  /** Of the random choices; default 1. */
  readonly seed?: number;
  readonly rules?: WireRules;
}

const OFFLOADS = ['tx', 'rx', 'gso', 'gro', 'tso', 'tx-udp-segmentation'] as const;

let topologies = 0;

export class Topology {
  readonly #prefix = `overlayd-t${String(process.pid)}-${String(topologies++)}-`;
  readonly #hosts: Host[] = [];
  readonly #wires: Wire[] = [];
  #subnets = 0;
  #nats = 0;
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws when not root: these tests are never skipped. */
  static async create(): Promise<Topology> {
    assert.equal(
      process.getuid?.(),
      0,
      'The netns tests make network namespaces: run them as root',
    );
    await removeOrphans();
    return new Topology(await mkdtemp(join(tmpdir(), 'overlayd-netns-')));
  }

  async host(name: string): Promise<Host> {
    const host = new Host(this.#prefix + name, name, this.directory);
    await must(['ip', 'netns', 'add', host.namespace]);
    this.#hosts.push(host);
    await host.ip(['link', 'set', 'lo', 'up']);
    return host;
  }

  /** `count` hosts, named by the prefix and a number from 0. */
  async hosts(count: number, prefix = 'n'): Promise<Host[]> {
    const hosts: Host[] = [];
    for (let i = 0; i < count; i++) hosts.push(await this.host(`${prefix}${String(i)}`));
    return hosts;
  }

  /** A cable between two hosts: eth0 (eth1, ...) on each, with addresses of a subnet of its own. */
  async link(a: Host, b: Host, options: LinkOptions = {}): Promise<void> {
    const subnet = ++this.#subnets;
    const ends = [a.nextInterface(), b.nextInterface()] as const;
    await must(
      ['ip', 'link', 'add', ends[0], 'netns', a.namespace, 'type', 'veth'].concat([
        ...['peer', 'name', ends[1], 'netns', b.namespace],
      ]),
    );
    await a.configure(ends[0], subnet, 1, options);
    await b.configure(ends[1], subnet, 2, options);
  }

  /** A switch without hosts yet. */
  async switch(): Promise<Switch> {
    const subnet = ++this.#subnets;
    return Switch.create(await this.host(`lan${String(subnet)}`), subnet);
  }

  /** Hosts on one switch. */
  async lan(hosts: readonly Host[], options: LinkOptions = {}): Promise<Switch> {
    const lan = await this.switch();
    for (const host of hosts) await lan.plug(host, options);
    return lan;
  }

  /** A cable as `link`, but one whose delay, loss, size and more can be set; see Wire. */
  async wire(a: Host, b: Host, options: WireOptions = {}): Promise<Wire> {
    const subnet = ++this.#subnets;
    const ends = [a.nextInterface(), b.nextInterface()] as const;
    const { offloads = true, seed = 1 } = options;
    const wire = await Wire.start([a, b], ends, { seed, offloads });
    this.#wires.push(wire);
    // What a TAP offers is the wire's choice already; ethtool has nothing to change.
    const link = { underlay: options.underlay ?? 'both', mtuBytes: options.mtuBytes ?? 1500 };
    await a.configure(ends[0], subnet, 1, link);
    await b.configure(ends[1], subnet, 2, link);
    if (options.rules) await wire.set('both', options.rules);
    return wire;
  }

  /**
   * A router with hosts behind it that can reach the switch, IPv4 only. It masquerades: with `port-restricted` the
   * source port stays where it can, with `symmetric` each destination sees another one. Nothing comes in unasked.
   */
  async nat(
    outside: Switch,
    insiders: readonly Host[],
    kind: 'port-restricted' | 'symmetric',
  ): Promise<Host> {
    const router = await this.host(`nat${String(++this.#nats)}`);
    const outer = await outside.plug(router, { underlay: 'ipv4' });
    await this.lan([router, ...insiders], { underlay: 'ipv4' });
    const [, inner] = router.addresses;
    assert.ok(inner);
    for (const host of insiders) await host.ip(['route', 'add', 'default', 'via', inner]);
    const masquerade = kind === 'symmetric' ? 'masquerade random,fully-random' : 'masquerade';
    // What is dropped here leaves no entry in the connection table that could take a port away.
    const guard = `iifname "${outer}" ct state != { established, related } drop`;
    await router.nft(`
      add table ip nat
      add chain ip nat out { type nat hook postrouting priority 100; }
      add rule ip nat out oifname "${outer}" ${masquerade}
      add table ip guard
      add chain ip guard in { type filter hook input priority 0; }
      add rule ip guard in ${guard}
      add chain ip guard through { type filter hook forward priority 0; }
      add rule ip guard through ${guard}
    `);
    await router.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    return router;
  }

  /** What every daemon said, for the output of a failed test. */
  async logs(): Promise<string> {
    const parts = await Promise.all(
      this.#hosts.flatMap((host) => host.daemons.map((d) => d.log())),
    );
    return parts.join('\n');
  }

  /** Ends everything and fails when something was left that should have gone by itself. */
  async dispose(): Promise<void> {
    const left: string[] = [];
    const ended = this.#hosts.map(async (host) => {
      for (const capture of host.captures) await capture.stop();
      for (const daemon of host.daemons) {
        const complaint = await daemon.end();
        if (complaint !== undefined) left.push(complaint);
      }
    });
    await Promise.all(ended);
    for (const wire of this.#wires) await wire.end();
    for (const host of this.#hosts) {
      const pids = (await must(['ip', 'netns', 'pids', host.namespace]))
        .split('\n')
        .filter(Boolean);
      for (const pid of pids) {
        left.push(`process ${pid} in ${host.name}`);
        process.kill(Number(pid), 'SIGKILL');
      }
      const overlay = (await host.interfaces()).filter((name) => name.startsWith('overlay'));
      left.push(...overlay.map((name) => `interface ${name} in ${host.name}`));
      await must(['ip', 'netns', 'delete', host.namespace]);
    }
    this.#hosts.length = 0;
    await rm(this.directory, { recursive: true });
    const names = (await must(['ip', 'netns', 'list'])).split('\n');
    left.push(...names.filter((name) => name.startsWith(this.#prefix)));
    assert.deepEqual(left, [], 'left behind');
  }
}

/** Namespaces of test runs that were killed. Their processes are gone or nobody's. */
async function removeOrphans(): Promise<void> {
  for (const line of (await must(['ip', 'netns', 'list'])).split('\n')) {
    const found = /^(overlayd-t(\d+)-\S+)/.exec(line);
    if (found?.[1] === undefined || existsSync(`/proc/${found[2] ?? ''}`)) continue;
    await run(['ip', 'netns', 'delete', found[1]]); // Another run may have been faster.
  }
  // Their resolv.conf, if an attachment was never detached.
  for (const name of await readdir('/etc/netns').catch(() => [])) {
    const pid = /^overlayd-t(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(`/etc/netns/${name}`, { recursive: true, force: true });
  }
}

export class Host {
  readonly namespace: string;
  readonly name: string;
  readonly directory: string;
  readonly daemons: TestDaemon[] = [];
  readonly captures: Capture[] = [];
  /** Underlay addresses, in the order of the links; of one link, IPv6 first. */
  readonly addresses: string[] = [];
  #interfaces = 0;

  constructor(namespace: string, name: string, directory: string) {
    this.namespace = namespace;
    this.name = name;
    this.directory = directory;
  }

  /** Underlay address of the given family on the first link that has one. */
  address(family: 4 | 6 = 4): string {
    const found = this.addresses.find((address) => address.includes(':') === (family === 6));
    assert.ok(found, `${this.name} has no IPv${String(family)} underlay address`);
    return found;
  }

  nextInterface(): string {
    return `eth${String(this.#interfaces++)}`;
  }

  /** argv that runs inside this host. */
  inside(argv: readonly string[]): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace, ...argv];
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run(this.inside(argv), options);
  }

  must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return must(this.inside(argv), options);
  }

  ip(argv: readonly string[]): Promise<string> {
    return must(['ip', '-n', this.namespace, ...argv]);
  }

  /** Rules in the syntax of nft(8). */
  async nft(rules: string): Promise<void> {
    await must(this.inside(['nft', '-f', '-']), { input: rules });
  }

  async interfaces(): Promise<string[]> {
    const links: unknown = JSON.parse(await this.ip(['-json', 'link', 'show']));
    return (links as { ifname: string }[]).map((link) => link.ifname);
  }

  async tune(ifName: string, options: LinkOptions): Promise<void> {
    if (options.mtuBytes !== undefined) {
      await this.ip(['link', 'set', ifName, 'mtu', String(options.mtuBytes)]);
    }
    if (options.offloads === false) await this.setOffloads(ifName, false);
    await this.ip(['link', 'set', ifName, 'up']);
  }

  async setOffloads(ifName: string, isOn: boolean): Promise<void> {
    const words = OFFLOADS.flatMap((name) => [name, isOn ? 'on' : 'off']);
    // ethtool says 1 when one of them could not be changed; what matters is what is in force afterwards.
    await this.run(['ethtool', '-K', ifName, ...words]);
    if (isOn) return;
    const features = await this.must(['ethtool', '-k', ifName]);
    for (const name of ['tx-checksumming', 'generic-segmentation-offload', 'tx-udp-segmentation']) {
      assert.match(features, new RegExp(`^\\s*${name}: off`, 'm'), `offload of ${ifName}`);
    }
  }

  /** Sets up one end of an underlay link: 10.<subnet>.0.<number>/24 and fd00:<subnet>::<number>/64. */
  async configure(
    ifName: string,
    subnet: number,
    number: number,
    options: LinkOptions,
  ): Promise<void> {
    const underlay = options.underlay ?? 'both';
    if (underlay === 'ipv4') {
      await this.must(['sysctl', '-qw', `net.ipv6.conf.${ifName}.disable_ipv6=1`]);
    } else {
      const address = `fd00:${String(subnet)}::${String(number)}`;
      await this.ip(['address', 'add', `${address}/64`, 'dev', ifName, 'nodad']);
      this.addresses.push(address);
    }
    if (underlay !== 'ipv6') {
      const address = `10.${String(subnet)}.0.${String(number)}`;
      await this.ip(['address', 'add', `${address}/24`, 'dev', ifName]);
      this.addresses.push(address);
    }
    await this.tune(ifName, options);
  }

  /** Starts a daemon; its state directory outlives it, so that a second one started here is the same node. */
  async startDaemon(args: DaemonArguments = {}): Promise<TestDaemon> {
    const daemon = await TestDaemon.start(this, args);
    this.daemons.push(daemon);
    return daemon;
  }

  async capture(ifName: string): Promise<Capture> {
    const capture = await Capture.start(this, ifName);
    this.captures.push(capture);
    return capture;
  }
}
