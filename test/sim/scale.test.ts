import assert from 'node:assert/strict';

import { APPETITE_IDLE_MS, NEIGHBOURS } from '../../src/link/constants.js';
import { macOfPeer } from '../../src/model/peer-id.js';
import { macBytes } from '../../src/model/mac.js';
import type { Sim, SimNode } from './harness.js';
import { established, knownTo, meshOf, rootOf } from './mesh.js';

describe('a mesh of more than 64 peers', function () {
  this.timeout(60_000);
  let sim: Sim;
  let nodes: readonly SimNode[];

  before(async () => {
    ({ sim, nodes } = await meshOf(80, 71));
    await sim.until('all know all', () => nodes.every((node) => knownTo(node) === 80), 20_000);
  });

  after(() => sim.stopAll());

  const strangers = (): [SimNode, SimNode] => {
    for (const a of nodes) {
      for (const b of nodes) if (a !== b && !a.sees(b) && !b.sees(a)) return [a, b];
    }
    return assert.fail('everybody is linked with everybody');
  };

  it('keeps a few neighbours each, closes what nobody needs, and loses no link', async () => {
    await sim.run(150_000);
    const links = nodes.map(established);
    assert.ok(Math.min(...links) >= NEIGHBOURS, `${Math.min(...links)} links`);
    const mean = links.reduce((sum, count) => sum + count, 0) / nodes.length;
    assert.ok(mean <= 2 * NEIGHBOURS + 1, `${mean} links on average`);
    assert.ok(nodes.every((node) => !node.codes().includes('peer-lost')));
    assert.ok(nodes.every((node) => node.daemon.control.status().peers.reachable === 80));
    assert.equal(new Set(nodes.map(rootOf)).size, 1, 'all have the same records');
  });

  it('opens a session for the first frame, and closes it when none came for long', async () => {
    const [a, b] = strangers();
    assert.equal(a.peerRow(b)?.state, 'idle');
    a.say(b, 'first frame');
    await sim.until('linked', () => a.sees(b) && b.sees(a), 1000);
    a.say(b, 'second frame');
    await sim.until('heard', () => b.heard('second frame'), 100);
    await sim.run(APPETITE_IDLE_MS - 60_000);
    assert.ok(a.sees(b), 'kept while it may be used again');
    await sim.run(180_000);
    assert.ok(!a.sees(b) && !b.sees(a));
    assert.ok(a.codes().includes('peer-idle') && !a.codes().includes('peer-lost'));
  });

  it('opens a session with whom an ARP request asks for, and with nobody else', async () => {
    const [a, b] = strangers();
    const before = established(a);
    const [address] = b.daemon.control.status().self.addresses[0]!.split('/');
    a.plane.injectFrame(arpRequest(a, address!));
    await sim.until('linked', () => a.sees(b), 1000);
    assert.ok(established(a) <= before + 1);
  });

  it('reaches everybody with a flood that is said again', async () => {
    const [a] = nodes;
    assert.ok(a);
    const frame = new Uint8Array(60).fill(0xff, 0, 6);
    frame.set(macBytes(macOfPeer(a.id)), 6);
    frame.set([0x88, 0xb5], 12);
    frame.set(new TextEncoder().encode('to all'), 14);
    await sim.until(
      'all heard it',
      () => {
        if (sim.time.nowMs() % 1000 === 0) a.plane.injectFrame(frame);
        return nodes.every((node) => node === a || node.heard('to all'));
      },
      15_000,
    );
  });
});

function arpRequest(from: SimNode, target: string): Uint8Array {
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(macBytes(macOfPeer(from.id)), 6);
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1], 12);
  frame.set(target.split('.').map(Number), 38);
  return frame;
}
