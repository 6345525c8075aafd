import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { mustCall } from './lib/api.js';
import type { DaemonArguments, TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { waitFor } from './lib/wait.js';

/*
 *     a                         b            namespaces, attached: web and db
 *     |                         |
 *     alice eth0 -------- eth0 bob           bob's wall clock is an hour ahead, later an hour behind
 *
 * Only CLOCK_REALTIME is moved: that is the one that differs between hosts. A moved monotonic clock would be a machine
 * that cannot be.
 */

const HOUR_MS = 3_600_000;
const DOMAIN = 'overlay.internal';
/** Of dnsperf; 2 000 queries a second by hand. */
const QUERIES_PER_SECOND = process.env['OVERLAYD_TEST_LONG'] === '1' ? 2000 : 400;
const SECONDS = process.env['OVERLAYD_TEST_LONG'] === '1' ? 10 : 2;

describe('names between hosts whose clocks are hours apart', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let a: Host;
  let b: Host;
  let onAlice: TestDaemon;
  let onBob: TestDaemon;

  const apart = (hours: number): DaemonArguments => ({
    peers: [alice.address(4)],
    env: {
      // The loader puts the machine's library folder in the place of $LIB.
      LD_PRELOAD: '/usr/$LIB/faketime/libfaketimeMT.so.1',
      FAKETIME: `${hours < 0 ? '' : '+'}${String(hours)}h`,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  });

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = [await topology.host('alice'), await topology.host('bob')];
    [a, b] = [await topology.host('a'), await topology.host('b')];
    await topology.link(alice, bob);
    onAlice = await alice.startDaemon();
    await onAlice.wait('ready', 30_000);
    onBob = await bob.startDaemon(apart(1));
    await Promise.all([onAlice.wait('peers=2', 30_000), onBob.wait('peers=2', 30_000)]);
    await attach(onAlice, a, 'web');
    await attach(onBob, b, 'db');
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    await detach(onAlice, a);
    await detach(onBob, b);
    await topology.dispose();
  });

  async function attach(daemon: TestDaemon, target: Host, name: string): Promise<void> {
    await mustCall(daemon.socket, '/v1/attach', { target: target.namespace, addresses: [], name });
  }
  async function detach(daemon: TestDaemon, target: Host): Promise<void> {
    await mustCall(daemon.socket, '/v1/detach', { target: target.namespace, addresses: [] });
  }
  const answers = async (host: Host, name: string): Promise<string[]> => {
    const words = ['dig', '+tries=1', '+time=3', '+short', `${name}.${DOMAIN}`];
    return (await host.must(words)).split('\n').filter(Boolean);
  };
  const isCalled = async (daemon: TestDaemon, from: Host, name: string): Promise<void> => {
    await waitFor(`${name} on ${from.name}`, 10_000, async () => {
      return (await answers(from, name)).length === 1;
    });
    const { stdout } = await daemon.ctl(['dns', 'lookup', name]);
    assert.deepEqual(await answers(from, name), [stdout.trim()]);
  };
  const isUnknown = (from: Host, name: string): Promise<unknown> =>
    waitFor(`${name} to go from ${from.name}`, 10_000, async () => {
      return (await answers(from, name)).length === 0;
    });
  /** Of the daemon's own clock, against ours. */
  const aheadMs = async (daemon: TestDaemon): Promise<number> => {
    const { at } = (await mustCall(daemon.socket, '/v1/report')) as { at: string };
    return Date.parse(at) - Date.now();
  };

  it('are known on both, and go on both', async () => {
    assert.ok(Math.abs((await aheadMs(onBob)) - HOUR_MS) < 60_000, 'the clock is not moved');
    await isCalled(onBob, a, 'db');
    await isCalled(onAlice, b, 'web');
    await detach(onBob, b);
    await isUnknown(a, 'db');
    await attach(onBob, b, 'db');
    await isCalled(onBob, a, 'db');
  });

  it('go on being known when the clock of a host goes back by two hours', async () => {
    await onBob.crash();
    onBob = await bob.startDaemon(apart(-1));
    await Promise.all([onAlice.wait('peers=2', 30_000), onBob.wait('peers=2', 30_000)]);
    assert.ok(Math.abs((await aheadMs(onBob)) + HOUR_MS) < 60_000, 'the clock is not moved');
    await isCalled(onBob, a, 'db');
    await detach(onBob, b);
    await isUnknown(a, 'db');
    await attach(onBob, b, 'base');
    await isCalled(onBob, a, 'base');
    await isUnknown(a, 'db');
  });

  it('are all answered when many are asked for a second', async () => {
    const file = join(topology.directory, 'queries');
    const asked = ['base A', 'base AAAA', 'web A', 'nobody A', 'base MX'];
    await writeFile(
      file,
      asked.map((query) => query.replace(' ', `.${DOMAIN} `)).join('\n') + '\n',
    );
    const conf = await a.must(['cat', '/etc/resolv.conf']);
    const server = /^nameserver (169\.254\S+)$/m.exec(conf)?.[1];
    assert.ok(server, conf);
    const rate = String(QUERIES_PER_SECOND);
    const words = ['-s', server, '-d', file, '-Q', rate, '-l', String(SECONDS), '-t', '5'];
    const said = await a.must(['dnsperf', ...words], { timeoutMs: 60_000 });
    const figures = /Queries (sent|completed|lost): +\d+|Average Latency \(s\): +[\d.]+/g;
    console.log(
      `      ${(said.match(figures) ?? []).map((text) => text.replace(/ +/g, ' ')).join(', ')}`,
    );
    assert.match(said, /Queries lost: +0 /);
    assert.ok(Number(/Queries completed: +(\d+)/.exec(said)?.[1]) > 10, said);
    assert.match(said, /NOERROR .*NXDOMAIN/);
  });
});
