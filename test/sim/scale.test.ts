import assert from 'node:assert/strict';

import { APPETITE_IDLE_MS, NEIGHBOURS } from '../../src/link/constants.js';
import type { Sim, SimNode } from './harness.js';
import { arpRequestFrom, broadcastFrom, established, meshFromMemory, rootOf } from './mesh.js';

const COUNT = 72;

describe('a mesh of more than 64 peers', function () {
  this.timeout(600_000);
  let sim: Sim;
  let nodes: readonly SimNode[];

  before(async () => {
    ({ sim, nodes } = await meshFromMemory(COUNT, 71));
    await sim.run(30_000);
  });

  after(() => sim.stopAll());

  const strangers = (): [SimNode, SimNode] => {
    for (const a of nodes) {
      for (const b of nodes) if (a !== b && !a.sees(b) && !b.sees(a)) return [a, b];
    }
    return assert.fail('everybody is linked with everybody');
  };

  it('keeps a few neighbours each, knows all, and loses no link', () => {
    const links = nodes.map(established);
    assert.ok(Math.min(...links) >= NEIGHBOURS, `${Math.min(...links)} links`);
    const mean = links.reduce((sum, count) => sum + count, 0) / nodes.length;
    assert.ok(mean <= 2 * NEIGHBOURS + 1, `${mean} links on average`);
    assert.ok(nodes.every((node) => !node.codes().includes('peer-lost')));
    assert.ok(nodes.every((node) => node.daemon.control.status().peers.reachable === COUNT));
  });

  it('has the same records everywhere within a minute', async () => {
    await sim.until('same roots', () => new Set(nodes.map(rootOf)).size === 1, 60_000);
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
    await sim.run(150_000);
    assert.ok(!a.sees(b) && !b.sees(a));
    assert.ok(a.codes().includes('peer-idle') && !a.codes().includes('peer-lost'));
  });

  it('opens a session with whom an ARP request asks for, and with nobody else', async () => {
    const [a, b] = strangers();
    const before = established(a);
    const [address] = b.daemon.control.status().self.addresses[0]!.split('/');
    a.plane.injectFrame(arpRequestFrom(a, address!));
    await sim.until('linked', () => a.sees(b), 1000);
    assert.ok(established(a) <= before + 1);
  });

  it('reaches everybody with a flood that is said again', async () => {
    const [a] = nodes;
    assert.ok(a);
    const stop = sim.every(1000, () => a.plane.injectFrame(broadcastFrom(a, 'to all')));
    const hasReached = (): boolean => nodes.every((node) => node === a || node.heard('to all'));
    await sim.until('all heard it', hasReached, 15_000);
    stop();
  });
});
