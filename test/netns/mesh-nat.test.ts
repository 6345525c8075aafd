import assert from 'node:assert/strict';

import { ThreeHosts, untilRoute } from './lib/three-hosts.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *           b                  public
 *         /   \
 *       NAT   NAT              or a switch that cuts the pair
 *        |     |
 *        a     c
 */

describe('hosts that cannot dial each other', function () {
  this.timeout(120_000);
  let scene: ThreeHosts;

  beforeEach(async () => {
    scene = await ThreeHosts.create();
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await scene.topology.logs());
    await scene.topology.dispose();
  });

  it('behind two port-restricted NATs: direct within 5 s', async () => {
    const { topology, a, b, c } = scene;
    const outside = await scene.plugged(b);
    await topology.nat(outside, [a], 'port-restricted');
    await topology.nat(outside, [c], 'port-restricted');
    const [da, , dc] = await scene.startAll();
    const tookMs = await untilRoute(da, 'c', 'direct', 10_000);
    console.log(`      direct ${tookMs} ms after ready`);
    assert.ok(tookMs <= 5000, `direct after ${tookMs} ms`);
    await pingAll(a, await dc.address(4));
    await pingAll(c, await da.address(4));
  });

  it('behind two symmetric NATs: relayed by a host outside', async () => {
    const { topology, a, b, c } = scene;
    const outside = await scene.plugged(b);
    await topology.nat(outside, [a], 'symmetric');
    await topology.nat(outside, [c], 'symmetric');
    const [da, , dc] = await scene.startAll();
    await untilRoute(da, 'c', 'relay', 10_000);
    await pingAll(a, await dc.address(4));
    await pingAll(c, await da.address(4));
  });

  it('carries nothing with --no-relay', async () => {
    const { a, b, c } = scene;
    const outside = await scene.plugged(a, b, c);
    await outside.cut(a, c);
    const [da, , dc] = await scene.startAll(['--no-relay']);
    const known = async (): Promise<boolean> => (await da.status()).peers.known === 3;
    await waitFor('a knows c', 5000, known);
    assert.equal(await da.route('c'), undefined);
    assert.equal(await isAnswered(a, await dc.address(4)), false);
  });
});
