import assert from 'node:assert/strict';

import { Sim, twoLinkedNodes } from './harness.js';
import { rootOf } from './mesh.js';

describe('two nodes', () => {
  it('join within one second when one is given the other', async () => {
    const sim = await Sim.create(1);
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    const tookMs = await sim.until('both see each other', () => a.sees(b) && b.sees(a), 1000);
    assert.ok(tookMs < 100, `took ${tookMs} ms`);
    await sim.until('names travel', () => a.peerRow(b)?.nickname === 'b', 1000);
    const status = a.daemon.control.status();
    assert.deepEqual(status.peers, { known: 2, reachable: 2 });
    assert.equal(status.links.established, 1);
    assert.deepEqual(a.peerRow(b)?.addresses, b.host.addresses);
    await sim.stopAll();
  });

  it('carry frames both ways', async () => {
    const { sim, a, b } = await twoLinkedNodes();
    a.say(b, 'to b');
    b.say(a, 'to a');
    await sim.until('both frames arrive', () => b.heard('to b') && a.heard('to a'), 100);
    await sim.stopAll();
  });

  it('lose no PING while the link comes up, and say once what it costs', async () => {
    const { sim, a, b } = await twoLinkedNodes();
    await sim.run(10_000);
    for (const node of [a, b]) {
      const [path] = node.plane.readCounters().paths;
      assert.equal(path?.lossPermille, 0, node.name);
    }
    const root = rootOf(a);
    await sim.run(120_000);
    assert.equal(rootOf(a), root, 'no record was written since');
    await sim.stopAll();
  });

  it('say nothing anew of themselves after a restart that changed nothing', async () => {
    const { sim, a, b } = await twoLinkedNodes();
    await sim.run(10_000);
    const said = (): string | undefined => {
      const cells = [...a.state.recordCells()];
      const found = cells.find(([key]) => key === `r/${b.id}/01`);
      return found && Buffer.from(found[1]).toString('hex');
    };
    const before = said();
    assert.ok(before);
    await b.stop();
    await b.start();
    await sim.until('linked again', () => a.sees(b) && b.sees(a), 3000);
    await sim.run(10_000);
    assert.equal(said(), before);
    await sim.stopAll();
  });
});
