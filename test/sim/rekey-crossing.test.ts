import assert from 'node:assert/strict';

import { sodiumReady } from '../../src/crypto/sodium.js';
import { type ChannelOptions, RekeyChannel } from './rekey-channel.js';
import { SeededRng } from './seeded-rng.js';

/*
 * REKEY messages that are lost, repeated, overtaken, and that cross with askings for the next one. A run that fails is
 * named by its seed and repeats from it.
 */

const RUNS = 10_000;
const BATCHES = 10;
/** The longest interval between repetitions, twice (REKEY1, then the keepalive that confirms), and the way. */
const CONVERGES_WITHIN_MS = 6000;

function optionsOf(rng: SeededRng): ChannelOptions {
  const rekeyAfterMs = 1000 + Math.round(rng.fraction() * 2000);
  return {
    rekeyAfterMs,
    loss: rng.fraction() * 0.6,
    repeats: rng.fraction() * 0.5,
    delayMs: rng.fraction() * 60,
    jitterMs: rng.fraction() * 300,
    limitEveryMs: rng.fraction() < 0.5 ? rekeyAfterMs / 2 : Number.POSITIVE_INFINITY,
  };
}

/** @returns phases that were reached. */
function runSeed(seed: number): number {
  const rng = new SeededRng(seed);
  const options = optionsOf(rng);
  const channel = new RekeyChannel(rng, options);
  channel.runUntil(() => false, 3 * options.rekeyAfterMs);
  const { initiator, responder } = channel;
  // Nothing is late by as much as an interval: only askings in between can make a phase be over so soon.
  if (options.limitEveryMs === Number.POSITIVE_INFINITY) {
    assert.equal(initiator.unreadable + responder.unreadable, 0);
  }
  channel.heal();
  assert.ok(
    channel.runUntil(() => channel.isConverged, CONVERGES_WITHIN_MS),
    'no agreement',
  );
  assert.deepEqual(initiator.history.tx, responder.history.rx);
  assert.deepEqual(initiator.history.rx, responder.history.tx);
  const keys = [...initiator.history.tx.values(), ...initiator.history.rx.values()];
  assert.equal(new Set(keys).size, keys.length, 'a key serves twice');
  return initiator.tx.phase;
}

describe('lost and crossing REKEY messages', function () {
  this.timeout(600_000);

  before(() => sodiumReady());

  for (let batch = 0; batch < BATCHES; batch++) {
    const first = (batch * RUNS) / BATCHES;
    it(`never make two keys for a phase, and end in agreement: seeds from ${first}`, () => {
      let phases = 0;
      for (let seed = first; seed < first + RUNS / BATCHES; seed++) {
        try {
          phases += runSeed(seed);
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
      assert.ok(phases > (2 * RUNS) / BATCHES, `${phases} rekeys`);
    });
  }

  it('do so past the phase where the byte on the wire wraps', () => {
    const channel = new RekeyChannel(new SeededRng(1), {
      rekeyAfterMs: 1000,
      loss: 0.2,
      repeats: 0.2,
      delayMs: 20,
      jitterMs: 100,
      limitEveryMs: Number.POSITIVE_INFINITY,
    });
    const { initiator, responder } = channel;
    assert.ok(channel.runUntil(() => initiator.tx.phase >= 260, 260 * 2500));
    channel.heal();
    assert.ok(channel.runUntil(() => channel.isConverged, CONVERGES_WITHIN_MS));
    assert.equal(initiator.unreadable + responder.unreadable, 0);
    assert.deepEqual(initiator.history.tx, responder.history.rx);
    assert.deepEqual(initiator.history.rx, responder.history.tx);
    const keys = [...initiator.history.tx.values(), ...initiator.history.rx.values()];
    assert.equal(new Set(keys).size, keys.length);
  });
});
