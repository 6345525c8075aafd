import assert from 'node:assert/strict';

import type { TestDaemon } from './lib/daemon.js';
import type { Switch } from './lib/switch.js';
import { type Host, Topology } from './lib/topology.js';
import { pingAll, tcpTransfer } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 *     alice ---- switch ---- bob      the switch drops UDP to and from bob, and later no more
 */

const TRANSFER_BYTES = 20_000_000;

describe('an underlay that drops UDP', function () {
  this.timeout(120_000);
  let topology: Topology;
  let lan: Switch;
  let alice: Host;
  let bob: Host;
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = (await topology.hosts(2)) as [Host, Host];
    lan = await topology.lan([alice, bob], { underlay: 'ipv4' });
    await lan.blockUdp(bob);
    a = await alice.startDaemon();
    await a.wait('ready', 30_000);
    b = await bob.startDaemon({ peers: [alice.address(4)] });
    await b.wait('ready', 30_000);
  });
  tidy(() => topology);

  async function kinds(): Promise<unknown[]> {
    const reports = await Promise.all([a.report(), b.report()]);
    return reports.map(({ peers }) => peers.find((peer) => !peer.self)?.path);
  }

  it('is crossed by TCP within 10 s of the start', async () => {
    const startMs = performance.now();
    await Promise.all([a.wait('peers=2', 10_000), b.wait('peers=2', 10_000)]);
    const tookMs = Math.round(performance.now() - startMs);
    console.log(`      linked ${tookMs} ms after ready`);
    assert.ok(tookMs <= 10_000, `linked after ${tookMs} ms`);
    assert.deepEqual(await kinds(), ['tcp', 'tcp']);
    await pingAll(alice, await b.address(4), { size: 9000 });
    const gbits = await tcpTransfer(alice, bob, await b.address(4), TRANSFER_BYTES);
    console.log(`      TCP inside TCP: ${(gbits * 1000).toFixed(0)} Mb/s`);
  });

  it('is left for UDP within 60 s after it passes, without a lost ping', async () => {
    await lan.allowUdp(bob);
    const startMs = performance.now();
    const target = await b.address(4);
    await waitFor('direct paths', 60_000, async () => {
      await pingAll(alice, target, { count: 5 });
      return (await kinds()).every((kind) => kind === 'direct');
    });
    const tookMs = Math.round(performance.now() - startMs);
    console.log(`      direct ${tookMs} ms after UDP passes`);
    assert.ok(tookMs <= 60_000, `direct after ${tookMs} ms`);
  });
});
