import assert from 'node:assert/strict';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 *     alice ──┬── bob
 *             └── carol, whose state directory is a copy of bob's
 */

describe('two nodes with one state directory', function () {
  this.timeout(120_000);
  let topology: Topology;
  let hosts: readonly [Host, Host, Host];

  before(async () => {
    topology = await Topology.create();
    hosts = [
      await topology.host('alice'),
      await topology.host('bob'),
      await topology.host('carol'),
    ];
    await topology.lan(hosts);
  });

  tidy(() => topology);

  const stateOf = (host: Host) => join(host.directory, host.name, 'state');
  const identityOf = async (host: Host) =>
    JSON.parse(await readFile(join(stateOf(host), 'identity.json'), 'utf8')) as {
      readonly seed: string;
      readonly parent?: string;
    };

  it('one takes a new identity and says so, and both work', async () => {
    const [alice, bob, carol] = hosts;
    const a = await alice.startDaemon();
    await a.wait('ready');
    const first = await bob.startDaemon({ peers: [alice.address()] });
    await first.wait('peers=2');
    const { id } = (await first.status()).self;
    await first.stop();
    await cp(stateOf(bob), stateOf(carol), { recursive: true });

    const b = await bob.startDaemon({ peers: [alice.address()] });
    await b.wait('peers=2');
    const c: TestDaemon = await carol.startDaemon({ peers: [alice.address()] });
    const startMs = performance.now();
    await waitFor('three nodes at alice', 40_000, async () => {
      const { peers } = await a.status();
      return peers.reachable === 3;
    });
    console.log(`      three nodes after ${String(Math.round(performance.now() - startMs))} ms`);
    await Promise.all([b.wait('peers=2'), c.wait('peers=2')]);

    const [bobs, carols] = [await identityOf(bob), await identityOf(carol)];
    assert.equal((await b.status()).self.id, id, 'the one that was there keeps it');
    assert.equal(bobs.parent, undefined);
    assert.equal(carols.parent, id);
    assert.notEqual(carols.seed, bobs.seed);
    assert.ok((await c.logLines(/"clone-detected"/)).length > 0);
    assert.match((await c.ctl(['status'])).stdout, /new identity/);
    // The clone's session may have replaced the original's at alice: dead paths are noticed once frames flow.
    const [bobAddress, carolAddress] = [await b.address(4), await c.address(4)];
    for (const address of [bobAddress, carolAddress]) {
      await waitFor(`alice reaches ${address}`, 15_000, () => isAnswered(alice, address));
    }
    await pingAll(alice, bobAddress);
    await pingAll(alice, carolAddress);
    await pingAll(bob, await a.address(4));
    await pingAll(carol, await a.address(4));
  });
});
