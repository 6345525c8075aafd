import assert from 'node:assert/strict';

import type { Sim, SimNode } from './harness.js';
import { arpRequestFrom, broadcastFrom, established, meshFromMemory } from './mesh.js';

const COUNT = 72;
const COPIES = 16;
const DEAD = 7;

describe('floods in a mesh of more members than copies are made for', function () {
  this.timeout(600_000);
  let sim: Sim;
  let nodes: readonly SimNode[];
  let marks = 0;

  before(async () => {
    ({ sim, nodes } = await meshFromMemory(COUNT, 29, { floodCopies: COPIES }));
    await sim.run(5000);
  });

  after(() => sim.stopAll());

  const alive = (): readonly SimNode[] => nodes.filter((node) => node.isRunning);
  /** How often each of the others hears a new flood of the node. */
  const flood = async (from: SimNode): Promise<readonly number[]> => {
    const text = `flood ${marks++}.`;
    from.plane.injectFrame(broadcastFrom(from, text));
    await sim.run(100);
    return alive()
      .filter((node) => node !== from)
      .map(({ frames }) => frames.filter((frame) => textOf(frame).startsWith(text)).length);
  };
  const textOf = (frame: Uint8Array): string => Buffer.from(frame.subarray(14)).toString();
  const isOnce = (counts: readonly number[]): boolean => counts.every((count) => count === 1);

  it('reach everybody once, over the links that there are', async () => {
    const before = nodes.map(established);
    for (const from of nodes.slice(0, 6)) assert.ok(isOnce(await flood(from)));
    const links = nodes.map(established);
    assert.ok(links.every((count, at) => count <= before[at]! + 2));
    assert.ok(Math.max(...links) < COUNT - 1);
  });

  it('teach where a MAC is, so that it is answered directly', async () => {
    const [a, b] = strangers();
    await flood(a);
    a.say(b, 'hello');
    await sim.until('linked', () => a.sees(b), 1000);
  });

  it('open a session with whom an ARP request asks for, and with nobody for other questions', async () => {
    const [a, b] = strangers();
    const before = established(a);
    const [address] = b.daemon.control.status().self.addresses[0]!.split('/');
    a.plane.injectFrame(arpRequestFrom(a, address!));
    await sim.until('linked', () => a.sees(b), 1000);
    assert.ok(established(a) <= before + 1);
  });

  it('reach all who live while members die', async () => {
    for (const dead of nodes.slice(40, 40 + DEAD)) {
      dead.kill();
      assert.ok(isOnce(await flood(nodes[20]!)));
    }
    await sim.run(1000);
    for (const from of alive().slice(0, 3)) assert.ok(isOnce(await flood(from)));
  });

  const strangers = (): [SimNode, SimNode] => {
    for (const a of nodes) {
      for (const b of nodes) if (a !== b && !a.sees(b) && !b.sees(a)) return [a, b];
    }
    return assert.fail('everybody is linked with everybody');
  };
});
