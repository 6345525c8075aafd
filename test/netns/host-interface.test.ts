import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Mac } from '../../src/model/mac.js';
import type { HostWarning } from '../../src/daemon/ports.js';
import type { HostCall, HostReply } from './host-call.js';

/*
 *   netns A                         netns B
 *   overlay0 (bridge)
 *     ├ overlay0-t (a TAP, persistent here: no data plane opens it)
 *     └ port ─────── veth ───────── peer 10.47.0.2/12        (only in the probe's test)
 */
const NETNS = `ovl-host-${process.pid}`;
const OTHER_NETNS = `${NETNS}-b`;
const AGENT = fileURLToPath(new URL('./host-agent.js', import.meta.url));
const MESH = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
const PEER = '00112233445566778899aabbccddeeff';
const MAC = '02:11:22:33:44:55' as Mac;

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
const ipIn = (...args: string[]): string => ip('-n', NETNS, ...args);
const inside = (...command: string[]): string => ip('netns', 'exec', NETNS, ...command).trim();

interface ShownLink {
  readonly address: string;
  readonly mtu: number;
  readonly txqlen: number;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly ifalias?: string;
  readonly gso_max_size: number;
  readonly linkinfo: { readonly info_data: Readonly<Record<string, number>> };
}
function shown(name: string): ShownLink {
  const links = JSON.parse(ipIn('-json', '-details', 'link', 'show', 'dev', name)) as ShownLink[];
  return links[0]!;
}
function links(): string[] {
  const all = JSON.parse(ipIn('-json', 'link', 'show')) as { ifname: string }[];
  return all
    .map((link) => link.ifname)
    .filter((name) => name.startsWith('overlay0'))
    .sort();
}
function addresses(scope = 'global'): string[] {
  const all = JSON.parse(ipIn('-json', 'address', 'show', 'dev', 'overlay0')) as {
    addr_info: { local: string; prefixlen: number; scope: string; tentative?: boolean }[];
  }[];
  return all
    .flatMap((link) => link.addr_info)
    .filter((info) => info.scope === scope && info.tentative !== true)
    .map((info) => `${info.local}/${info.prefixlen}`)
    .sort();
}

