import assert from 'node:assert/strict';

import { Sim, twoLinkedNodes } from './harness.js';

describe('an underlay that drops UDP', () => {
  it('is crossed by TCP within 10 s, and left for UDP within 60 s after it passes', async () => {
    const sim = await Sim.create(61);
    sim.network.setAll({ isUdpBlocked: true });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    const tookMs = await sim.until('linked', () => a.sees(b) && b.sees(a), 10_000);
    assert.equal(b.peerRow(a)?.path, 'tcp');
    a.say(b, 'by TCP');
    b.say(a, 'and back');
    await sim.until('frames pass', () => b.heard('by TCP') && a.heard('and back'), 1000);
    // Long enough for every pause of asking to have grown.
    await sim.run(600_000);
    assert.equal(b.peerRow(a)?.path, 'tcp');
    sim.network.setAll({ isUdpBlocked: false });
    const isDirect = () => a.peerRow(b)?.path === 'direct' && b.peerRow(a)?.path === 'direct';
    const backMs = await sim.until('both are direct', isDirect, 60_000);
    await sim.run(120_000);
    assert.ok(a.sees(b) && b.sees(a) && isDirect());
    console.log(`      by TCP after ${tookMs} ms, by UDP ${backMs} ms after it passed`);
    await sim.stopAll();
  });

  it('while a link stands: TCP takes over within 10 s, and again after the next time', async () => {
    const { sim, a, b } = await twoLinkedNodes(62);
    for (let round = 0; round < 2; round++) {
      sim.network.setAll({ isUdpBlocked: true });
      const isByTcp = () => a.peerRow(b)?.path === 'tcp' && b.peerRow(a)?.path === 'tcp';
      // Idle paths are asked every 15 s: let there be frames.
      for (let step = 0; step < 50 && !(isByTcp() && a.sees(b) && b.sees(a)); step++) {
        a.say(b, 'still there?');
        await sim.run(200);
      }
      assert.ok(isByTcp());
      sim.network.setAll({ isUdpBlocked: false });
      const isDirect = () => a.peerRow(b)?.path === 'direct' && b.peerRow(a)?.path === 'direct';
      await sim.until('direct again', isDirect, 60_000);
      await sim.run(100_000);
    }
    await sim.stopAll();
  });

  it('drops a link whose connection ends, and finds the next one', async () => {
    const sim = await Sim.create(63);
    sim.network.setAll({ isUdpBlocked: true });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 10_000);
    await a.stop();
    await sim.until('b knows', () => !b.sees(a), 5000);
    await a.start();
    await sim.until('linked again', () => a.sees(b) && b.sees(a), 20_000);
    await sim.stopAll();
  });
});
