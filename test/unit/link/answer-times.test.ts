import assert from 'node:assert/strict';
import { AnswerTimes } from '../../../src/link/answer-times.js';

describe('how long handshakes wait for their answer', () => {
  it('is nothing before there was one', () => {
    assert.equal(new AnswerTimes().typicalMs(5000), 0);
  });

  it('follows a machine that becomes slow within a few, and forgets it by time', () => {
    const times = new AnswerTimes();
    for (let count = 0; count < 8; count++) times.note(2000, 1000);
    assert.ok(times.typicalMs(1000) > 1700);
    assert.equal(times.typicalMs(11_000), times.typicalMs(1000) / 2);
    assert.ok(times.typicalMs(301_000) < 1);
  });

  it('is not moved far by a single one', () => {
    const times = new AnswerTimes();
    for (let count = 0; count < 8; count++) times.note(20, 0);
    times.note(1000, 0);
    assert.ok(times.typicalMs(0) < 270);
  });
});
