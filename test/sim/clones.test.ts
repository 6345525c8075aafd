import assert from 'node:assert/strict';

import { Sim, type SimNode } from './harness.js';

/** `a`, and `b` whose state directory `c` runs on a copy of; both know only `a`. */
async function cloned(seed: number): Promise<{ sim: Sim; a: SimNode; b: SimNode; c: SimNode }> {
  const sim = await Sim.create(seed);
  const a = sim.node('a');
  const b = sim.node('b', { peers: [a.address] });
  const c = sim.node('c', { peers: [a.address], identityOf: b });
  await a.start();
  return { sim, a, b, c };
}

describe('clones', () => {
  for (const seed of [60, 61, 62, 63]) {
    it(`the one started later takes a new identity, and both work (seed ${seed})`, async () => {
      const { sim, a, b, c } = await cloned(seed);
      const { id } = b;
      await b.start();
      await sim.run(5000);
      await c.start();
      assert.equal(c.id, id);
      await sim.until('c has another identity', () => c.id !== id, 30_000);
      await sim.until(
        'all are linked',
        () => a.sees(b) && a.sees(c) && b.sees(a) && c.sees(a),
        10_000,
      );
      assert.equal(b.id, id, 'b kept its own');
      assert.ok(c.codes().includes('clone-detected'));
      await sim.run(120_000);
      assert.ok(a.sees(b) && a.sees(c));
      assert.equal(b.id, id);
      assert.notDeepEqual(b.host.addresses, c.host.addresses);
      await sim.stopAll();
    });
  }

  it('a node that is only restarted keeps its identity', async () => {
    const { sim, a, b } = await cloned(64);
    const { id } = b;
    for (let run = 0; run < 5; run++) {
      await b.start();
      await sim.until('linked', () => a.sees(b) && b.sees(a), 10_000);
      await sim.run(40_000);
      if (run % 2 === 0) b.kill();
      else await b.stop();
      await sim.run(2000);
    }
    assert.equal(b.id, id);
    assert.ok(!b.codes().includes('clone-detected'));
    await sim.stopAll();
  });
});
