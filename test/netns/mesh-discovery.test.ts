import assert from 'node:assert/strict';

import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { pingAll } from './lib/traffic.js';

/*
 *     n0 --- n1 --- n2 --- n3 --- n4     all on one switch; each daemon is given the one before it only
 */

const COUNT = 5;

describe('discovery between real hosts', function () {
  this.timeout(120_000);
  let topology: Topology;
  let hosts: Host[];

  beforeEach(async () => {
    topology = await Topology.create();
    hosts = [];
    for (let at = 0; at < COUNT; at++) hosts.push(await topology.host(`n${at}`));
    await topology.lan(hosts);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
    await topology.dispose();
  });

  async function startChain(more: readonly string[] = []): Promise<TestDaemon[]> {
    const daemons: TestDaemon[] = [];
    for (const [at, host] of hosts.entries()) {
      const before = hosts[at - 1];
      const daemon = await host.startDaemon({
        peers: before ? [before.address(4)] : [],
        args: more,
      });
      await daemon.wait('ready');
      daemons.push(daemon);
    }
    return daemons;
  }

  it('lets five hosts, each given the one before, know and reach all within 5 s', async () => {
    const daemons = await startChain();
    const startedMs = performance.now();
    await Promise.all(daemons.map((daemon) => daemon.wait(`peers=${COUNT}`, 5000)));
    const tookMs = Math.round(performance.now() - startedMs);
    console.log(`      all know all ${tookMs} ms after ready`);
    assert.ok(tookMs <= 5000, `all know all after ${tookMs} ms`);
    for (const daemon of daemons.slice(1)) await pingAll(hosts[0]!, await daemon.address(4));
  });

  it('keeps to the hosts it was given with --no-discovery, and reaches the others through them', async () => {
    const daemons = await startChain(['--no-discovery']);
    await Promise.all(daemons.map((daemon) => daemon.wait(`peers=${COUNT}`, 15_000)));
    const [first, last] = [daemons[0]!, daemons[COUNT - 1]!];
    const there = await first.route('n4');
    const back = await last.route('n0');
    assert.deepEqual([there?.path, back?.path], ['relay', 'relay']);
    // Who made the way knows all relays on it, the other end the last one.
    assert.equal(Math.max(there?.via.length ?? 0, back?.via.length ?? 0), 3, 'four hops');
    assert.equal((await first.route('n1'))?.path, 'direct');
    await pingAll(hosts[0]!, await last.address(4));
    await pingAll(hosts[0]!, await last.address(4), { size: 5000 });
  });
});
