import assert from 'node:assert/strict';
import { createSystemRng } from '../../src/base/system-rng.js';
import { startInitiator } from '../../src/crypto/handshake.js';
import { generateIdentity } from '../../src/crypto/identity.js';
import { meshIdOf } from '../../src/crypto/mesh.js';
import { sodiumReady } from '../../src/crypto/sodium.js';
import { Topology } from './lib/topology.js';
import { pingAll, repeatDatagram } from './lib/traffic.js';

/*
 *     alice ---+
 *       bob ---+--- switch        a mesh never starts all at once: somebody always dials too early
 *     carol ---+
 */

describe('the order in which hosts start', function () {
  this.timeout(120_000);
  let topology: Topology;

  beforeEach(async () => {
    topology = await Topology.create();
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
    await topology.dispose();
  });

  it('three that start at the same time all meet', async () => {
    const hosts = [
      await topology.host('alice'),
      await topology.host('bob'),
      await topology.host('carol'),
    ];
    await topology.lan(hosts);
    const daemons = await Promise.all(
      hosts.map((host, index) =>
        host.startDaemon({ peers: hosts.slice(0, index).map((other) => other.address(4)) }),
      ),
    );
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 10_000)));
  });

  it('a host that is dialled while it starts does not go deaf', async () => {
    const alice = await topology.host('alice');
    const bob = await topology.host('bob');
    const carol = await topology.host('carol');
    await topology.lan([alice, bob, carol]);
    // Carol knows the mesh's name, not its password; what matters is that the gate lets her INIT pass.
    const stopDialling = await repeatDatagram(carol, alice.address(4), 6783, await anInit(), 200);
    const a = await alice.startDaemon();
    await a.wait('ready');
    const b = await bob.startDaemon({ peers: [alice.address(4)] });
    await Promise.all([a.wait('peers=2', 5000), b.wait('peers=2', 5000)]);
    assert.ok((await stopDialling()) > 100);
    await pingAll(bob, await a.address(4));
  });
});

/** A well-formed INIT for the default mesh, made with no password at all. */
async function anInit(): Promise<Uint8Array> {
  await sodiumReady();
  const rng = createSystemRng();
  const party = {
    identity: generateIdentity(rng),
    meshId: meshIdOf('default'),
    instance: rng.bytes(8),
    suites: [2],
    maxDatagramBytes: 1444,
    capabilities: 0,
  } as const;
  return startInitiator(party, { prs: rng.bytes(32), slot: 0 }, 1, rng).init;
}
