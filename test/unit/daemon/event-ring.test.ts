import assert from 'node:assert/strict';

import { EVENT_CODES, type EventCode } from '../../../src/api/event-codes.js';
import { EventRing } from '../../../src/daemon/event-ring.js';

const SECOND_MS = 1000;

describe('the ring of events', () => {
  let ring: EventRing;
  let nowMs: number;
  let said: number;
  beforeEach(() => {
    ring = new EventRing();
    nowMs = Date.UTC(2026, 0, 1);
    said = 0;
  });

  /** One that was never said before, about a peer or about this node. */
  const say = (peer?: string, code: EventCode = 'peer-lost', message = `this ${said++}`) =>
    ring.add({ level: 'info', code, message, ...(peer !== undefined && { peer }) }, nowMs);
  const about = (peer?: string) => ring.after(0).filter((event) => event.peer === peer);

  it('keeps the last, in order', () => {
    const first = say();
    for (let n = 0; n < 100; n += 1) say();
    const all = ring.after(0);
    assert.equal(all.length, 101);
    assert.deepEqual(
      all.map(({ seq }) => seq),
      Array.from({ length: 101 }, (_, at) => first.seq + at),
    );
    assert.equal(ring.after(100).length, 1);
  });

  it('counts what is said again within a minute, where it was said last', () => {
    say('x', 'record-quota', 'too much');
    const other = say('y');
    nowMs += 10 * SECOND_MS;
    for (let n = 0; n < 4; n += 1) say('x', 'record-quota', 'too much');
    const [first, again] = ring.after(0);
    assert.equal(first?.seq, other.seq);
    assert.equal(first.count, undefined);
    assert.deepEqual([again?.count, again?.at], [5, '2026-01-01T00:00:10.000Z']);
    say('z', 'record-quota', 'too much');
    assert.equal(about('z')[0]?.count, undefined, 'of another peer');
    nowMs += 50 * SECOND_MS;
    say('x', 'record-quota', 'too much');
    assert.deepEqual(
      about('x').map(({ count }) => count),
      [5, undefined],
    );
  });

  it('tells who follows each time', () => {
    const heard: (number | undefined)[] = [];
    ring.onEvent(({ count }) => heard.push(count));
    for (let n = 0; n < 3; n += 1) say('x', 'record-quota', 'too much');
    assert.deepEqual(heard, [undefined, undefined, undefined]);
  });

  it('is not filled by one peer', () => {
    say();
    say('victim', 'peer-removal');
    for (let n = 0; n < 5000; n += 1) say('hostile', EVENT_CODES[n % 40]);
    assert.equal(about('hostile').length, 100);
    assert.equal(about('victim').length, 1);
    assert.equal(about(undefined).length, 1);
    assert.equal(about('hostile').at(-1)?.message, `this ${said - 1}`, 'the newest');
  });

  it('is not filled by one kind of event, whoever causes it, nor by those about peers', () => {
    say(undefined, 'address-conflict');
    for (let n = 0; n < 5000; n += 1) say(`x${n}`);
    assert.equal(ring.after(0).length, 251);
    for (let n = 0; n < 5000; n += 1) say(`x${n}`, EVENT_CODES[n % 40]);
    assert.equal(about(undefined).length, 1);
    assert.ok(ring.after(0).length <= 1000);
    for (let n = 0; n < 5000; n += 1) say(undefined, EVENT_CODES[n % 40]);
    assert.ok(ring.after(0).length <= 1000);
  });
});
