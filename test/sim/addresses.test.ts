import assert from 'node:assert/strict';

import { OverlayError } from '../../src/base/errors.js';
import { Sim, type SimNode } from './harness.js';

/** Three hosts that were all given each other, as an operator's script would start them. */
async function three(sim: Sim): Promise<SimNode[]> {
  const nodes = ['a', 'b', 'c'].map((name) => sim.node(name));
  for (const node of nodes) {
    const peers = nodes.filter((other) => other !== node).map(({ address }) => address);
    await node.start({ peers });
  }
  return nodes;
}

/** Runs virtual time until the mesh has answered. */
async function give(sim: Sim, node: SimNode, owner: string): Promise<string> {
  let address: string | undefined;
  let failure: unknown;
  const work = node.daemon.addresses.give(owner, undefined).then(
    (given) => (address = given),
    (error: unknown) => (failure = error),
  );
  await sim.until('an answer', () => address !== undefined || failure !== undefined, 2000);
  await work;
  if (failure !== undefined) throw failure as Error;
  return address ?? '';
}

const pools = (node: SimNode) => node.daemon.addresses.document().pools;

describe('addresses between daemons', () => {
  it('come from one pool when three start at once with each other as peers', async () => {
    const sim = await Sim.create(61);
    const nodes = await three(sim);
    const given = await Promise.all(nodes.map((node) => give(sim, node, 'web')));
    assert.equal(new Set(given).size, 3, given.join());
    await sim.run(30_000);
    for (const node of nodes) {
      assert.deepEqual(
        pools(node).map(({ id }) => id),
        pools(nodes[0]!).map(({ id }) => id),
      );
      assert.equal(pools(node).length, 1);
      assert.deepEqual(node.daemon.addresses.document().clashes, []);
    }
    await sim.stopAll();
  });

  it('are there at once on a node alone, and the same after kill -9', async () => {
    const sim = await Sim.create(62);
    const node = sim.node('a');
    await node.start();
    const before = await give(sim, node, 'web');
    node.kill();
    await node.start();
    assert.equal(await give(sim, node, 'web'), before);
    assert.notEqual(await give(sim, node, 'db'), before);
    await sim.stopAll();
  });

  it("are nobody else's after kill -9, whether they were written down with their attachment or not yet", async () => {
    const sim = await Sim.create(65);
    const nodes = await three(sim);
    const isLinked = () => nodes.every((node) => nodes.every((n) => n === node || node.sees(n)));
    await sim.until('linked', isLinked, 10_000);
    /** What is attached, by host and target. */
    const attached = new Map<string, string>();
    for (let cycle = 0; cycle < 8; cycle += 1) {
      const node = nodes[cycle % 3]!;
      const isWritten = cycle % 4 < 2;
      const owner = `${node.name}-${cycle}`;
      const address = await give(sim, node, owner);
      assert.ok(![...attached.values()].includes(address), `${owner}: ${address}`);
      if (isWritten) await node.state.writeAttachment(owner, { address });
      if (isWritten) attached.set(owner, address);
      node.kill();
      // The others go on giving meanwhile.
      const other = nodes[(cycle + 1) % 3]!;
      const meanwhile = await give(sim, other, `other-${cycle}`);
      assert.ok(![...attached.values()].includes(meanwhile), `other-${cycle}: ${meanwhile}`);
      attached.set(`other-${cycle}`, meanwhile);
      await other.state.writeAttachment(`other-${cycle}`, { address: meanwhile });
      await node.start();
      const owned = [...node.state.attachments()].map(
        ([id, value]) => [id, [(value as { address: string }).address]] as const,
      );
      node.daemon.addresses.keep(new Map(owned));
      await sim.until('linked', isLinked, 20_000);
      const inUse = node.daemon.addresses.document().used.map(({ address: used }) => used);
      assert.equal(
        inUse.some((used) => address.startsWith(used)),
        isWritten,
        `${owner}: ${address} of ${inUse.join()}`,
      );
    }
    assert.equal(new Set(attached.values()).size, attached.size);
    for (const node of nodes) assert.deepEqual(node.daemon.addresses.document().clashes, []);
    await sim.stopAll();
  });

  it('of two meshes that meet end in one pool, and keep what they gave', async () => {
    const sim = await Sim.create(63);
    const [a, b] = [sim.node('a'), sim.node('b')];
    await a.start();
    await b.start();
    const first = [await give(sim, a, 'web'), await give(sim, b, 'web')];
    assert.notEqual(pools(a)[0]?.id, pools(b)[0]?.id);
    await a.daemon.control.connect([b.address]);
    await sim.until('one pool', () => pools(a)[0]?.id === pools(b)[0]?.id, 40_000);
    await sim.run(15_000);
    assert.deepEqual([pools(a).length, pools(b).length], [1, 1]);
    // Different nodes begin at different places, so nothing clashed and nothing changed.
    assert.deepEqual([await give(sim, a, 'web'), await give(sim, b, 'web')], first);
    assert.deepEqual(a.daemon.addresses.document().clashes, []);
    await sim.stopAll();
  });

  it('say whose they are when all are given', async () => {
    const sim = await Sim.create(64);
    const [a, b] = [sim.node('a'), sim.node('b')];
    const pool = '10.32.0.0/27';
    await a.start({ pool });
    await b.start({ pool, peers: [a.address] });
    await sim.until('one pool', () => pools(a)[0]?.id === pools(b)[0]?.id, 40_000);
    await give(sim, b, 'first');
    let failure: unknown;
    for (let at = 0; at < 32 && failure === undefined; at += 1) {
      failure = await give(sim, a, `web${at}`).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    assert.ok(failure instanceof OverlayError, 'nothing was refused');
    assert.equal(failure.code, 'OVL_ADDRESS_UNAVAILABLE');
    const has =
      /; of 10\.32\.0\.0\/27 (a|b|this node) has (\d+) addresses and (a|b|this node) (\d+)$/;
    const [, first, most, second, fewest] = has.exec(failure.message) ?? [];
    assert.ok(first !== undefined, failure.message);
    assert.deepEqual([first, second].sort(), ['b', 'this node']);
    assert.ok(Number(most) >= Number(fewest) && Number(most) + Number(fewest) <= 32);
    await sim.stopAll();
  });
});
