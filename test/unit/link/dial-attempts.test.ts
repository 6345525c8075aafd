import assert from 'node:assert/strict';

import type { Rng } from '../../../src/base/rng.js';
import { HandshakeAttempt } from '../../../src/link/attempt.js';
import { INIT_GIVE_UP_MS } from '../../../src/link/constants.js';
import { DialAttempts } from '../../../src/link/dial-attempts.js';
import { makeTarget } from '../../../src/link/dial-target.js';
import { IndexPool } from '../../../src/link/index-pool.js';
import { at, CountingHandshake } from './fixtures.js';

/** Draws these indexes, in this order, and then the last one for ever. */
function drawing(...indexes: readonly number[]): Rng {
  const left = [...indexes];
  return {
    bytes: (count) => {
      const bytes = new Uint8Array(count);
      const index = (left.length > 1 ? left.shift() : left[0]) ?? 0;
      new DataView(bytes.buffer).setUint32(0, index, true);
      return bytes;
    },
  } as Rng;
}

describe('attempts under way', () => {
  it('that are abandoned late leave an index that is nobody else’s for another minute', () => {
    const pool = new IndexPool(drawing(7, 7, 8, 7, 9));
    const attempts = new DialAttempts(pool);
    const fields = { key: 'x', contact: 'x', host: 'x', port: 1, peer: undefined, endpoints: [] };
    const target = makeTarget({ ...fields, resume: undefined }, 0);
    const localIndex = pool.take(0);
    assert.equal(localIndex, 7);
    const attempt = new HandshakeAttempt(new CountingHandshake(localIndex), {
      ...{ localIndex, endpoints: [at(1)], expected: undefined, slot: 0, nowMs: 0 },
    });
    attempts.add(attempt, target);
    // The last moment at which it listens.
    const endedMs = INIT_GIVE_UP_MS - 1;
    attempt.abandon();
    attempts.sweep();
    assert.equal(attempts.get(localIndex), undefined);
    assert.equal(pool.take(60_000), 8, `${60_000 - endedMs} ms after its end`);
    assert.equal(pool.take(120_000), 7, 'and then it is free again');
  });
});
