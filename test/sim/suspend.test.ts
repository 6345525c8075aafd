import assert from 'node:assert/strict';

import { Sim, twoLinkedNodes, type SimNode } from './harness.js';

/*
 * Machines that sleep: their clock has jumped when they wake (CLOCK_BOOTTIME goes on), and nothing of what was due
 * meanwhile happened.
 */

const HOUR_MS = 3_600_000;

/** Both ways, from now on. */
async function trafficBack(sim: Sim, a: SimNode, b: SimNode, withinMs: number): Promise<number> {
  const text = `mark ${sim.time.nowMs()}`;
  let isDone = false;
  const say = (): void => {
    if (isDone) return;
    a.say(b, text);
    b.say(a, text);
    sim.time.at(50, say);
  };
  say();
  const what = `${a.name} and ${b.name} hear each other`;
  const tookMs = await sim.until(what, () => a.heard(text) && b.heard(text), withinMs);
  isDone = true;
  return tookMs;
}

/** INITs sent by anybody; each distinct handshake once. */
function countHandshakes(sim: Sim): () => number {
  const seen = new Set<string>();
  sim.network.onSend((_from, _to, payload) => {
    if (!(payload instanceof Uint8Array) || payload[0] !== 1) return;
    seen.add(Buffer.from(payload.subarray(0, 40)).toString('hex'));
  });
  return () => seen.size;
}

const sessionOf = (node: SimNode) => node.plane.readCounters().sessions[0]?.session;

describe('suspend', () => {
  for (const isTold of [true, false]) {
    const how = isTold ? 'and its links come up' : 'and no link changed';
    for (const sleeper of ['a', 'b'] as const) {
      it(`of the node ${sleeper === 'a' ? 'without' : 'with'} --peer for an hour: talks again within 3 s, ${how}`, async () => {
        const { sim, a, b } = await twoLinkedNodes(40);
        await sim.run(10_000);
        const node = sleeper === 'a' ? a : b;
        const wake = node.suspend();
        await sim.run(HOUR_MS);
        const handshakes = countHandshakes(sim);
        const before = sim.network.delivered;
        wake();
        if (isTold) node.moveTo(node.address);
        const tookMs = await trafficBack(sim, a, b, 3000);
        await sim.run(10_000);
        assert.ok(handshakes() <= 4, `${handshakes()} handshakes`);
        const carried = sim.network.delivered - before;
        assert.ok(carried < 400, `${carried} datagrams in ${tookMs + 10_000} ms`);
        await sim.stopAll();
      });
    }
  }

  it('of both for an hour: talk again within 3 s', async () => {
    const { sim, a, b } = await twoLinkedNodes(41);
    await sim.run(10_000);
    const wakes = [a.suspend(), b.suspend()];
    await sim.run(HOUR_MS);
    const handshakes = countHandshakes(sim);
    for (const wake of wakes) wake();
    await trafficBack(sim, a, b, 3000);
    await sim.run(10_000);
    assert.ok(handshakes() <= 4, `${handshakes()} handshakes`);
    await sim.stopAll();
  });

  for (const sleptMs of [2000, 20_000, 60_000]) {
    it(`for ${sleptMs / 1000} s keeps the session`, async () => {
      const { sim, a, b } = await twoLinkedNodes(42);
      await sim.run(10_000);
      const session = sessionOf(b);
      const wake = b.suspend();
      await sim.run(sleptMs);
      const handshakes = countHandshakes(sim);
      wake();
      await trafficBack(sim, a, b, 3000);
      await sim.run(10_000);
      assert.equal(handshakes(), 0);
      assert.equal(sessionOf(b), session);
      await sim.stopAll();
    });
  }

  it('of one of five for ten minutes is a handshake with each and no more', async () => {
    const sim = await Sim.create(43);
    const nodes: SimNode[] = [];
    for (let at = 0; at < 5; at++) {
      nodes.push(sim.node(`n${at}`, { peers: nodes[0] ? [nodes[0].address] : [] }));
    }
    for (const node of nodes) await node.start();
    const all = (): boolean =>
      nodes.every((node) => nodes.every((other) => other === node || node.sees(other)));
    await sim.until('all see each other', all, 60_000);
    await sim.run(10_000);
    const [sleeper, ...others] = nodes as [SimNode, ...SimNode[]];
    const wake = sleeper.suspend();
    await sim.run(HOUR_MS / 6);
    const handshakes = countHandshakes(sim);
    const before = sim.network.delivered;
    wake();
    const tookMs = await sim.until('all see each other again', all, 5000);
    for (const other of others) await trafficBack(sim, sleeper, other, 1000);
    assert.ok(handshakes() <= 4 * others.length, `${handshakes()} handshakes`);
    const carried = sim.network.delivered - before;
    assert.ok(carried < 1500, `${carried} datagrams in ${tookMs} ms`);
    await sim.stopAll();
  });
});
