import assert from 'node:assert/strict';

import { Sim, twoLinkedNodes, type SimNode } from './harness.js';

async function linked(seed: number, rekeyAfterMs: number) {
  const sim = await Sim.create(seed);
  const a = sim.node('a', { options: { rekeyAfterMs } });
  const b = sim.node('b', { peers: [a.address], options: { rekeyAfterMs } });
  await a.start();
  await b.start();
  await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
  return { sim, a, b };
}

/** Numbered frames both ways every `everyMs`. */
function talk(sim: Sim, a: SimNode, b: SimNode, everyMs: number): { stop(): number } {
  let count = 0;
  let isTalking = true;
  const next = () => {
    if (!isTalking) return;
    count += 1;
    a.say(b, `#${count}.`);
    b.say(a, `#${count}.`);
    sim.time.at(everyMs, next);
  };
  next();
  return {
    stop: () => {
      isTalking = false;
      return count;
    },
  };
}

describe('rekey', () => {
  it('loses no frame while keys change under traffic', async () => {
    const { sim, a, b } = await linked(30, 2000);
    const talking = talk(sim, a, b, 5);
    await sim.run(30_000);
    const said = talking.stop();
    await sim.run(100);
    assert.equal(a.frames.length, said);
    assert.equal(b.frames.length, said);
    assert.equal(a.plane.readCounters().sessions.length, 1);
    await sim.stopAll();
  });

  it('goes on past phase 255 and 256', async () => {
    const { sim, a, b } = await linked(31, 500);
    await sim.run(500 * 300);
    const before = b.frames.length;
    a.say(b, 'still there');
    await sim.run(50);
    assert.equal(b.frames.length, before + 1);
    assert.ok(!a.codes().includes('peer-lost'));
    assert.equal(a.codes().filter((code) => code === 'peer-established').length, 1);
    await sim.stopAll();
  });

  it('keeps going when 30 % is lost', async () => {
    const { sim, a, b } = await linked(32, 3000);
    sim.network.setAll({ loss: 0.3, jitterMs: 20 });
    const talking = talk(sim, a, b, 50);
    await sim.run(120_000);
    const said = talking.stop();
    assert.ok(b.frames.length > said * 0.6, `${b.frames.length} of ${said}`);
    sim.network.setAll({ loss: 0, jitterMs: 0 });
    await sim.until('linked', () => a.sees(b) && b.sees(a), 10_000);
    await sim.stopAll();
  });

  it('is made every two minutes by default, and a link lasts for hours', async () => {
    const { sim, a, b } = await twoLinkedNodes(33);
    await sim.run(2 * 3_600_000);
    assert.ok(a.sees(b) && b.sees(a));
    assert.ok(!a.codes().includes('peer-lost'));
    assert.equal(a.plane.readCounters().sessions.length, 1);
    a.say(b, 'after hours');
    await sim.until('heard', () => b.heard('after hours'), 100);
    await sim.stopAll();
  });

  for (const name of ['a', 'b'] as const) {
    it(`is made at once when counters of ${name} come near their limit, whoever dialled`, async () => {
      const { sim, a, b } = await linked(35, 10_000_000);
      const [session] = a.plane.readCounters().sessions;
      (name === 'a' ? a : b).plane.reachLimits();
      const phases = () => [a, b].map((node) => node.plane.readCounters().totals['txPhases']);
      await sim.until('both send in a new phase', () => phases().every((n) => n === 1n), 1000);
      for (let asked = 0; asked < 50; asked++) {
        a.plane.reachLimits();
        await sim.run(100);
      }
      assert.ok((phases()[0] ?? 0n) <= 3n, 'asking again and again changes little');
      assert.equal(a.plane.readCounters().sessions[0]?.session, session?.session);
      await sim.stopAll();
    });
  }

  it('is replaced by a new handshake when REKEY never gets through', async () => {
    // A responder that ignores REKEY1 is made by an initiator whose interval never comes.
    const sim = await Sim.create(34);
    const a = sim.node('a', { options: { rekeyAfterMs: 10_000_000 } });
    const b = sim.node('b', { peers: [a.address], options: { rekeyAfterMs: 10_000_000 } });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    const talking = talk(sim, a, b, 100);
    const [first] = a.plane.readCounters().sessions;
    await sim.run(400_000);
    const said = talking.stop();
    await sim.run(100);
    assert.ok(a.sees(b) && b.sees(a));
    assert.ok(!a.codes().includes('peer-lost'), 'the link was never lost');
    assert.notEqual(a.plane.readCounters().sessions[0]?.session, first?.session);
    assert.equal(b.frames.length, said);
    await sim.stopAll();
  });
});
