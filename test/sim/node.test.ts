import assert from 'node:assert/strict';

import { identityAddress } from '../../src/daemon/own-address.js';
import { macOfPeer } from '../../src/model/peer-id.js';
import { macBytes, macFromBytes, parseMac } from '../../src/model/mac.js';
import { Sim, SimHost, twoLinkedNodes } from './harness.js';

describe('a node', () => {
  afterEach(() => {
    SimHost.strangers.clear();
  });

  it('is ready at once without any peer, with an address of the last 1/16 of the pool', async () => {
    const sim = await Sim.create(50);
    const a = sim.node('a');
    const beforeMs = sim.time.nowMs();
    await a.start();
    assert.equal(sim.time.nowMs(), beforeMs);
    const status = a.daemon.control.status();
    assert.equal(status.ready, true);
    assert.match(status.self.addresses[0] ?? '', /^10\.47\.\d+\.\d+\/12$/);
    assert.match(status.self.addresses[1] ?? '', /^fd[0-9a-f:]+\/64$/);
    assert.equal(status.self.mac, macOfPeer(a.id));
    await sim.stopAll();
  });

  it('declares the MAC of a peer, and refuses frames with its own', async () => {
    const { sim, a, b } = await twoLinkedNodes(51);
    const [entry] = a.plane.dumpFdb();
    assert.deepEqual(
      { mac: entry?.mac, isDeclared: entry?.isDeclared },
      { mac: macOfPeer(b.id), isDeclared: true },
    );
    await sim.stopAll();
  });

  it('takes no frame from a peer under the MAC of what is attached here', async () => {
    const { sim, a, b } = await twoLinkedNodes(55);
    const guest = macFromBytes(macBytes(macOfPeer(b.id)).map((byte) => byte ^ 4));
    const say = (text: string): void => {
      const frame = new Uint8Array(60);
      frame.set(macBytes(macOfPeer(a.id)), 0);
      frame.set(macBytes(guest), 6);
      frame.set([0x88, 0xb5], 12);
      frame.set(new TextEncoder().encode(text), 14);
      b.plane.injectFrame(frame);
    };
    a.daemon.setPorts(0, [{ mac: guest, addresses: [] }]);
    await sim.run(10);
    say('posing');
    await sim.run(100);
    assert.equal(a.heard('posing'), false);
    assert.equal(a.daemon.control.report().drops['own_source'], 1);
    a.daemon.setPorts(0, []);
    await sim.run(10);
    say('detached there');
    await sim.until('heard', () => a.heard('detached there'), 100);
    await sim.stopAll();
  });

  it('leaves no timer, no session and no interface behind when it stops', async () => {
    const { sim, a, b } = await twoLinkedNodes(52);
    await sim.run(5000);
    await b.stop();
    await a.stop();
    await sim.run(10);
    assert.equal(sim.time.pending, 0);
    assert.ok(!a.host.isUp && !b.host.isUp);
  });

  it('stops twice without harm, and while it starts', async () => {
    const sim = await Sim.create(53);
    const a = sim.node('a', { peers: ['192.0.2.9'] });
    const starting = a.start();
    const daemon = a.daemon;
    await Promise.all([daemon.stop(), starting]);
    await daemon.stop();
    assert.ok(!a.host.isUp);
    await sim.run(100);
    assert.equal(sim.time.pending, 0);
  });

  it('takes down what it brought up when its start fails', async () => {
    const sim = await Sim.create(54);
    const a = sim.node('a');
    a.host.refuse = new Error('no bridge for you');
    await assert.rejects(a.start(), /no bridge for you/);
    assert.equal(sim.time.pending, 0);
    const again = sim.node('again', { underlay: [a.address] });
    await again.start();
    await again.stop();
  });

  it('moves when a peer with a smaller id has its address, and both say so', async () => {
    const sim = await Sim.create(55);
    const a = sim.node('a');
    const b = sim.node('b', { peers: [a.address] });
    const clash = identityAddress(a.id, 0, '10.32.0.0/12') ?? '';
    a.state.saveOwnAddress(clash);
    b.state.saveOwnAddress(clash);
    await a.start();
    await b.start();
    assert.equal(a.host.addresses[0], b.host.addresses[0]);
    await sim.until('they differ', () => a.host.addresses[0] !== b.host.addresses[0], 2000);
    await sim.run(5000);
    const [keeper, mover] = a.id < b.id ? [a, b] : [b, a];
    assert.equal(keeper.host.addresses[0], clash);
    assert.equal(mover.state.ownAddress(), mover.host.addresses[0]);
    assert.ok(mover.codes().includes('address-conflict'));
    assert.deepEqual(keeper.peerRow(mover)?.addresses, mover.host.addresses);
    await mover.stop();
    await mover.start();
    assert.notEqual(mover.host.addresses[0], clash);
    await sim.stopAll();
  });

  it('moves away from a machine behind the mesh that has its address', async () => {
    const { sim, a, b } = await twoLinkedNodes(56);
    await sim.stopAll();
    const before = a.host.addresses;
    await a.start();
    const [address = ''] = (a.host.addresses[0] ?? '').split('/');
    SimHost.strangers.set(address, parseMac('02:00:00:00:00:99')!);
    await b.start();
    await sim.until('it moved', () => !a.host.addresses.includes(`${address}/12`), 3000);
    assert.deepEqual(before, []);
    await sim.stopAll();
  });

  it('keeps a chosen address and says how to resolve the clash', async () => {
    const sim = await Sim.create(57);
    const options = { addressMode: { cidr: '10.1.2.3/24' } } as const;
    const a = sim.node('a', { options });
    const b = sim.node('b', { peers: [a.address], options });
    await a.start();
    await b.start();
    await sim.run(5000);
    assert.equal(a.host.addresses[0], '10.1.2.3/24');
    const said = a.events.filter((event) => event.code === 'address-conflict');
    assert.equal(said.length, 1);
    assert.match(said[0]?.cure ?? '', /--address/);
    await sim.stopAll();
  });

  it('shows the second of two peers with one name as name~id', async () => {
    const sim = await Sim.create(58);
    const a = sim.node('a');
    const first = sim.node('twin', { peers: [a.address] });
    const second = sim.node('twin', { peers: [a.address] });
    await a.start();
    await first.start();
    await sim.until('named', () => a.peerRow(first)?.nickname === 'twin', 2000);
    await second.start();
    const name = `twin~${second.id.slice(0, 4)}`;
    await sim.until('named otherwise', () => a.peerRow(second)?.nickname === name, 2000);
    assert.ok(a.codes().includes('nickname-clash'));
    assert.equal(a.peerRow(first)?.nickname, 'twin');
    await sim.stopAll();
  });

  it('connects on command and forgets on command', async () => {
    const sim = await Sim.create(59);
    const a = sim.node('a');
    const b = sim.node('b');
    await a.start();
    await b.start();
    const outcome = await b.daemon.control.connect([a.address]);
    assert.deepEqual(outcome.contacts, [`${a.address}:6783`]);
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    assert.deepEqual(b.state.contacts(), [`${a.address}:6783`]);
    await assert.rejects(b.daemon.control.connect(['not an endpoint!']), {
      code: 'OVL_ENDPOINT_INVALID',
    });
    const forgotten = await b.daemon.control.forget([a.address, '192.0.2.77']);
    assert.deepEqual(forgotten, { removed: [`${a.address}:6783`], unknown: ['192.0.2.77:6783'] });
    assert.deepEqual(b.daemon.control.status().contacts, []);
    await sim.stopAll();
  });

  it('gives documents with the frozen names, itself first', async () => {
    const { sim, a, b } = await twoLinkedNodes(60);
    await sim.run(2000);
    const { control } = a.daemon;
    const [self, peer] = control.peers().peers;
    assert.equal(self?.self, true);
    assert.equal(peer?.id, b.id);
    assert.equal(peer.path, 'direct');
    assert.equal(peer.cipher, 'aes256gcm');
    assert.equal(peer.pmtu, 1444);
    assert.equal(peer.rttMs, 2);
    const paths = control.paths('b');
    assert.equal(paths.active, 0);
    assert.equal(paths.candidates[0]?.state, 'working');
    assert.equal(paths.lastSwitch?.reason, 'handshake');
    assert.equal(control.routes().routes[0]?.peer, b.id);
    assert.throws(() => control.paths('nobody'), { code: 'OVL_NOT_FOUND' });
    const report = control.report();
    assert.equal(report.fdb[0]?.peer, b.id);
    assert.ok(report.events.some((event) => event.code === 'peer-established'));
    assert.ok(!JSON.stringify(report).includes('secret'));
    await sim.stopAll();
  });

  it('forgets all but its identity on reset', async () => {
    const { sim, a, b } = await twoLinkedNodes(61);
    await a.daemon.control.connect(['192.0.2.200']);
    await a.daemon.control.reset();
    assert.deepEqual(a.state.contacts(), []);
    assert.deepEqual(a.state.knownPeers(), []);
    assert.ok(!a.host.isUp);
    await sim.until('b knows', () => !b.sees(a), 100);
    await b.stop();
  });
});
