import assert from 'node:assert/strict';

import { meshFromMemory, type Mesh } from './mesh.js';
import { idle, lostPush, newcomer, threeDaysAway } from './scale-scenarios.js';

/*
 * What one mesh of 200 can show in half a minute; `bench/control` adds a partition and a pause, and goes to a thousand.
 * Their times are virtual: only how long the test takes depends on the machine.
 */

const COUNT = 200;

describe('a mesh of 200 nodes', function () {
  this.timeout(600_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await meshFromMemory(COUNT, 200);
    await mesh.sim.run(20_000);
  });

  after(() => mesh.sim.stopAll());

  it('sends at most 5 kB a second from a node at rest', async () => {
    const { mostBytesPerSecond, kinds } = await idle(mesh, 20_000);
    const text = kinds.map(([kind, rate]) => `${kind} ${rate.toFixed(0)}`).join(', ');
    assert.ok(mostBytesPerSecond <= 5000, `${mostBytesPerSecond} B/s: ${text}`);
  });

  it('finds a push that was lost for ever by the digest', async () => {
    const foundMs = await lostPush(mesh);
    assert.ok(foundMs !== undefined && foundMs > 0 && foundMs <= 60_000, `${foundMs} ms`);
  });

  it('tells a newcomer of all within 5 s, and all of the newcomer', async () => {
    const { knowsAllMs, knownToAllMs } = await newcomer(mesh);
    assert.ok(knowsAllMs !== undefined && knowsAllMs <= 5000, `${knowsAllMs} ms`);
    assert.ok(knownToAllMs !== undefined && knownToAllMs <= 60_000, `${knownToAllMs} ms`);
  });

  it('takes back a node that was away for three days: nothing deleted returns, nobody expires', async () => {
    const { sameMs, resurrections, expiries } = await threeDaysAway(mesh);
    assert.ok(sameMs !== undefined && sameMs <= 60_000, `${sameMs} ms`);
    assert.equal(resurrections, 0);
    assert.deepEqual(expiries, []);
  });
});
