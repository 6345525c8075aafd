import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createSystemRng } from '../../src/base/system-rng.js';
import type { TestDaemon } from './lib/daemon.js';
import { Flood } from './lib/flood.js';
import { exchange, nextArrival } from './lib/hostile-member.js';
import { HostileScene } from './lib/hostile-scene.js';
import { datagramsOf } from './lib/pcap.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

const LONG = process.env['OVERLAYD_TEST_LONG'] === '1';
const FORGED = LONG ? 1 << 21 : 1 << 17;
const DATA_TYPE = 0x10;
const rng = createSystemRng();

/** Of any length, mostly with the first bytes of a datagram of ours. */
function randomDatagram(): Uint8Array {
  const bytes = rng.bytes(Math.floor(rng.fraction() ** 3 * 1472));
  const roll = rng.fraction();
  if (bytes.length > 0 && roll < 0.7) {
    bytes[0] = [0x01, 0x02, 0x03, 0x04, 0x05, DATA_TYPE, 0x20][Math.floor(roll * 10)]!;
    if (bytes.length > 1 && rng.fraction() < 0.8) bytes[1] = 1;
  }
  return bytes;
}

/** One bit of every byte turned, and every shorter length. */
function broken(message: Uint8Array): Uint8Array[] {
  const flips = Array.from(message, (byte, at) => {
    const copy = message.slice();
    copy[at] = byte ^ (1 << (at % 8));
    return copy;
  });
  return [...flips, ...Array.from(message, (_byte, length) => message.slice(0, length))];
}

describe("strangers' datagrams", function () {
  this.timeout(LONG ? 180_000 : 120_000);
  let scene: HostileScene;
  let a: TestDaemon;
  let b: TestDaemon;

  async function nothingChanged(): Promise<void> {
    assert.ok(a.isRunning && b.isRunning);
    const report = await a.report();
    const others = report.peers.filter((peer) => !peer.self);
    assert.deepEqual(
      others.map(({ id, state, endpoint }) => [id, state, endpoint]),
      [[(await b.status()).self.id, 'established', `${scene.bob.address()}:6783`]],
    );
    assert.equal(report.counters['sessions'], 1);
    await pingAll(scene.alice, await b.address(4));
  }

  const halfOpenGone = (): Promise<boolean> =>
    waitFor('half-open handshakes to go', 6000, async () => {
      return (await a.report()).counters['half_open'] === 0;
    });

  before(async () => {
    scene = await HostileScene.open();
    ({ a, b } = await scene.startBoth());
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await scene.topology.logs());
  });
  after(() => scene.close());

  it('of random bytes, 10 000 of them, change nothing', async () => {
    const member = `${scene.bob.address()}:6783`;
    for (let round = 0; round < 100; round++) {
      const load = Array.from({ length: 100 }, randomDatagram);
      await scene.attacker.send(round % 2 === 0 ? scene.newSource() : member, scene.target, load);
    }
    await halfOpenGone();
    await nothingChanged();
  });

  it('with a byte of INIT, RESP or FIN turned or the end cut off open no session; the genuine ones do', async () => {
    const { attacker, target, prs } = scene;
    const at = scene.newSource();
    const genuine = await exchange(attacker, at, target, prs);
    for (const message of [genuine.init, genuine.resp, genuine.fin]) {
      // Below the gate's rate for strangers: most of them are to reach the control plane.
      const all = broken(message);
      for (let first = 0; first < all.length; first += 64) {
        await attacker.send(at, target, all.slice(first, first + 64));
        await delay(50);
      }
    }
    await nothingChanged();
    await halfOpenGone();
    // What it was broken from has expired by now; a new one goes through, broken FINs first.
    const again = scene.newSource();
    const second = await exchange(attacker, again, target, prs);
    await attacker.send(again, target, broken(second.fin).slice(0, 400));
    const answer = nextArrival(attacker, again, 2000);
    await attacker.send(again, target, [second.fin]);
    assert.equal((await answer)?.bytes[0], DATA_TYPE, 'the genuine FIN is answered by DATA');
    assert.equal((await a.report()).counters['sessions'], 2);
  });

  it(`that forge DATA of a live session, ${String(FORGED)} of them, are counted and do not end it`, async () => {
    const capture = await scene.lan.capture('p1');
    await pingAll(scene.bob, await a.address(4), { count: 5 });
    const seen = datagramsOf(await capture.stop()).findLast(
      ({ source, payload }) => source === scene.bob.address() && payload[0] === DATA_TYPE,
    );
    assert.ok(seen, 'a datagram of the session was captured');
    const template = Buffer.concat([seen.payload.subarray(0, 16), rng.bytes(84)]);
    const before = await a.report();
    const flood = await Flood.build(scene.topology);
    const sent = await flood.run(scene.mallory, {
      ...{ from: `${scene.bob.address()}:6783`, to: scene.target },
      ...{ count: FORGED, perSecond: 40_000, template, random: [[16, 84]] },
      counterAt: 8,
    });
    assert.equal(sent, FORGED);
    const after = await waitFor('the queue to be empty', 5000, async () => {
      const report = await a.report();
      const lost = report.counters['rxq_overflow']! - before.counters['rxq_overflow']!;
      // The first few have counters that bob used or was about to use; beyond those all fail the tag.
      const forged = report.drops['forged']! - before.drops['forged']!;
      const replayed = report.drops['replay']! - before.drops['replay']!;
      return forged + replayed + lost >= FORGED && { forged, replayed, lost };
    });
    assert.ok(after.forged + after.replayed + after.lost === FORGED, JSON.stringify(after));
    assert.ok(after.replayed <= 100, JSON.stringify(after));
    await pingAll(scene.bob, await a.address(4));
    assert.equal((await b.report()).counters['sessions'], 1);
  });
});
