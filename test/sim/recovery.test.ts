import assert from 'node:assert/strict';

import { shortPeerId } from '../../src/model/peer-id.js';
import { Sim, twoLinkedNodes, type SimNode } from './harness.js';

/** Says something every 100 ms until it was heard; how long that took. */
async function trafficBack(
  sim: Sim,
  from: SimNode,
  to: SimNode,
  withinMs: number,
): Promise<number> {
  const text = `mark ${sim.time.nowMs()}`;
  let isStopped = false;
  const say = () => {
    if (isStopped) return;
    if (from.isRunning) from.say(to, text);
    sim.time.at(100, say);
  };
  say();
  const tookMs = await sim.until(`${to.name} hears ${from.name}`, () => to.heard(text), withinMs);
  isStopped = true;
  return tookMs;
}

describe('recovery', () => {
  for (const victimName of ['a', 'b'] as const) {
    const role = victimName === 'a' ? 'without --peer' : 'with --peer';
    for (const downMs of [0, 700, 5000, 40_000]) {
      it(`brings traffic back within 3 s after kill -9 of the node ${role}, down for ${downMs} ms`, async () => {
        const { sim, a, b } = await twoLinkedNodes(20);
        const [victim, other] = victimName === 'a' ? [a, b] : [b, a];
        await sim.run(10_000);
        victim.kill();
        await sim.run(downMs);
        await victim.start();
        await trafficBack(sim, other, victim, 3000);
        await trafficBack(sim, victim, other, 1000);
        await sim.stopAll();
      });
    }
  }

  it('brings traffic back within 3 s when the restarted node had lost its store', async () => {
    const sim = await Sim.create(21);
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    let isTalking = true;
    const talk = () => {
      if (isTalking && b.isRunning) b.say(a, 'x');
      if (isTalking) sim.time.at(100, talk);
    };
    talk();
    a.kill();
    await sim.run(5000);
    a.state.clear();
    await a.start();
    await sim.until('linked again', () => a.sees(b) && b.sees(a), 3000);
    isTalking = false;
    await sim.stopAll();
  });

  it('shows a peer that said goodbye at once, and meets it again', async () => {
    const { sim, a, b } = await twoLinkedNodes(22);
    await a.stop();
    await sim.until('b knows', () => !b.sees(a), 50);
    const row = b.peerRow(a);
    assert.match(row?.reason ?? '', /goodbye \(shutdown\)/);
    assert.equal(row?.state, 'retrying');
    const said = b.events.filter(({ code }) => code === 'peer-lost');
    assert.deepEqual(
      said.map(({ level, message }) => [level, message]),
      [['info', `Peer ${shortPeerId(a.id)} said goodbye: its daemon stopped`]],
    );
    assert.ok(!a.codes().includes('peer-lost'), 'who stops does not lose the others');
    await sim.run(20_000);
    await a.start();
    await sim.until('linked again', () => a.sees(b) && b.sees(a), 3000);
    await sim.stopAll();
  });

  it('notices a cut within a second of traffic and heals after it', async () => {
    const { sim, a, b } = await twoLinkedNodes(23);
    let isTalking = true;
    const talk = () => {
      if (!isTalking) return;
      a.say(b, 'x');
      sim.time.at(50, talk);
    };
    talk();
    await sim.run(1000);
    sim.network.set(a.address, b.address, { isCut: true });
    await sim.until('a notices', () => !a.sees(b), 1000);
    await sim.run(30_000);
    sim.network.set(a.address, b.address, { isCut: false });
    await sim.until('both are back', () => a.sees(b) && b.sees(a), 3000);
    isTalking = false;
    await sim.stopAll();
  });

  it('notices a black hole in one direction', async () => {
    const { sim, a, b } = await twoLinkedNodes(24);
    let isTalking = true;
    const talk = () => {
      if (!isTalking) return;
      a.say(b, 'x');
      b.say(a, 'y');
      sim.time.at(50, talk);
    };
    talk();
    await sim.run(1000);
    sim.network.setOneWay(a.address, b.address, { isCut: true });
    await sim.until('both notice', () => !a.sees(b) && !b.sees(a), 2000);
    isTalking = false;
    await sim.stopAll();
  });

  it('follows a peer whose address changes under a NAT it cannot see, without a new handshake', async () => {
    const { sim, a, b } = await twoLinkedNodes(25);
    b.isToldOfMoves = false;
    let isTalking = true;
    const talk = () => {
      if (!isTalking) return;
      b.say(a, 'x');
      sim.time.at(50, talk);
    };
    talk();
    await sim.run(2000);
    const [session] = a.plane.readCounters().sessions;
    b.moveTo('198.51.100.2');
    await sim.until(
      'a sends to the new address',
      () => a.peerRow(b)?.endpoint === '198.51.100.2:6783',
      2000,
    );
    isTalking = false;
    assert.ok(a.sees(b));
    assert.ok(a.codes().includes('peer-path-changed'));
    const [stored] = a.state.knownPeers();
    assert.equal(stored?.endpoints[0]?.address, '198.51.100.2', 'dialled there after a restart');
    assert.ok(stored.pairKey, 'with what was agreed');
    assert.equal(a.plane.readCounters().sessions[0]?.session, session?.session);
    await trafficBack(sim, a, b, 500);
    await sim.stopAll();
  });

  for (const moverName of ['a', 'b'] as const) {
    it(`follows ${moverName} to a new address within 1 s although nobody says anything`, async () => {
      const { sim, a, b } = await twoLinkedNodes(251);
      const [mover, other] = moverName === 'a' ? [a, b] : [b, a];
      await sim.run(20_000);
      mover.moveTo('198.51.100.2');
      await sim.until(
        'the other sends there',
        () => other.peerRow(mover)?.endpoint === '198.51.100.2:6783',
        1000,
      );
      assert.ok(a.sees(b) && b.sees(a));
      await sim.stopAll();
    });
  }

  it('finds out within 2 s that both ends moved at once, although nobody says anything', async () => {
    const { sim, a, b } = await twoLinkedNodes(252);
    await sim.run(20_000);
    a.moveTo('198.51.100.1');
    b.moveTo('198.51.100.2');
    await sim.until('both notice', () => !a.sees(b) && !b.sees(a), 2000);
    await sim.stopAll();
  });

  it('does not move to a spoofed address that replays what the peer sent', async () => {
    const { sim, a, b } = await twoLinkedNodes(26);
    await sim.run(2000);
    // Somebody on the way overtakes each datagram of b and passes everything on, both ways, from its own address.
    sim.network.set(a.address, b.address, { delayMs: 20 });
    const stop = sim.network.relayAs(b.address, '203.0.113.9', a.address);
    for (let second = 0; second < 20; second++) {
      b.say(a, 'x');
      await sim.run(1000);
    }
    const seen = a.daemon.control.paths(b.id).candidates.map((path) => path.endpoint);
    assert.ok(seen.includes('203.0.113.9:6783'), 'it was tried');
    stop();
    assert.equal(a.peerRow(b)?.endpoint, `${b.address}:6783`);
    assert.ok(a.sees(b));
    await sim.stopAll();
  });

  it('finds the size of a path, and another when the underlay changes', async () => {
    const sim = await Sim.create(27);
    sim.network.setAll({ datagramBytes: 1400 });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    const sizeOf = () => a.peerRow(b)?.pmtu ?? 0;
    await sim.until('the size is found', () => sizeOf() > 1390 && sizeOf() <= 1400, 20_000);
    sim.network.setAll({ datagramBytes: 1232 });
    a.say(b, 'big', 1402);
    await sim.until('it went down', () => sizeOf() <= 1232 && sizeOf() >= 1200, 10_000);
    a.say(b, 'big again', 1402);
    await sim.until('big frames pass', () => b.heard('big again'), 1000);
    sim.network.setAll({ datagramBytes: 1472 });
    await sim.until('it went up', () => sizeOf() === 1444, 700_000);
    assert.ok(a.codes().includes('peer-mtu-changed'));
    await sim.stopAll();
  });

  it('goes on within 3 s when only 700 bytes pass and when all pass again, and knows the size within 15 s', async () => {
    const sim = await Sim.create(29);
    sim.network.setAll({ datagramBytes: 1472, delayMs: 5 });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    let isTalking = true;
    const talk = () => {
      if (!isTalking) return;
      a.say(b, 'from a', 1402);
      b.say(a, 'from b', 1402);
      sim.time.at(50, talk);
    };
    talk();
    const sizes = () => [a.peerRow(b)?.pmtu ?? 0, b.peerRow(a)?.pmtu ?? 0];
    await sim.until('all passes', () => sizes().every((size) => size === 1444), 5000);
    for (const passes of [672, 8972, 672, 8972]) {
      sim.network.setAll({ datagramBytes: passes, delayMs: 5 });
      // What was under way has arrived, or never will.
      await sim.run(10);
      a.frames.length = b.frames.length = 0;
      const doFlow = () => a.heard('from b') && b.heard('from a');
      await sim.until(`frames pass both ways over ${passes}`, doFlow, 3000);
      const best = Math.min(1444, passes);
      const isTrue = () => sizes().every((size) => size <= best && size > best - 8);
      await sim.until(`the size is that of ${passes}`, isTrue, 15_000);
      await sim.run(20_000);
      assert.ok(isTrue(), 'and stays');
      assert.ok(a.sees(b) && b.sees(a));
    }
    isTalking = false;
    await sim.stopAll();
  });

  it('uses 548 bytes where not even 1200 pass', async () => {
    const sim = await Sim.create(28);
    sim.network.setAll({ datagramBytes: 600 });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    const sizeOf = () => a.peerRow(b)?.pmtu ?? 0;
    await sim.until('the size is found', () => sizeOf() >= 548 && sizeOf() <= 600, 10_000);
    await sim.stopAll();
  });
});
