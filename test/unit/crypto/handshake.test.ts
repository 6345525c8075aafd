import assert from 'node:assert/strict';
import { seededRng } from '../../../src/base/rng.js';
import { respondToInit, startInitiator } from '../../../src/crypto/handshake.js';
import { generateIdentity } from '../../../src/crypto/identity.js';
import { meshIdOf } from '../../../src/crypto/mesh.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { parseInit } from '../../../src/wire/handshake.js';
import {
  answer,
  complete,
  dial,
  endpoint,
  flipped,
  FROM_INITIATOR,
  FROM_RESPONDER,
  INITIATOR_INDEX,
  OTHER_PRS,
  party,
  PRS,
  reasonOf,
  RESPONDER_INDEX,
  twoParties,
} from './parties.js';

describe('handshake', () => {
  before(() => sodiumReady());

  it('gives both ends the same keys, crosswise, and each the other', () => {
    const two = twoParties();
    const { initiator, responder } = complete(two);
    assert.deepEqual(initiator.tx, responder.rx);
    assert.deepEqual(initiator.rx, responder.tx);
    assert.notDeepEqual(initiator.tx, initiator.rx);
    assert.deepEqual(
      [initiator.tx.key, initiator.tx.iv, initiator.rekeySecret, initiator.pairKey].map(
        (secret) => secret.length,
      ),
      [32, 24, 64, 32],
    );
    assert.deepEqual(initiator.rekeySecret, responder.rekeySecret);
    assert.deepEqual(initiator.pairKey, responder.pairKey);
    assert.equal(initiator.peer.id, two.ben.identity.id);
    assert.equal(responder.peer.id, two.anna.identity.id);
    assert.deepEqual(initiator.peer.instance, two.ben.instance);
    assert.equal(initiator.peer.maxDatagramBytes, 1472);
    assert.equal(responder.peer.capabilities, 5);
    assert.deepEqual(initiator.peer.observed, FROM_INITIATOR);
    assert.deepEqual(responder.peer.observed, FROM_RESPONDER);
    assert.deepEqual(
      [initiator.localIndex, initiator.remoteIndex],
      [responder.remoteIndex, responder.localIndex],
    );
    assert.equal(responder.localIndex, RESPONDER_INDEX);
  });

  it('repeats byte for byte from a seed, and two seeds share no key', () => {
    assert.deepEqual(complete(twoParties(5)), complete(twoParties(5)));
    assert.notDeepEqual(
      complete(twoParties(5)).initiator.pairKey,
      complete(twoParties(6)).initiator.pairKey,
    );
  });

  it('a wrong password is the initiator’s to see: confirm', () => {
    const two = twoParties();
    const dialled = dial(two, { prs: OTHER_PRS });
    const answered = answer(two, dialled.init);
    assert.equal(reasonOf(dialled.onResp(answered.resp, FROM_RESPONDER)), 'confirm');
  });
});
