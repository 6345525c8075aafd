import assert from 'node:assert/strict';

import { TokenBucket } from '../../../src/base/token-bucket.js';
import {
  STRANGER_INITS_OF_OWNER,
  STRANGER_INITS_TO_ENDPOINT,
  STRANGER_PAUSE_MS,
  STRANGER_ROUNDS,
} from '../../../src/link/constants.js';
import { StrangerInits, type StrangerRounds } from '../../../src/link/stranger-inits.js';
import { at } from './fixtures.js';

const LISTED = [at(1), at(2), at(3)];

const targetOf = (key: string): StrangerRounds => {
  return { key, vouched: LISTED, strangerRounds: 0, strangersAtMs: 0 };
};

describe('INITs to endpoints that a record lists', () => {
  const round = (inits: StrangerInits, target: StrangerRounds, nowMs: number) =>
    inits.ask(target, inits.due(target, target.vouched, nowMs), nowMs);

  it('go to each once a round, STRANGER_ROUNDS times, and again after STRANGER_PAUSE_MS', () => {
    const [inits, target] = [new StrangerInits(new TokenBucket(100, 10)), targetOf('peer')];
    for (let n = 0; n < STRANGER_ROUNDS; n++) assert.equal(round(inits, target, n).length, 3);
    const lastMs = STRANGER_ROUNDS - 1;
    assert.deepEqual(round(inits, target, lastMs + STRANGER_PAUSE_MS - 1), []);
    assert.equal(round(inits, target, lastMs + STRANGER_PAUSE_MS).length, 3);
    inits.restart(target);
    assert.equal(round(inits, target, lastMs + STRANGER_PAUSE_MS).length, 3, 'after news at once');
  });

  it('that the budget of the node did not reach come first in the next round', () => {
    const [inits, target] = [new StrangerInits(new TokenBucket(2, 2)), targetOf('peer')];
    assert.deepEqual(round(inits, target, 0), [at(1), at(2)]);
    assert.deepEqual(round(inits, target, 0), [], 'nothing is left, and no round is counted');
    assert.deepEqual([target.strangerRounds, inits.waitMs(0)], [1, 500]);
    assert.deepEqual(round(inits, target, 1000), [at(3), at(1)]);
  });

  it('are bounded for one member that changes its list, and for one endpoint that many list', () => {
    const inits = new StrangerInits(new TokenBucket(10_000, 1));
    let sent = 0;
    for (let n = 0; n < 100; n++) {
      const target = { ...targetOf('peer'), vouched: [at(10 + n)] };
      sent += round(inits, target, 0).length;
    }
    assert.equal(sent, STRANGER_INITS_OF_OWNER);
    let toOne = 0;
    for (let n = 0; n < 100; n++) {
      toOne += round(inits, { ...targetOf(`peer ${n}`), vouched: [at(1)] }, 0).length;
    }
    assert.equal(toOne, STRANGER_INITS_TO_ENDPOINT);
  });
});
