import assert from 'node:assert/strict';

import { Sim, type SimNode } from './harness.js';

/*
 *     a ---- b ---- c ---- d ---- e      neighbours reach each other, nobody else does
 */

async function line(seed: number, length: number, more = {}): Promise<[Sim, SimNode[]]> {
  const sim = await Sim.create(seed);
  sim.network.setAll({ delayMs: 5 });
  const nodes: SimNode[] = [];
  for (let at = 0; at < length; at++) {
    const before = nodes.at(-1);
    const peers = before ? [before.address] : [];
    const node = sim.node('abcde'[at] ?? '', { peers, options: more });
    for (const far of nodes.slice(0, -1)) sim.network.set(node.address, far.address, CUT);
    nodes.push(node);
  }
  for (const node of nodes) await node.start();
  return [sim, nodes];
}

const CUT = { isCut: true };
const HEALED = { isCut: false };

const routeOf = (from: SimNode, to: SimNode) =>
  from.daemon.control.routes().routes.find((route) => route.peer === to.id);
const isDirect = (from: SimNode, to: SimNode): boolean => routeOf(from, to)?.path === 'direct';
const isRelayed = (from: SimNode, to: SimNode): boolean => routeOf(from, to)?.path === 'relay';

/** Frames from one to the other every 10 ms until stopped; how long the longest time without one arriving was. */
function stream(
  sim: Sim,
  from: SimNode,
  to: SimNode,
): { longestHoleMs: () => number; stop(): void } {
  let number = 0;
  let isStopped = false;
  let seen = to.frames.length;
  let lastMs = sim.time.nowMs();
  let longestMs = 0;
  const tick = (): void => {
    if (isStopped) return;
    number += 1;
    from.say(to, `stream ${number}`);
    if (to.frames.length > seen) {
      seen = to.frames.length;
      longestMs = Math.max(longestMs, sim.time.nowMs() - lastMs);
      lastMs = sim.time.nowMs();
    }
    sim.time.at(10, tick);
  };
  tick();
  return {
    longestHoleMs: () => Math.max(longestMs, sim.time.nowMs() - lastMs),
    stop: () => (isStopped = true),
  };
}

