import assert from 'node:assert/strict';
import { median, spread, summarize } from '../../../bench/path/statistics.js';
import { fitness } from '../../../bench/path/run.js';

describe('benchmark statistics', () => {
  it('the median of an even number is the mean of the middle two', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([10, 1, 2, 4]), 3);
    assert.ok(Number.isNaN(median([])));
  });

  it('one reading far off moves the spread, not the median', () => {
    assert.equal(spread([10, 10, 10]), 0);
    assert.equal(spread([10, 10, 20]), 1);
    assert.deepEqual(summarize([3, 1, 2]), { median: 2, min: 1, max: 3, samples: [3, 1, 2] });
  });

  it('a machine whose bare path moves by more than a quarter is unfit', () => {
    assert.equal(fitness([20, 22, 24]).isFit, true);
    assert.equal(fitness([11, 16, 22]).isFit, false);
    assert.equal(fitness([16]).isFit, true);
  });
});
