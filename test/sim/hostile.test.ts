import assert from 'node:assert/strict';

import { meshIdOf } from '../../src/crypto/mesh.js';
import { CONTROL } from '../../src/wire/control-types.js';
import { Sim, twoLinkedNodes, type SimNode } from './harness.js';

const STRANGER = { family: 4, address: '203.0.113.66', port: 1 } as const;

function sendTo(sim: Sim, node: SimNode, bytes: Uint8Array): void {
  const to = { family: 4, address: node.address, port: 6783 } as const;
  sim.network.send(STRANGER, to, { bytes: bytes.length, payload: bytes });
}

describe('hostile datagrams', () => {
  it('of random bytes in every handshake type disturb nothing', async () => {
    const { sim, a, b } = await twoLinkedNodes(40);
    for (let round = 0; round < 400; round++) {
      const type = 1 + (round % 5);
      const bytes = sim.rng.bytes(type >= 4 ? 64 : 512);
      bytes[0] = type;
      bytes[1] = 1;
      sendTo(sim, a, bytes);
      await sim.run(5);
    }
    await sim.run(6000);
    assert.ok(a.sees(b) && b.sees(a));
    a.say(b, 'unharmed');
    await sim.until('heard', () => b.heard('unharmed'), 100);
    await sim.stopAll();
  });

  it('with each byte of a valid handshake turned never link, and never stop the right one', async () => {
    const sim = await Sim.create(41);
    const captured: Uint8Array[] = [];
    sim.network.onSend((_from, _to, payload) => {
      if (payload instanceof Uint8Array && payload.length === 512) captured.push(payload.slice());
    });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    assert.ok(captured.length >= 3);
    for (const original of captured.slice(0, 3)) {
      for (let at = 0; at < original.length; at += 3) {
        const turned = original.slice();
        turned[at] = (turned[at] ?? 0) ^ 0x40;
        sendTo(sim, a, turned);
        sendTo(sim, b, turned);
        if (at % 30 === 0) await sim.run(20);
      }
    }
    await sim.run(6000);
    assert.ok(a.sees(b) && b.sees(a));
    assert.deepEqual(a.daemon.control.status().peers, { known: 2, reachable: 2 });
    assert.equal(a.plane.readCounters().sessions.length, 1);
    await sim.stopAll();
  });

  it('replayed from an old handshake open nothing', async () => {
    const sim = await Sim.create(42);
    const captured: Uint8Array[] = [];
    sim.network.onSend((_from, _to, payload) => {
      if (payload instanceof Uint8Array) captured.push(payload.slice());
    });
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    await sim.run(20_000);
    const session = a.plane.readCounters().sessions[0]?.session;
    for (const bytes of [...captured]) sendTo(sim, a, bytes);
    await sim.run(10_000);
    assert.deepEqual(
      a.plane.readCounters().sessions.map((counters) => counters.session),
      [session],
    );
    await sim.stopAll();
  });

  it('in a flood leave the daemon with a bounded table and the members served', async () => {
    const { sim, a, b } = await twoLinkedNodes(43);
    const late = sim.node('late', { peers: [a.address] });
    let isFlooding = true;
    let count = 0;
    const meshId = meshIdOf('default');
    const flood = () => {
      if (!isFlooding) return;
      for (let index = 0; index < 20; index++) {
        count += 1;
        const init = new Uint8Array(512);
        init.set([1, 1]);
        init.set(sim.rng.bytes(4), 4);
        init.set(meshId, 8);
        init.set(sim.rng.bytes(48), 24);
        init.set([7], 72);
        const from = { ...STRANGER, address: `198.18.${count % 250}.${(count >> 8) % 250}` };
        const to = { family: 4, address: a.address, port: 6783 } as const;
        sim.network.send(from, to, { bytes: 512, payload: init });
      }
      sim.time.at(50, flood);
    };
    flood();
    await sim.run(10_000);
    a.say(b, 'during the flood');
    await sim.until('heard', () => b.heard('during the flood'), 100);
    isFlooding = false;
    await sim.run(1000);
    await late.start();
    await sim.until('a newcomer is served', () => late.sees(a) && a.sees(late), 10_000);
    await sim.stopAll();
  });
});

describe('a hostile member', () => {
  it('that sends broken control messages breaks nothing', async () => {
    const { sim, a, b } = await twoLinkedNodes(44);
    const session = b.plane.readCounters().sessions[0]?.session ?? 0;
    const types = [...Object.values(CONTROL).filter((type) => type !== CONTROL.CLOSE), 99, 255];
    for (const type of types) {
      for (const length of [0, 1, 7, 40, 200]) {
        const body = sim.rng.bytes(length);
        b.plane.send([{ kind: 'control', session, path: 0, type, body }]);
      }
    }
    await sim.run(2000);
    assert.ok(a.sees(b) && b.sees(a));
    assert.equal(a.peerRow(b)?.nickname, 'b');
    await sim.stopAll();
  });
});