describe('relays between daemons', function () {
  this.timeout(600_000);

  it('let the ends of a line talk within 5 s, and say through whom', async () => {
    const [sim, [a, b, c]] = (await line(71, 3)) as [Sim, [SimNode, SimNode, SimNode]];
    await sim.until('a and c see each other', () => a.sees(c) && c.sees(a), 5000);
    assert.deepEqual(routeOf(a, c)?.via, [b.id]);
    assert.deepEqual(routeOf(c, a)?.via, [b.id]);
    a.say(c, 'through b');
    await sim.until('heard', () => c.heard('through b'), 100);
    assert.equal(b.heard('through b'), false, 'the relay opens nothing');
    await sim.stopAll();
  });

  it('reach over four hops without discovery, and not over five', async () => {
    const [sim, nodes] = await line(72, 5, { discovery: false });
    const [a, , , , e] = nodes as [SimNode, SimNode, SimNode, SimNode, SimNode];
    await sim.until('the ends see each other', () => a.sees(e) && e.sees(a), 15_000);
    assert.deepEqual(
      routeOf(a, e)?.via,
      nodes.slice(1, 4).map(({ id }) => id),
    );
    a.say(e, 'four hops');
    await sim.until('heard', () => e.heard('four hops'), 100);
    await sim.stopAll();
  });

  it('give way to the direct path when there is one, without a lost frame', async () => {
    const [sim, [a, , c]] = (await line(73, 3)) as [Sim, [SimNode, SimNode, SimNode]];
    await sim.until('a and c see each other', () => a.sees(c) && c.sees(a), 5000);
    const before = c.frames.length;
    let said = 0;
    const say = (): void => {
      said += 1;
      a.say(c, `number ${said}.`);
      if (said < 3000) sim.time.at(10, say);
    };
    say();
    await sim.run(2000);
    sim.network.set(a.address, c.address, HEALED);
    await sim.until('direct both ways', () => isDirect(a, c) && isDirect(c, a), 15_000);
    await sim.until('all is said', () => said === 3000, 40_000);
    await sim.run(1000);
    assert.equal(c.frames.length - before, said, 'nothing lost, nothing twice');
    await sim.stopAll();
  });

  it('give way within 15 s also when the direct path was closed for an hour', async () => {
    const [sim, [a, , c]] = (await line(79, 3)) as [Sim, [SimNode, SimNode, SimNode]];
    await sim.until('a and c see each other', () => a.sees(c) && c.sees(a), 5000);
    await sim.run(3_600_000);
    const there = stream(sim, a, c);
    await sim.run(30_000);
    assert.ok(isRelayed(a, c));
    sim.network.set(a.address, c.address, HEALED);
    await sim.until('direct both ways', () => isDirect(a, c) && isDirect(c, a), 15_000);
    assert.ok(there.longestHoleMs() <= 50, `hole of ${there.longestHoleMs()} ms`);
    there.stop();
    await sim.stopAll();
  });

  it('take over within a second when a used direct path dies, both ways or one way', async () => {
    for (const isOneWay of [false, true]) {
      const sim = await Sim.create(isOneWay ? 75 : 74);
      sim.network.setAll({ delayMs: 2 });
      // Two addresses each: what cuts one way cuts the other too.
      const a = sim.node('a', { underlay: ['192.0.2.1', '2001:db8::1'] });
      const b = sim.node('b', { peers: [a.address], underlay: ['192.0.2.2', '2001:db8::2'] });
      const c = sim.node('c', { peers: [a.address], underlay: ['192.0.2.3', '2001:db8::3'] });
      for (const node of [a, b, c]) await node.start();
      const all = [a, b, c];
      const isWhole = () => all.every((x) => all.every((y) => x === y || isDirect(x, y)));
      await sim.until('a triangle', isWhole, 5000);
      const there = stream(sim, a, c);
      const back = stream(sim, c, a);
      await sim.run(8000);
      for (const [from, to] of [
        ['192.0.2.1', '192.0.2.3'],
        ['2001:db8::1', '2001:db8::3'],
      ] as const) {
        if (isOneWay) sim.network.setOneWay(from, to, CUT);
        else sim.network.set(from, to, CUT);
      }
      await sim.until('over b', () => isRelayed(a, c) && isRelayed(c, a), 5000);
      await sim.run(1000);
      assert.ok(there.longestHoleMs() <= 1000, `hole of ${there.longestHoleMs()} ms`);
      assert.ok(back.longestHoleMs() <= 1000, `hole of ${back.longestHoleMs()} ms`);
      there.stop();
      back.stop();
      sim.network.set('192.0.2.1', '192.0.2.3', HEALED);
      sim.network.set('2001:db8::1', '2001:db8::3', HEALED);
      await sim.until('direct again', () => isDirect(a, c) && isDirect(c, a), 30_000);
      await sim.stopAll();
    }
  });

  it('move off a way that became slow within 15 s, and do not flap while its delay swings', async () => {
    const sim = await Sim.create(80);
    sim.network.setAll({ delayMs: 2 });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    const c = sim.node('c', { peers: [a.address] });
    for (const node of [a, b, c]) await node.start();
    await sim.until('a and c are direct', () => isDirect(a, c) && isDirect(c, a), 5000);
    const there = stream(sim, a, c);
    const back = stream(sim, c, a);
    await sim.run(10_000);
    sim.network.set(a.address, c.address, { delayMs: 52 });
    await sim.until('over b', () => isRelayed(a, c) && isRelayed(c, a), 15_000);
    const changes = () => a.codes().filter((code) => code === 'peer-path-changed').length;
    const before = changes();
    for (let at = 0; at < 120; at++) {
      sim.network.set(a.address, c.address, { delayMs: 52 * (at % 2 === 0 ? 0.8 : 1.2) });
      await sim.run(1000);
    }
    assert.ok(changes() - before <= 2, `${changes() - before} changes in two minutes`);
    there.stop();
    back.stop();
    await sim.stopAll();
  });

  it('ask nobody that does not relay', async () => {
    const [sim, [a, b, c]] = (await line(76, 3, { relay: false })) as [
      Sim,
      [SimNode, SimNode, SimNode],
    ];
    await sim.run(15_000);
    assert.ok(a.sees(b) && b.sees(c) && !a.sees(c));
    await sim.stopAll();
  });

  it('find another relay when the one in use is gone', async () => {
    const sim = await Sim.create(77);
    sim.network.setAll({ delayMs: 5 });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    const c = sim.node('c', { peers: [a.address] });
    const d = sim.node('d', { peers: [b.address, c.address] });
    sim.network.set(a.address, d.address, CUT);
    for (const node of [a, b, c, d]) await node.start();
    await sim.until('a sees d', () => a.sees(d) && d.sees(a), 5000);
    const there = stream(sim, a, d);
    await sim.run(8000);
    const used = [b, c].find((node) => routeOf(a, d)?.via[0] === node.id);
    assert.ok(used);
    used.kill();
    await sim.run(5000);
    assert.ok(there.longestHoleMs() <= 1200, `hole of ${there.longestHoleMs()} ms`);
    there.stop();
    await sim.stopAll();
  });

  it('leave no label behind when all is direct and quiet again', async () => {
    const [sim, nodes] = await line(78, 3);
    const [a, b, c] = nodes as [SimNode, SimNode, SimNode];
    await sim.until('a and c see each other', () => a.sees(c) && c.sees(a), 5000);
    sim.network.set(a.address, c.address, HEALED);
    const labels = () =>
      nodes.reduce((sum, node) => sum + node.plane.readCounters().labels.length, 0);
    assert.ok(labels() > 0);
    await sim.until('direct', () => isDirect(a, c) && isDirect(c, a), 120_000);
    await sim.until('no labels', () => labels() === 0, 200_000);
    assert.equal(b.daemon.control.report().counters['relayed_pairs'], 0);
    await sim.stopAll();
  });
});
