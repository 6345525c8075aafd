import assert from 'node:assert/strict';

import { addTo, established, meshFromMemory, rootOf } from './mesh.js';

/*
 * Some nodes, all linked with each other. Who comes to them is a record of each of them, unless they wait for
 * more: of all that starts of many at once cost, links records were the most.
 */

describe('newcomers to a full mesh', function () {
  this.timeout(600_000);

  it('cost each of twenty members at most two links records of each other when five come in five seconds', async () => {
    const mesh = await meshFromMemory(20, 81);
    const { sim, nodes } = mesh;
    const isFull = (): boolean => nodes.every((node) => established(node) === nodes.length - 1);
    await sim.until('all are linked', isFull, 30_000);
    await sim.run(20_000);
    const before = sim.records.verifications;
    for (let count = 0; count < 5; count++) {
      await addTo(mesh).start();
      await sim.run(1000);
    }
    await sim.until('all are linked', isFull, 10_000);
    await sim.run(15_000);
    assert.equal(new Set(nodes.map(rootOf)).size, 1, 'all know the same');
    const perNode = (sim.records.verifications - before) / nodes.length;
    assert.ok(perNode <= 75, `each verified ${perNode} records`);
    await sim.stopAll();
  });

  it('find a way to each other within 5 s when two come at once that are cut from each other', async () => {
    const mesh = await meshFromMemory(20, 82);
    const { sim, nodes } = mesh;
    await sim.run(20_000);
    const [a, b] = [addTo(mesh), addTo(mesh)];
    sim.network.set(a.address, b.address, { isCut: true });
    await Promise.all([a.start(), b.start()]);
    await sim.until('they see each other', () => a.sees(b) && b.sees(a), 5000);
    const route = a.daemon.control.routes().routes.find(({ peer }) => peer === b.id);
    assert.equal(route?.path, 'relay');
    assert.equal(nodes.length, 22);
    await sim.stopAll();
  });
});