function addDevice(name: string): void {
  ipIn('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-end`);
  for (const end of [name, `${name}-end`]) ipIn('link', 'set', end, 'up');
}

class Agent {
  readonly #child: ChildProcess;
  constructor(mesh: string) {
    const command = ['netns', 'exec', NETNS, process.execPath, AGENT, 'overlay0', mesh, PEER];
    this.#child = spawn('ip', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }
  async call(call: HostCall): Promise<HostReply> {
    this.#child.send(call);
    const [reply] = (await once(this.#child, 'message')) as [HostReply];
    return reply;
  }
  async must(call: HostCall): Promise<unknown> {
    const reply = await this.call(call);
    assert.equal(reply.error, undefined);
    return reply.value;
  }
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }
}

describe('host interface in a network namespace', function () {
  this.timeout(120_000);
  const agents: Agent[] = [];

  function startAgent(mesh = MESH): Agent {
    const agent = new Agent(mesh);
    agents.push(agent);
    return agent;
  }
  const openTap = (): string => ipIn('tuntap', 'add', 'dev', 'overlay0-t', 'mode', 'tap');
  async function startedHost(): Promise<Agent> {
    const agent = startAgent();
    await agent.must({ method: 'preflight' });
    openTap();
    await agent.must({ method: 'up', mac: MAC });
    return agent;
  }

  beforeEach(() => {
    assert.equal(process.getuid?.(), 0, 'this test needs root for network namespaces');
    ip('netns', 'add', NETNS);
    ipIn('link', 'set', 'lo', 'up');
  });
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.stop()));
    for (const name of [NETNS, OTHER_NETNS]) {
      if (ip('netns', 'list').split(/\s+/).includes(name)) ip('netns', 'delete', name);
    }
  });

  it('up makes a marked bridge with the TAP as port, both up, with MAC, MTU and GSO size', async () => {
    await startedHost();
    const bridge = shown('overlay0');
    const tap = shown('overlay0-t');
    assert.equal(bridge.ifalias, 'overlayd:a1b2c3d4:00112233');
    assert.equal(bridge.address, MAC);
    assert.equal(bridge.mtu, 1388);
    assert.equal(bridge.gso_max_size, 58_000);
    assert.ok(bridge.flags.includes('UP'));
    const { stp_state, forward_delay, mcast_snooping } = bridge.linkinfo.info_data;
    assert.deepEqual([stp_state, forward_delay, mcast_snooping], [0, 0, 0]);
    assert.equal(tap.master, 'overlay0');
    assert.equal(tap.address, '02:11:22:33:44:54');
    assert.equal(tap.mtu, 1388);
    assert.equal(tap.txqlen, 1000);
    assert.ok(tap.flags.includes('UP'));
    assert.notEqual(tap.gso_max_size, 58_000);
  });

  it('up keeps router advertisements, redirects and autoconfiguration out of the host', async () => {
    await startedHost();
    for (const [name, value] of [
      ['ipv6/conf/overlay0/accept_ra', '0'],
      ['ipv6/conf/overlay0/autoconf', '0'],
      ['ipv6/conf/overlay0/accept_redirects', '0'],
      ['ipv6/conf/overlay0/accept_dad', '0'],
      ['ipv6/conf/overlay0-t/disable_ipv6', '1'],
      ['ipv4/conf/overlay0/promote_secondaries', '1'],
    ] as const) {
      assert.equal(inside('cat', `/proc/sys/net/${name}`), value, name);
    }
    assert.equal(ipIn('-6', 'address', 'show', 'dev', 'overlay0-t'), '');
  });

  it('an attachment with a smaller MTU does not change the MTU of the bridge', async () => {
    await startedHost();
    ipIn('link', 'add', 'small', 'mtu', '1300', 'type', 'veth', 'peer', 'name', 'small-peer');
    ipIn('link', 'set', 'small', 'master', 'overlay0');
    assert.equal(shown('overlay0').mtu, 1388);
  });

  it('setAddresses sets exactly the own addresses and leaves others alone', async () => {
    const host = await startedHost();
    ipIn('address', 'add', '192.168.0.1/24', 'dev', 'overlay0');
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12', 'fd00:1::9/64'] });
    assert.deepEqual(addresses(), ['10.47.0.9/12', '192.168.0.1/24', 'fd00:1::9/64']);
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12', 'fd00:1::9/64'] });
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.10/12', 'fd00:1::9/64'] });
    assert.deepEqual(addresses(), ['10.47.0.10/12', '192.168.0.1/24', 'fd00:1::9/64']);
    await host.must({ method: 'setAddresses', cidrs: [] });
    assert.deepEqual(addresses(), ['192.168.0.1/24']);
  });

  it('an address of the same subnet survives the removal of the own one', async () => {
    const host = await startedHost();
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12'] });
    ipIn('address', 'add', '10.32.0.1/12', 'dev', 'overlay0');
    await host.must({ method: 'setAddresses', cidrs: [] });
    assert.deepEqual(addresses(), ['10.32.0.1/12']);
  });

  it('an address that was there before is used but not taken away', async () => {
    const host = await startedHost();
    ipIn('address', 'add', '10.47.0.9/12', 'dev', 'overlay0');
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12'] });
    await host.must({ method: 'setAddresses', cidrs: [] });
    assert.deepEqual(addresses(), ['10.47.0.9/12']);
  });

  it('setAddresses refuses what is no address', async () => {
    const host = await startedHost();
    const reply = await host.call({ method: 'setAddresses', cidrs: ['10.47.0.9/12 dev lo'] });
    assert.equal(reply.error?.code, 'OVL_ADDRESS_INVALID');
  });

  it('where IPv6 is switched off the IPv4 address is set all the same, with a warning', async () => {
    inside('sysctl', '-q', '-w', 'net.ipv6.conf.default.disable_ipv6=1');
    const host = await startedHost();
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12', 'fd00:1::9/64'] });
    assert.deepEqual(addresses(), ['10.47.0.9/12']);
    const found = (await host.must({ method: 'warnings' })) as HostWarning[];
    assert.deepEqual(
      found.map((warning) => warning.code),
      ['ipv6-off'],
    );
  });

  it('leftovers of a crash are adopted and their own addresses replaced', async () => {
    const before = await startedHost();
    await before.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12', 'fd00:1::9/64'] });
    await before.stop();
    ipIn('link', 'delete', 'overlay0-t');
    ipIn('address', 'add', '192.168.0.1/24', 'dev', 'overlay0');
    const after = await startedHost();
    await after.must({ method: 'setAddresses', cidrs: ['10.47.0.12/12'] });
    assert.deepEqual(addresses(), ['10.47.0.12/12', '192.168.0.1/24']);
  });

  it('preflight refuses a foreign interface and does not touch it', async () => {
    ipIn('link', 'add', 'overlay0', 'type', 'veth', 'peer', 'name', 'end');
    const reply = await startAgent().call({ method: 'preflight' });
    assert.equal(reply.error?.code, 'OVL_IFACE_FOREIGN');
    assert.match(reply.error.message, /overlay0 .*veth/);
    assert.match(reply.error.cure, /ip link delete overlay0.*--ifname/);
    assert.deepEqual(links(), ['overlay0']);
  });

  it("preflight refuses another mesh's bridge only while something is attached to it", async () => {
    const other = await startedHost();
    await other.stop();
    ipIn('link', 'delete', 'overlay0-t');
    ipIn('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'end');
    ipIn('link', 'set', 'port0', 'master', 'overlay0');
    const agent = startAgent('ffffffff'.repeat(4));
    const reply = await agent.call({ method: 'preflight' });
    assert.equal(reply.error?.code, 'OVL_IFACE_FOREIGN');
    assert.match(reply.error.message, /another mesh.*port0/);
    ipIn('link', 'delete', 'port0');
    await agent.must({ method: 'preflight' });
  });

  it('down removes the bridge when nothing else is attached, and may be repeated', async () => {
    const host = await startedHost();
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12'] });
    ipIn('link', 'delete', 'overlay0-t');
    await host.must({ method: 'down' });
    await host.must({ method: 'down' });
    assert.deepEqual(links(), []);
  });

  it('downNow removes what up took at once, and leaves a bridge with attachments and what is not ours', async () => {
    const idle = startAgent();
    const host = await startedHost();
    await idle.must({ method: 'downNow' });
    assert.deepEqual(links(), ['overlay0', 'overlay0-t'], 'another one has it');
    ipIn('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'end');
    ipIn('link', 'set', 'port0', 'master', 'overlay0');
    await host.must({ method: 'downNow' });
    assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
    ipIn('link', 'delete', 'port0');
    ipIn('link', 'set', 'overlay0', 'alias', 'somebody');
    await host.must({ method: 'downNow' });
    assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
    ipIn('link', 'set', 'overlay0', 'alias', `overlayd:a1b2c3d4:00112233`);
    ipIn('link', 'delete', 'overlay0-t');
    await host.must({ method: 'downNow' });
    assert.deepEqual(links(), []);
    await host.must({ method: 'downNow' });
  });

  it('down keeps a bridge with attachments, without the own address; reset removes it', async () => {
    const host = await startedHost();
    await host.must({ method: 'setAddresses', cidrs: ['10.47.0.9/12'] });
    ipIn('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'end');
    ipIn('link', 'set', 'port0', 'master', 'overlay0');
    await host.must({ method: 'down' });
    assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
    assert.deepEqual(addresses(), []);
    await host.must({ method: 'removeEverything' });
    assert.deepEqual(links(), []);
  });

  it('down of a daemon that was refused leaves the running one alone', async () => {
    await startedHost();
    await startAgent().must({ method: 'down' });
    assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
  });

  it('reset without a daemon removes what a crash left behind', async () => {
    await startedHost();
    await startAgent().must({ method: 'removeEverything' });
    assert.deepEqual(links(), []);
  });

  it('down and reset leave a foreign interface alone', async () => {
    ipIn('link', 'add', 'overlay0', 'type', 'bridge');
    const agent = startAgent();
    await agent.must({ method: 'down' });
    await agent.must({ method: 'removeEverything' });
    assert.deepEqual(links(), ['overlay0']);
  });

  it('probeAddress finds who defends an address and is silent about a free one', async () => {
    const host = await startedHost();
    ip('netns', 'add', OTHER_NETNS);
    ipIn('link', 'add', 'port', 'type', 'veth', 'peer', 'name', 'peer', 'netns', OTHER_NETNS);
    ip('-n', OTHER_NETNS, 'link', 'set', 'peer', 'address', '02:aa:bb:cc:dd:ee', 'up');
    ip('-n', OTHER_NETNS, 'address', 'add', '10.47.0.2/12', 'dev', 'peer');
    ipIn('link', 'set', 'port', 'master', 'overlay0', 'up');
    const taken = await host.must({ method: 'probeAddress', address: '10.47.0.2' });
    assert.equal(taken, '02:aa:bb:cc:dd:ee');
    assert.equal(await host.must({ method: 'probeAddress', address: '10.47.0.3' }), undefined);
  });

  it('warnings name a pool that overlaps a route of the host, and nothing without cause', async () => {
    const host = await startedHost();
    assert.deepEqual(await host.must({ method: 'warnings' }), []);
    addDevice('lan');
    ipIn('address', 'add', '10.40.1.1/24', 'dev', 'lan');
    const found = (await host.must({ method: 'warnings' })) as HostWarning[];
    assert.deepEqual(
      found.map((warning) => warning.code),
      ['pool-overlap'],
    );
  });

  it('preflight refuses a pool that overlaps a route of the host, names the route and offers a free pool', async () => {
    addDevice('lan');
    ipIn('address', 'add', '10.40.1.1/24', 'dev', 'lan');
    ipIn('route', 'add', '10.50.0.0/16', 'dev', 'lan');
    const { error } = await startAgent().call({ method: 'preflight' });
    assert.equal(error?.code, 'OVL_POOL_OVERLAP');
    assert.match(error.message, /10\.32\.0\.0\/12 overlaps the route 10\.40\.1\.0\/24 .* lan/);
    assert.match(error.cure, /--ipalloc-range 10\.64\.0\.0\/12$/);
  });

  it('preflight takes the pool of another mesh on this machine for no route in the way', async () => {
    ipIn('link', 'add', 'blue0', 'type', 'bridge');
    ipIn('link', 'set', 'blue0', 'alias', 'overlayd:00112233:44556677', 'up');
    ipIn('address', 'add', '10.47.1.1/12', 'dev', 'blue0');
    addDevice('vpn');
    ipIn('route', 'add', '0.0.0.0/1', 'dev', 'vpn');
    await startAgent().must({ method: 'preflight' });
  });

  it('warnings name a dropping FORWARD policy that bridged packets meet, until it is cured', async function () {
    const host = await startedHost();
    try {
      inside('sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=1');
    } catch {
      assert.fail('this test needs the kernel module br_netfilter (modprobe br_netfilter)');
    }
    assert.deepEqual(await host.must({ method: 'warnings' }), []);
    inside('nft', 'add table ip filter');
    inside(
      'nft',
      'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
    );
    const found = (await host.must({ method: 'warnings' })) as HostWarning[];
    assert.deepEqual(
      found.map((warning) => warning.code),
      ['bridge-filter'],
    );
    inside('nft', 'add rule ip filter FORWARD iifname overlay0 oifname overlay0 accept');
    assert.deepEqual(await host.must({ method: 'warnings' }), []);
    inside('nft', 'flush chain ip filter FORWARD');
    inside('sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=0');
    assert.deepEqual(await host.must({ method: 'warnings' }), []);
  });
});
