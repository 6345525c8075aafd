import assert from 'node:assert/strict';

import type { StatusDocument } from '../../src/api/control.js';
import type { TestDaemon } from './lib/daemon.js';
import { must } from './lib/exec.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a                b         c             namespaces, attached as a reader of the tutorials would
 *     |                |         |
 *     n0 ------------ n1 ------ n2             on one switch
 *
 * Whole stories in the order in which they are told; docs/testing.md says which test holds which step.
 */

describe('walk-throughs of workloads', function () {
  this.timeout(120_000);
  let topology: Topology;
  let hosts: Host[];
  let a: Host;
  let b: Host;
  let c: Host;
  let daemons: TestDaemon[];

  before(async () => {
    topology = await Topology.create();
    hosts = await topology.hosts(3);
    [a, b, c] = [await topology.host('a'), await topology.host('b'), await topology.host('c')];
    await topology.lan(hosts);
    daemons = [await hosts[0]!.startDaemon()];
    await daemons[0]!.wait('ready', 30_000);
    const peers = [hosts[0]!.address(4)];
    for (const host of hosts.slice(1)) daemons.push(await host.startDaemon({ peers }));
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 30_000)));
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    for (const daemon of daemons) {
      for (const target of [a, b, c]) await daemon.must('detach', target.namespace);
    }
    await topology.dispose();
  });

  const bare = (cidr: string): string => cidr.split('/')[0]!;
  const macOf = async (target: Host): Promise<string> => {
    const [link] = JSON.parse(await target.ip(['-json', 'link', 'show', 'eth-ovl'])) as {
      address: string;
    }[];
    return link!.address;
  };

  it('containers on two hosts: an address of its own each, reached by address and by name', async () => {
    const [on0, on1] = daemons as [TestDaemon, TestDaemon];
    const first = await on0.must('attach', a.namespace);
    const second = await on1.must('attach', b.namespace);
    assert.match(first, /^10\.(3[2-9]|4[0-7])\.\d+\.\d+\/12$/);
    assert.notEqual(first, second);
    assert.deepEqual((await a.interfaces()).sort(), ['eth-ovl', 'lo']);
    await pingAll(a, bare(second));
    await waitFor('the name of b', 10_000, async () => {
      return (await on0.must('dns', 'list')).includes(`${b.namespace}.overlay.internal`);
    });
    await a.must(['ping', '-c', '1', '-W', '2', b.namespace]);
    await b.must(['ping', '-c', '1', '-W', '2', a.namespace]);
    assert.match(await on0.must('ps'), new RegExp(`${a.namespace} .*${bare(first)}.* attached`));
    assert.equal(await on0.must('detach', a.namespace), first);
    assert.deepEqual(await a.interfaces(), ['lo']);
    await waitFor('no answer', 5000, async () => !(await isAnswered(b, bare(first))));
    assert.equal(await on0.must('attach', a.namespace, '--ifname', 'net7'), first);
    assert.ok((await a.interfaces()).includes('net7'));
    await pingAll(b, bare(first));
    await on0.must('detach', a.namespace);
    await on1.must('detach', b.namespace);
  });

  it('a move between subnets while it runs, and several addresses at once', async () => {
    const [on0, on1, on2] = daemons as [TestDaemon, TestDaemon, TestDaemon];
    await on0.must('attach', '192.168.1.1/24', a.namespace);
    await on1.must('attach', '192.168.1.2/24', b.namespace);
    await on2.must('attach', '192.168.2.3/24', c.namespace);
    await pingAll(a, '192.168.1.2');
    assert.equal(await isAnswered(a, '192.168.2.3'), false);
    const mac = await macOf(a);
    assert.equal(await on0.must('attach', '192.168.2.1/24', a.namespace), '192.168.2.1/24');
    await pingAll(a, '192.168.1.2');
    await pingAll(a, '192.168.2.3');
    assert.equal(await on0.must('detach', '192.168.1.1/24', a.namespace), '192.168.1.1/24');
    assert.equal(await isAnswered(a, '192.168.1.2'), false);
    await pingAll(a, '192.168.2.3');
    assert.equal(await macOf(a), mac);
    const both = ['192.168.1.7/24', '192.168.3.7/24'];
    assert.equal(await on0.must('attach', ...both, a.namespace), both.join('\n'));
    await pingAll(b, '192.168.1.7');
    await on0.must('detach', a.namespace);
    await on1.must('detach', b.namespace);
    await on2.must('detach', c.namespace);
  });

  it('a reboot: all that was attached and exposed is back, with address, MAC and name', async () => {
    const [on0, on1] = daemons as [TestDaemon, TestDaemon];
    const [n0] = hosts as [Host];
    const pooled = await on0.must('attach', a.namespace, '--name', 'web');
    await on0.must('attach', '192.168.5.1/24', a.namespace);
    const other = await on1.must('attach', '192.168.5.2/24', 'net:default', b.namespace);
    const lines = other.split('\n');
    await on0.must('expose', '192.168.5.9/24', '--name', 'gw');
    const own = (await on0.status()).self.addresses;
    const mac = await macOf(a);
    // What a reboot takes: process, bridge, interfaces and the namespaces themselves.
    await on0.crash();
    for (const name of await n0.interfaces()) {
      if (/^ovl\d|^overlay0$/.test(name)) await n0.ip(['link', 'delete', name]);
    }
    await must(['ip', 'netns', 'delete', a.namespace]);
    await must(['ip', 'netns', 'add', a.namespace]);
    await a.ip(['link', 'set', 'lo', 'up']);
    const back = await n0.startDaemon({ peers: [hosts[1]!.address(4)] });
    daemons[0] = back;
    await back.wait('ready', 30_000);
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 30_000)));
    assert.deepEqual((await back.status()).self.addresses, own);
    assert.equal(await macOf(a), mac);
    const shown = await a.ip(['address', 'show', 'dev', 'eth-ovl']);
    assert.ok(shown.includes(pooled) && shown.includes('192.168.5.1/24'), shown);
    for (const address of [bare(pooled), '192.168.5.1', '192.168.5.9']) await pingAll(b, address);
    await pingAll(n0, '192.168.5.2');
    for (const name of ['web', 'gw']) {
      await waitFor(`${name} again`, 10_000, async () => {
        return (await b.run(['ping', '-c', '1', '-W', '2', name])).code === 0;
      });
    }
    assert.equal(await back.must('attach', a.namespace), pooled);
    assert.ok(!lines.includes(pooled));
  });

  it('status and report tell of all of it', async () => {
    const [on0] = daemons as [TestDaemon];
    const text = await on0.must('status');
    assert.match(text, /\n {2}targets +1 attached\n/);
    assert.match(text, /\n {2}exposed +192\.168\.5\.9\/24 \(masqueraded, as gw\)\n/);
    assert.match(text, /\n {2}pool +10\.32\.0\.0\/12; 1 address in use here\n/);
    assert.match(
      text,
      /\n {2}names +\d+ in overlay\.internal, answered on 169\.254\.\d+\.\d+,\s+fe80/,
    );
    const report = (await on0.json('report')) as {
      readonly ipam: { readonly pools: readonly unknown[] };
      readonly dns: { readonly names: readonly { readonly name: string }[] };
      readonly exposures: object;
      readonly attachments: readonly unknown[];
    };
    assert.deepEqual(report.exposures, {
      ...{ addresses: ['192.168.5.9/24'], masquerade: true, name: 'gw' },
    });
    assert.deepEqual([report.attachments.length, report.ipam.pools.length], [1, 1]);
    assert.ok(report.dns.names.some(({ name }) => name === 'web.overlay.internal'));
    await on0.must('hide');
  });

  it('one more pool, but none that a route of the host leads into', async () => {
    const [on0] = daemons as [TestDaemon];
    await hosts[0]!.ip(['route', 'add', '10.99.1.0/24', 'dev', 'eth0']);
    const { code, stderr } = await on0.ctl(['ipam', 'pool', 'add', '10.99.0.0/16']);
    assert.equal(code, 1);
    assert.match(stderr, /10\.99\.0\.0\/16 overlaps the route 10\.99\.1\.0\/24 .*OVL_POOL_OVERLAP/);
    const free = /here (\S+) is free/.exec(stderr)?.[1];
    assert.equal(free, '10.100.0.0/16');
    await on0.must('ipam', 'pool', 'add', free);
    assert.match(await on0.must('attach', `net:${free}`, a.namespace), /^10\.100\.\d+\.\d+\/16$/);
    // Where a route leads into it, that is said, and nothing else changes.
    await hosts[1]!.ip(['route', 'add', '10.100.5.0/24', 'dev', 'eth0']);
    const overlaps = async (): Promise<string[]> => {
      const { warnings } = (await daemons[1]!.json('status')) as StatusDocument;
      return warnings.flatMap(({ code, message }) => (code === 'pool-overlap' ? [message] : []));
    };
    await waitFor('the warning', 10_000, async () => (await overlaps()).length > 0);
    const text = /10\.100\.0\.0\/16 of the mesh overlaps the route 10\.100\.5\.0\/24 .*on eth0/;
    assert.match((await overlaps()).join(), text);
    assert.match(await daemons[1]!.must('events'), text);
    // It asks n0, which may be late on a busy machine: then it is to be tried again, as the error says.
    const given = await waitFor('an address', 20_000, () =>
      daemons[1]!.must('attach', `net:${free}`, b.namespace),
    );
    assert.match(given, /^10\.100\./);
    await hosts[1]!.ip(['route', 'delete', '10.100.5.0/24']);
    await waitFor('it to go', 10_000, async () => (await overlaps()).length === 0);
  });
});
