import assert from 'node:assert/strict';

import {
  GUESS_BURST_PER_ADDRESS,
  GUESS_BURST_PER_NODE,
  GUESS_REFILL_PER_ADDRESS,
  GUESS_REFILL_PER_NODE,
} from '../../../src/link/constants.js';
import { GuessLimits } from '../../../src/link/guess-limits.js';

describe('wrong answers to our INITs', () => {
  it('of one address are afforded GUESS_BURST_PER_ADDRESS times, then as fast as they refill', () => {
    const limits = new GuessLimits();
    for (let n = 0; n < GUESS_BURST_PER_ADDRESS; n++) {
      assert.equal(limits.mayAsk('a', 0), true);
      limits.onWrongAnswer('a', 0);
    }
    assert.deepEqual([limits.mayAsk('a', 0), limits.mayAsk('b', 0)], [false, true]);
    assert.equal(limits.waitMs(['a', 'b'], 0), 0);
    const waitMs = limits.waitMs(['a'], 0);
    assert.equal(waitMs, 1000 / GUESS_REFILL_PER_ADDRESS);
    assert.deepEqual([limits.mayAsk('a', waitMs - 1), limits.mayAsk('a', waitMs)], [false, true]);
  });

  it('of all addresses together are afforded GUESS_BURST_PER_NODE times', () => {
    const limits = new GuessLimits();
    for (let n = 0; n < GUESS_BURST_PER_NODE; n++) limits.onWrongAnswer(`from ${n}`, 0);
    assert.equal(limits.mayAsk('another', 0), false);
    assert.equal(limits.waitMs(['another'], 0), 1000 / GUESS_REFILL_PER_NODE);
    assert.equal(limits.mayAsk('another', 1000 / GUESS_REFILL_PER_NODE), true);
  });
});
