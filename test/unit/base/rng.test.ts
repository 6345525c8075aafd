import assert from 'node:assert/strict';
import { seededRng } from '../../../src/base/rng.js';

describe('seededRng', () => {
  it('repeats from its seed, and neighbouring seeds differ', () => {
    assert.deepEqual(seededRng(1).bytes(64), seededRng(1).bytes(64));
    assert.notDeepEqual(seededRng(1).bytes(64), seededRng(2).bytes(64));
    assert.notDeepEqual(seededRng(0).bytes(64), new Uint8Array(64));
  });

  it('gives as many bytes as asked for', () => {
    for (const length of [0, 1, 3, 4, 5, 33]) {
      assert.equal(seededRng(9).bytes(length).length, length);
    }
  });

  it('fractions lie in [0, 1) and spread evenly', () => {
    const rng = seededRng(3);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const fraction = rng.fraction();
      assert(fraction >= 0 && fraction < 1);
      const at = Math.floor(fraction * 10);
      buckets[at] = (buckets[at] ?? 0) + 1;
    }
    // Seven standard deviations of a fair count of 1000.
    for (const count of buckets) assert(Math.abs(count - 1000) < 210, buckets.join());
  });

  it('each byte value comes about equally often', () => {
    const counts = new Array<number>(256).fill(0);
    for (const byte of seededRng(4).bytes(256_000)) counts[byte] = (counts[byte] ?? 0) + 1;
    for (const count of counts) assert(Math.abs(count - 1000) < 225, String(count));
  });
});
