import assert from 'node:assert/strict';

import { macBytes, parseMac, type Mac } from '../../src/model/mac.js';
import { macOfPeer } from '../../src/model/peer-id.js';
import { Sim, type SimNode } from './harness.js';
import { arpRequestFrom } from './mesh.js';

/* A question for an address of the mesh: a answers for c from the records, and b never hears of it. */

const GUEST = parseMac('02:00:00:00:77:01') as Mac;
const OTHER = parseMac('02:00:00:00:77:02') as Mac;
const SHARED = '192.168.7.9';
const SOON_MS = 3000;

describe('who has an address', () => {
  let sim: Sim;
  let [a, b, c]: SimNode[] = [];

  beforeEach(async () => {
    sim = await Sim.create(17);
    const first = sim.node('a');
    [a, b, c] = [first, ...['b', 'c'].map((name) => sim.node(name, { peers: [first.address] }))];
    for (const node of sim.nodes) await node.start();
    const isWhole = (): boolean =>
      sim.nodes.every((node) => sim.nodes.every((other) => other === node || node.sees(other)));
    await sim.until('linked', isWhole, 5000);
  });

  afterEach(() => sim.stopAll());

  const question = (node: SimNode, target: string): Uint8Array => {
    const frame = arpRequestFrom(node, target);
    frame.set(macBytes(macOfPeer(node.id)), 22);
    frame.set([192, 168, 7, 1], 28);
    return frame;
  };
  /** The MAC that a's own data plane says; undefined: it asks all. */
  const answerTo = (target: string): string | undefined => {
    const before = a!.written.length;
    a!.plane.injectFrame(question(a!, target));
    const answer = a!.written.slice(before).find((frame) => frame[21] === 2);
    return answer && Buffer.from(answer.subarray(22, 28)).toString('hex');
  };
  const hex = (mac: Mac): string => mac.replaceAll(':', '');
  /** Until a's answer is that; it asks ten times a second. */
  const untilAnswer = async (mac: Mac | undefined, target = SHARED, withinMs = 3000) => {
    let said: string | undefined = 'not asked';
    const stop = sim.every(100, () => (said = answerTo(target)));
    const expected = mac && hex(mac);
    await sim.until(`answer ${expected ?? 'none'}`, () => said === expected, withinMs);
    stop();
  };

  it('is known of every node, as soon as its record came', async () => {
    const target = c!.daemon.control.status().self.addresses[0]!.split('/')[0]!;
    await untilAnswer(macOfPeer(c!.id), target);
    await sim.run(100);
    const heard = b!.frames.length;
    assert.equal(answerTo(target), hex(macOfPeer(c!.id)));
    await sim.run(100);
    assert.equal(b!.frames.length, heard);
    assert.ok((a!.daemon.control.report().counters['neighbours_answered'] ?? 0) > 0);
  });

  it('follows what is attached: from host to host, to another MAC, and away', async () => {
    c!.daemon.setPorts(0, [{ mac: GUEST, addresses: [`${SHARED}/24`] }]);
    await untilAnswer(GUEST);
    c!.daemon.setPorts(0, [{ mac: OTHER, addresses: [`${SHARED}/24`] }]);
    await untilAnswer(OTHER);
    c!.daemon.setPorts(0, []);
    b!.daemon.setPorts(0, [{ mac: GUEST, addresses: [`${SHARED}/24`] }]);
    await untilAnswer(GUEST);
    assert.equal(a!.plane.dumpFdb().find(({ mac }) => mac === GUEST)?.isDeclared, true);
    b!.daemon.setPorts(0, []);
    await untilAnswer(undefined);
  });

  it('is nobody’s word while two say it of different MACs', async () => {
    c!.daemon.setPorts(0, [{ mac: GUEST, addresses: [SHARED] }]);
    await untilAnswer(GUEST);
    b!.daemon.setPorts(0, [{ mac: OTHER, addresses: [SHARED] }]);
    await untilAnswer(undefined);
    b!.daemon.setPorts(0, []);
    await untilAnswer(GUEST);
  });

  it('is asked of all while its host is out of reach', async () => {
    c!.daemon.setPorts(0, [{ mac: GUEST, addresses: [SHARED] }]);
    await untilAnswer(GUEST);
    c!.kill();
    await untilAnswer(undefined, SHARED, 60_000);
    await c!.start();
    c!.daemon.setPorts(0, [{ mac: GUEST, addresses: [SHARED] }]);
    await untilAnswer(GUEST, SHARED, 30_000);
  });

  it('of the pool is the word of its title’s holder only', async () => {
    const asked = c!.daemon.addresses.give('guest', undefined);
    let given = '';
    void asked.then((cidr) => (given = cidr));
    await sim.until('given', () => given !== '', 60_000);
    const address = given.split('/')[0]!;
    b!.daemon.setPorts(0, [{ mac: OTHER, addresses: [given] }]);
    await sim.run(SOON_MS);
    assert.equal(answerTo(address), undefined);
    c!.daemon.setPorts(0, [{ mac: GUEST, addresses: [given] }]);
    await untilAnswer(GUEST, address);
  });
});
