import assert from 'node:assert/strict';

import { Listeners } from '../../../src/ethernet/listeners.js';
import { queryFrame } from '../../../src/ethernet/query-frame.js';
import { joinV2, leaveV2, macOf, queryV2, reportV3 } from './fixtures.js';

const SOURCE = macOf('02:00:00:00:00:08');
const G1 = '239.1.2.3';
const M1 = '01:00:5e:01:02:03';

/** Runs the machine's deadlines up to a time, and says when it asked what. */
function runTo(listeners: Listeners, untilMs: number): { atMs: number; frame: Uint8Array }[] {
  const asked: { atMs: number; frame: Uint8Array }[] = [];
  while (listeners.nextDeadlineMs <= untilMs) {
    const atMs = listeners.nextDeadlineMs;
    for (const frame of listeners.onDeadline(atMs)) asked.push({ atMs, frame });
    assert.ok(listeners.nextDeadlineMs > atMs, 'a deadline that does not pass');
  }
  return asked;
}

const isSpecific = (frame: Uint8Array): boolean => frame[0] === 1 && frame[5] !== 1;

describe('listeners of this host', () => {
  let listeners: Listeners;
  beforeEach(() => {
    listeners = new Listeners(SOURCE, 0);
  });

  it('are asked twice at the start, for both families, then every 125 s', () => {
    const atMs = runTo(listeners, 260_000).map((asked) => asked.atMs);
    assert.deepEqual(atMs, [0, 0, 1500, 1500, 126_500, 126_500, 251_500, 251_500]);
  });

  it('want everything until the first answers are in', () => {
    assert.equal(listeners.listening(0).wantsEverything, true);
    assert.equal(listeners.settlesAtMs(0), 3000);
    assert.equal(listeners.listening(3000).wantsEverything, false);
  });

  it('stay while they report, and go 260 s after the last report', () => {
    listeners.onFrame(joinV2(G1), 0, 0);
    listeners.onFrame(reportV3([2, G1, 0]), 0, 200_000);
    runTo(listeners, 459_000);
    assert.deepEqual(listeners.listening(459_000).groups, [M1]);
    runTo(listeners, 460_000);
    assert.deepEqual(listeners.listening(460_000).groups, []);
  });

  it('of a group that one leaves are asked twice, and it goes when nobody answers', () => {
    runTo(listeners, 5000);
    listeners.onFrame(joinV2(G1), 0, 5000);
    listeners.onFrame(leaveV2(G1), 0, 10_000);
    const asked = runTo(listeners, 12_200);
    assert.deepEqual(
      asked.map(({ atMs }) => atMs),
      [10_000, 11_000],
    );
    assert.ok(asked.every(({ frame }) => isSpecific(frame)));
    assert.deepEqual(listeners.listening(12_200).groups, [M1]);
    runTo(listeners, 12_300);
    assert.deepEqual(listeners.listening(12_300).groups, []);
  });

  it('of a group that one leaves keep it when another answers, also before the second question', () => {
    listeners.onFrame(joinV2(G1), 0, 5000);
    listeners.onFrame(leaveV2(G1), 0, 10_000);
    runTo(listeners, 10_000);
    listeners.onFrame(joinV2(G1), 0, 10_500);
    assert.ok(!runTo(listeners, 100_000).some(({ frame }) => isSpecific(frame)));
    assert.deepEqual(listeners.listening(100_000).groups, [M1]);
  });

  it('of two groups with one MAC keep it until both are gone', () => {
    listeners.onFrame(joinV2(G1), 0, 0);
    listeners.onFrame(joinV2('224.129.2.3'), 0, 0);
    listeners.onFrame(leaveV2(G1), 0, 1000);
    runTo(listeners, 20_000);
    assert.deepEqual(listeners.listening(20_000).groups, [M1]);
    listeners.onFrame(leaveV2('224.129.2.3'), 0, 20_000);
    runTo(listeners, 30_000);
    assert.deepEqual(listeners.listening(30_000).groups, []);
  });

  it('of groups of the link are not followed', () => {
    listeners.onFrame(joinV2('224.0.0.251'), 0, 0);
    assert.deepEqual(listeners.listening(0).groups, []);
  });

  it('want everything when reports were missed, and when they are more than are followed', () => {
    listeners.onFrame(joinV2(G1), 3, 10_000);
    assert.equal(listeners.listening(10_000).wantsEverything, true);
    assert.equal(listeners.listening(270_000).wantsEverything, false);
    for (let at = 0; at < 600; at++) {
      listeners.onFrame(joinV2(`239.2.${at >> 8}.${at & 0xff}`), 0, 270_000);
    }
    assert.equal(listeners.listening(270_000).wantsEverything, true);
    assert.equal(listeners.listening(270_000).groups.length, 512);
  });

  it('are left to a router of this host while it asks, in its family', () => {
    runTo(listeners, 5000);
    listeners.onFrame(queryV2('0.0.0.0', '10.0.0.9'), 0, 5000);
    assert.equal(listeners.listening(5000).hasRouter, true);
    const asked = runTo(listeners, 259_000);
    assert.ok(asked.length > 0 && asked.every(({ frame }) => frame[0] === 0x33));
    assert.equal(listeners.listening(260_000).hasRouter, false);
    assert.ok(runTo(listeners, 260_000).some(({ frame }) => frame[0] === 1));
  });

  it('take no switch and not themselves for a router', () => {
    listeners.onFrame(queryV2('0.0.0.0', '0.0.0.0'), 0, 0);
    listeners.onFrame(queryFrame({ family: 6, maxResponseMs: 1000 }, SOURCE), 0, 0);
    assert.equal(listeners.listening(0).hasRouter, false);
  });
});
