import assert from 'node:assert/strict';

import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { waitFor } from './lib/wait.js';

/*
 *     alice ──── bob      alice allows measurements, bob does not
 */

interface Measured {
  readonly path: string;
  readonly idle: { readonly medianMs: number };
  readonly tcp: { readonly mbps: number };
  readonly udp: { readonly lossPct: number; readonly datagrams: number };
}

describe('overlayctl bench', function () {
  this.timeout(120_000);
  let topology: Topology;
  let [alice, bob]: [Host?, Host?] = [];
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = [await topology.host('alice'), await topology.host('bob')];
    await topology.link(alice, bob);
    a = await alice.startDaemon({ args: ['--allow-bench'] });
    await a.wait('ready');
    b = await bob.startDaemon({ peers: [alice.address()] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
    const know = async (from: TestDaemon, name: string): Promise<boolean> =>
      (await from.ctl(['peers'])).stdout.includes(name);
    await waitFor('names', 5000, async () => (await know(a, 'bob')) && (await know(b, 'alice')));
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });
  after(() => topology.dispose());

  it('measures the path to a peer that allows it, at the agreed rate, and tells that peer', async () => {
    const args = ['--json', 'bench', '--seconds', '1', '--mbps', '100', 'alice'];
    const { code, stdout, stderr } = await b.ctl(args);
    assert.equal(code, 0, stderr);
    const measured = JSON.parse(stdout) as Measured;
    assert.equal(measured.path, 'direct');
    assert.ok(measured.idle.medianMs < 100);
    assert.ok(measured.tcp.mbps > 20 && measured.tcp.mbps < 130, `${measured.tcp.mbps} Mb/s`);
    assert.ok(measured.udp.datagrams > 100);
    assert.ok(measured.udp.lossPct < 50, `${measured.udp.lossPct} % lost`);
    assert.match((await a.ctl(['events'])).stdout, /bench-accepted/);
    const sockets = await alice!.must(['ss', '-Htln']);
    assert.doesNotMatch(sockets, /10\.4[0-9]\./, 'the receiver has gone');
  });

  it('is refused by a peer that does not allow it, before anything is sent', async () => {
    const { code, stdout, stderr } = await a.ctl(['bench', 'bob']);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /OVL_BENCH_REFUSED.*--allow-bench/);
  });

  it('ends with an error within seconds when the path goes away in the middle', async () => {
    const running = b.ctl(['bench', '--seconds', '20', '--mbps', '50', 'alice']);
    await waitFor('a load', 10_000, async () =>
      (await bob!.must(['ss', '-Htn', 'state', 'established'])).includes('10.4'),
    );
    await bob!.ip(['link', 'set', 'eth0', 'down']);
    const cutMs = performance.now();
    const { code, stderr } = await running;
    assert.equal(code, 1);
    assert.match(stderr, /OVL_BENCH_BROKEN/);
    assert.ok(performance.now() - cutMs < 10_000);
  });
});
