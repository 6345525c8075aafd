import assert from 'node:assert/strict';
import { resumeField } from '../../../src/crypto/resume.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { dial, flipped, twoParties } from './parties.js';

const HINT = new Uint8Array(8).fill(0xaa);
const PAIR_KEY = new Uint8Array(32).fill(0xbb);

describe('resume', () => {
  before(() => sodiumReady());

  it('stands in the INIT: hint, then a MAC over the 472 bytes before it', () => {
    const { init } = dial(twoParties(), { resume: { hint: HINT, pairKey: PAIR_KEY } });
    const field = init.subarray(472, 496);
    assert.deepEqual(field.slice(0, 8), HINT);
    assert.deepEqual(field, resumeField(HINT, PAIR_KEY, init));
    assert.deepEqual(init.subarray(496), new Uint8Array(16));
  });

  it('is none without a pair key', () => {
    assert.deepEqual(dial(twoParties()).init.subarray(472), new Uint8Array(40));
  });

  it('depends on the key and on every byte before it, not on the cookie', () => {
    const { init } = dial(twoParties());
    const field = resumeField(HINT, PAIR_KEY, init);
    assert.notDeepEqual(resumeField(HINT, flipped(PAIR_KEY, 0), init), field);
    for (let at = 0; at < 472; at++) {
      assert.notDeepEqual(resumeField(HINT, PAIR_KEY, flipped(init, at)), field);
    }
    assert.deepEqual(resumeField(HINT, PAIR_KEY, flipped(init, 511)), field);
  });

  it('a hint has 8 bytes', () => {
    const { init } = dial(twoParties());
    assert.throws(() => resumeField(new Uint8Array(7), PAIR_KEY, init), RangeError);
  });
});
