import assert from 'node:assert/strict';

import { PORT, Sim } from './harness.js';

describe('joining', () => {
  it('goes on by itself when the node with the contact was started first', async () => {
    const sim = await Sim.create(2);
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    await b.start();
    await sim.run(120_000);
    await a.start();
    await sim.until('both see each other', () => a.sees(b) && b.sees(a), 2500);
    await sim.stopAll();
  });

  it('ends in one session when both dial each other at the same moment', async () => {
    const sim = await Sim.create(3);
    const a = sim.node('a', { peers: ['192.0.2.2'] });
    const b = sim.node('b', { peers: ['192.0.2.1'] });
    await Promise.all([a.start(), b.start()]);
    await sim.until('both see each other', () => a.sees(b) && b.sees(a), 1000);
    await sim.run(20_000);
    const sessionsOf = (node: typeof a) => node.plane.readCounters().sessions;
    assert.equal(sessionsOf(a).length, 1);
    assert.equal(sessionsOf(b).length, 1);
    a.say(b, 'over the one kept');
    await sim.until('the frame arrives', () => b.heard('over the one kept'), 100);
    assert.deepEqual(a.daemon.control.status().peers, { known: 2, reachable: 2 });
    await sim.stopAll();
  });

  it('works over a network that loses 30 % and duplicates and reorders the rest', async () => {
    for (const seed of [10, 11, 12, 13, 14]) {
      const sim = await Sim.create(seed);
      sim.network.setAll({ loss: 0.3, duplicates: 0.1, delayMs: 5, jitterMs: 40 });
      const a = sim.node('a');
      const b = sim.node('b', { peers: [a.address] });
      await a.start();
      await b.start();
      await sim.until(`seed ${seed}: both see each other`, () => a.sees(b) && b.sees(a), 10_000);
      await sim.stopAll();
    }
  });

  it('takes names: all addresses are tried, and looked up again at every attempt', async () => {
    const sim = await Sim.create(4);
    const a = sim.node('a');
    const b = sim.node('b', { peers: ['a.example'] });
    await a.start();
    await b.start();
    await sim.run(3000);
    assert.ok(b.codes().includes('contact-unresolved'));
    sim.names.set('a.example', ['198.51.100.7', a.address]);
    await sim.until('both see each other', () => a.sees(b) && b.sees(a), 3000);
    const [contact] = b.daemon.control.status().contacts;
    assert.deepEqual(contact, {
      contact: `a.example:${PORT}`,
      state: 'established',
      peer: a.id,
      reason: null,
    });
    await sim.stopAll();
  });

  it('marks its own address and never dials it again', async () => {
    const sim = await Sim.create(5);
    const a = sim.node('a', { peers: ['192.0.2.1'] });
    await a.start();
    await sim.run(5000);
    const before = sim.network.delivered;
    await sim.run(600_000);
    assert.equal(sim.network.delivered, before);
    assert.deepEqual(
      a.codes().filter((code) => code === 'contact-is-self'),
      ['contact-is-self'],
    );
    assert.equal(a.daemon.control.status().peers.known, 1);
    await sim.stopAll();
  });

  it('refuses a wrong password, says so once, and leaves the right pair alone', async () => {
    const sim = await Sim.create(6);
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    const wrong = sim.node('wrong', { peers: [a.address], password: 'another' });
    await a.start();
    await b.start();
    await wrong.start();
    await sim.run(120_000);
    assert.equal(wrong.daemon.control.status().peers.reachable, 1);
    const said = wrong.events.filter((event) => event.code === 'wrong-password');
    assert.equal(said.length, 1);
    assert.match(said[0]?.cure ?? '', /--password/);
    const [contact] = wrong.daemon.control.status().contacts;
    assert.equal(contact?.state, 'rejected');
    assert.ok(a.codes().includes('password-suspected'), 'the responder suspects it');
    assert.ok(a.sees(b) && b.sees(a));
    assert.ok(!a.codes().includes('peer-lost'));
    assert.deepEqual(a.daemon.control.status().peers, { known: 2, reachable: 2 });
    await sim.stopAll();
  });

  it('joins within seconds once the wrong password was put right', async () => {
    const sim = await Sim.create(7);
    const a = sim.node('a', { password: 'old' });
    const b = sim.node('b', { peers: [a.address] });
    const right = sim.node('a2', { underlay: ['192.0.2.1'] });
    await a.start();
    await b.start();
    await sim.run(60_000);
    await a.stop();
    await right.start();
    await sim.until('both see each other', () => right.sees(b) && b.sees(right), 12_000);
    await sim.stopAll();
  });

  it('tells another mesh name from silence', async () => {
    const sim = await Sim.create(8);
    const a = sim.node('a', { options: { meshName: 'blue' } });
    const b = sim.node('b', { peers: [a.address], options: { meshName: 'red' } });
    await a.start();
    await b.start();
    await sim.run(30_000);
    assert.equal(b.events.filter((event) => event.code === 'other-mesh').length, 1);
    assert.equal(b.daemon.control.status().contacts[0]?.state, 'rejected');
    assert.ok(a.codes().includes('other-mesh'));
    await sim.stopAll();
  });

  it('says on both sides that no cipher is common', async () => {
    const sim = await Sim.create(9);
    const a = sim.node('a', { options: { suites: [1] } });
    const b = sim.node('b', { peers: [a.address], options: { suites: [2] } });
    await a.start();
    await b.start();
    await sim.run(10_000);
    assert.ok(a.codes().includes('no-common-cipher'));
    assert.equal(b.events.filter((event) => event.code === 'no-common-cipher').length, 1);
    await sim.stopAll();
  });

  it('meets a copy of this machine with an error, not with a link', async () => {
    const sim = await Sim.create(15);
    const a = sim.node('a');
    const copy = sim.node('copy', { peers: [a.address], identityOf: a });
    await a.start();
    await copy.start();
    await sim.run(10_000);
    assert.ok(
      copy.events.some((event) => event.code === 'clone-detected' && event.level === 'error'),
    );
    assert.equal(copy.daemon.control.status().peers.reachable, 1);
    await sim.stopAll();
  });

  it('links eight nodes without discovery to exactly the contacts they were given', async () => {
    const sim = await Sim.create(16);
    const nodes = Array.from({ length: 8 }, (_, index) =>
      sim.node(`n${index}`, {
        peers: index === 0 ? [] : [`192.0.2.${index}`],
        options: { discovery: false },
      }),
    );
    for (const node of nodes) await node.start();
    const isChained = () =>
      nodes.every(
        (node, index) =>
          index === 0 || (node.sees(nodes[index - 1]!) && nodes[index - 1]!.sees(node)),
      );
    await sim.until('each sees its neighbours', isChained, 2000);
    await sim.run(60_000);
    assert.ok(isChained());
    const direct = nodes.map(
      (node) => node.daemon.control.routes().routes.filter(({ path }) => path === 'direct').length,
    );
    assert.deepEqual(direct, [1, 2, 2, 2, 2, 2, 2, 1]);
    await sim.stopAll();
  });
});
