import assert from 'node:assert/strict';
import type { TestDaemon } from './lib/daemon.js';
import { PingStream } from './lib/ping-stream.js';
import { type Host, Topology } from './lib/topology.js';
import { tcpTransfer } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import type { Wire } from './lib/wire.js';
import { tidy } from './lib/tidy.js';

/*
 * An underlay that lets only the first segment of each train pass, as some drivers and virtual switches do. What is
 * sent alone arrives, so pings are well while transfers crawl; receiver reports show it.
 */
describe('an underlay that mangles trains', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let wire: Wire;
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = (await topology.hosts(2)) as [Host, Host];
    wire = await topology.wire(alice, bob, { underlay: 'ipv4' });
    a = await alice.startDaemon();
    await a.wait('ready');
    b = await bob.startDaemon({ peers: [alice.address()] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
  });
  tidy(() => topology);

  it('costs seconds: the sender finds out, sends singly and says so', async () => {
    await wire.set('b->a', { firstOnly: true });
    const pings = new PingStream(bob, await a.address(4), 10);
    const startMs = performance.now();
    const transfer = tcpTransfer(bob, alice, await a.address(4), 64 << 20);
    await waitFor('the fault', 15_000, async () => {
      return (await b.logLines(/OVL_TRAINS_LOST/)).length > 0;
    });
    const foundMs = Math.round(performance.now() - startMs);
    await transfer;
    const doneMs = Math.round(performance.now() - startMs);
    await pings.stop();
    console.info(`        found after ${String(foundMs)} ms, 64 MiB after ${String(doneMs)} ms`);
    assert.ok(foundMs < 10_000, `found after ${String(foundMs)} ms`);
    const { counters } = await b.report();
    assert.equal(counters['gso_fallbacks'], 1);
    assert.equal((await a.report()).counters['gso_fallbacks'], 0, 'the other way keeps its trains');
    // Nothing leaves as a train any more.
    const before = (await wire.counters())['b->a'];
    await tcpTransfer(bob, alice, await a.address(4), 16 << 20);
    const after = (await wire.counters())['b->a'];
    assert.equal(after.tails, before.tails);
    assert.equal(after.segments - before.segments, after.frames - before.frames);
  });
});
