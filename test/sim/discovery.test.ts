import assert from 'node:assert/strict';

import { Sim, type SimNode } from './harness.js';
import { rootOf } from './mesh.js';

/** Each is given only the address of the one before. */
function chain(sim: Sim, length: number, discovery = true): SimNode[] {
  const nodes: SimNode[] = [];
  for (let at = 0; at < length; at++) {
    const before = nodes.at(-1);
    const peers = before ? [before.address] : [];
    nodes.push(sim.node(`n${at}`, { peers, options: { discovery } }));
  }
  return nodes;
}

const reachable = (node: SimNode): number => node.daemon.control.status().peers.reachable;
const direct = (node: SimNode): number =>
  node.daemon.control.routes().routes.filter(({ path }) => path === 'direct').length;

describe('discovery', function () {
  this.timeout(600_000);

  it('lets five nodes, each given only the one before, meet each other within 5 s', async () => {
    const sim = await Sim.create(41);
    sim.network.setAll({ delayMs: 10 });
    const nodes = chain(sim, 5);
    for (const node of nodes) await node.start();
    await sim.until('all reach all', () => nodes.every((node) => reachable(node) === 5), 5000);
    assert.deepEqual(
      nodes[4]!.daemon.control
        .peers()
        .peers.map(({ nickname }) => nickname)
        .sort(),
      ['n0', 'n1', 'n2', 'n3', 'n4'],
    );
    await sim.stopAll();
  });

  it('tells a newcomer of twenty nodes about all within 5 s at 20 ms round trip', async () => {
    const sim = await Sim.create(42);
    sim.network.setAll({ delayMs: 10 });
    const nodes = chain(sim, 20);
    for (const node of nodes) await node.start();
    await sim.until('all reach all', () => nodes.every((node) => reachable(node) === 20), 10_000);
    const late = sim.node('late', { peers: [nodes[7]!.address] });
    await late.start();
    await sim.until('the newcomer reaches all', () => reachable(late) === 21, 5000);
    await sim.stopAll();
  });

  it('dials nobody it was not given with discovery off, and still learns and reaches all', async () => {
    const sim = await Sim.create(43);
    const nodes = chain(sim, 4, false);
    for (const node of nodes) await node.start();
    await sim.run(30_000);
    assert.deepEqual(nodes.map(direct), [1, 2, 2, 1]);
    assert.deepEqual(nodes.map(reachable), [4, 4, 4, 4], 'through relays');
    const names = nodes[0]!.daemon.control.peers().peers.map(({ nickname }) => nickname);
    assert.deepEqual(names.sort(), ['n0', 'n1', 'n2', 'n3']);
    await sim.stopAll();
  });

  it('finds the others again when the only contact is gone for good', async () => {
    const sim = await Sim.create(44);
    const nodes = chain(sim, 3);
    for (const node of nodes) await node.start();
    const [a, b, c] = nodes as [SimNode, SimNode, SimNode];
    await sim.until('all reach all', () => nodes.every((node) => reachable(node) === 3), 5000);
    b.kill();
    await c.stop();
    await c.start();
    await sim.until('c comes back to a', () => c.sees(a) && a.sees(c), 5000);
    await sim.stopAll();
  });

  it('survives a network that loses a third of everything', async () => {
    for (const seed of [50, 51, 54]) {
      const sim = await Sim.create(seed);
      sim.network.setAll({ loss: 0.3, duplicates: 0.1, delayMs: 5, jitterMs: 30 });
      const nodes = chain(sim, 6);
      for (const node of nodes) await node.start();
      await sim.until('all reach all', () => nodes.every((node) => reachable(node) === 6), 60_000);
      await sim.stopAll();
    }
  });

  it('says nothing new when nothing happens', async () => {
    const sim = await Sim.create(47);
    sim.network.setAll({ delayMs: 10 });
    const nodes = chain(sim, 5);
    for (const node of nodes) await node.start();
    await sim.run(150_000);
    const roots = nodes.map(rootOf);
    assert.equal(new Set(roots).size, 1);
    await sim.run(300_000);
    assert.deepEqual(nodes.map(rootOf), roots, 'no record was written in five minutes');
    await sim.stopAll();
  });

  it('is whole again soon after five minutes in two parts', async () => {
    const sim = await Sim.create(46);
    sim.network.setAll({ delayMs: 10 });
    const nodes = chain(sim, 12);
    for (const node of nodes) await node.start();
    const isWhole = () => nodes.every((node) => direct(node) === nodes.length - 1);
    await sim.until('all reach all', isWhole, 10_000);
    const apart = new Set(nodes.slice(0, 4).map(({ address }) => address));
    sim.network.divide((from, to) => apart.has(from) !== apart.has(to));
    await sim.run(300_000);
    assert.ok(nodes.every((node) => direct(node) < nodes.length - 1));
    sim.network.divide(undefined);
    const tookMs = await sim.until('all reach all directly', isWhole, 60_000);
    const roots = () => new Set(nodes.map(rootOf)).size;
    const sameMs = await sim.until('the same records', () => roots() === 1, 60_000);
    console.log(`      linked ${tookMs} ms after, the same records ${tookMs + sameMs} ms after`);
    await sim.stopAll();
  });

  it('follows a member to its new address, told by the others', async () => {
    const sim = await Sim.create(45);
    const nodes = chain(sim, 3);
    for (const node of nodes) await node.start();
    const [a, b, c] = nodes as [SimNode, SimNode, SimNode];
    await sim.until('all reach all', () => nodes.every((node) => reachable(node) === 3), 5000);
    sim.network.set(a.address, c.address, { isCut: true });
    await sim.until('a misses c', () => !a.sees(c) && !c.sees(a), 60_000);
    c.moveTo('192.0.2.99');
    await sim.until('a finds c', () => a.sees(c) && b.sees(c), 15_000);
    await sim.stopAll();
  });
});
