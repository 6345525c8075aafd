import assert from 'node:assert/strict';
import { concatBytes } from '../../../src/base/bytes.js';
import { seededRng } from '../../../src/base/rng.js';
import { generateIdentity, type Identity } from '../../../src/crypto/identity.js';
import { payloadKey, type Stage } from '../../../src/crypto/key-schedule.js';
import { openPayload, sealPayload } from '../../../src/crypto/sealed-payload.js';
import { sodium, sodiumReady } from '../../../src/crypto/sodium.js';
import { flipped, FROM_INITIATOR, reasonOf } from './parties.js';

const STAGE: Stage = { th: new Uint8Array(64).fill(1), prk: new Uint8Array(64).fill(2) };
const OTHER_STAGE: Stage = { ...STAGE, th: new Uint8Array(64).fill(3) };
const NONCE = new Uint8Array(12);

describe('sealed payload', () => {
  let identity: Identity;
  before(async () => {
    await sodiumReady();
    identity = generateIdentity(seededRng(1));
  });

  const fields = {
    observed: FROM_INITIATOR,
    instance: new Uint8Array(8).fill(9),
    maxDatagramBytes: 0xfffe,
    capabilities: 0xfffffffd,
  };
  const sealed = (stage = STAGE) => sealPayload(stage, 'responder', identity, fields);
  /** What somebody who knows the keys can do: open, change, seal again. */
  const resealed = (from: Stage, to: Stage, change = (plain: Uint8Array): Uint8Array => plain) => {
    const plain = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
      null,
      sealed(from),
      from.th,
      NONCE,
      payloadKey(from, 'responder'),
    );
    return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
      change(plain),
      to.th,
      null,
      NONCE,
      payloadKey(to, 'responder'),
    );
  };

  it('opens to what was sealed, and is 192 bytes', () => {
    const bytes = sealed();
    assert.equal(bytes.length, 192);
    assert.deepEqual(openPayload(STAGE, 'responder', bytes), {
      ok: true,
      value: { publicKey: identity.publicKey, ...fields },
    });
  });

  it('opens for no other role and transcript', () => {
    assert.equal(reasonOf(openPayload(STAGE, 'initiator', sealed())), 'sealed');
    assert.equal(reasonOf(openPayload(OTHER_STAGE, 'responder', sealed())), 'sealed');
  });

  it('a signature cannot be carried into another transcript by who knows both keys', () => {
    const moved = resealed(STAGE, OTHER_STAGE);
    assert.equal(reasonOf(openPayload(OTHER_STAGE, 'responder', moved)), 'signature');
  });

  it('a key of small order signs nothing, though lax verifiers take it', () => {
    // A = R = the neutral element, S = 0: S·B = R + h·A holds for every message.
    const neutral = Uint8Array.of(1, ...new Uint8Array(31));
    const changed = resealed(STAGE, STAGE, (plain) => {
      const copy = plain.slice();
      copy.set(concatBytes(neutral, neutral, new Uint8Array(32)));
      return copy;
    });
    assert.equal(reasonOf(openPayload(STAGE, 'responder', changed)), 'signature');
  });

  it('zeros are checked and the endpoint must be one', () => {
    for (let at = 129; at < 176; at++) {
      const changed = resealed(STAGE, STAGE, (plain) => flipped(plain, at));
      assert.equal(reasonOf(openPayload(STAGE, 'responder', changed)), 'payload');
    }
    const noFamily = resealed(STAGE, STAGE, (plain) => flipped(plain, 96, 4));
    assert.equal(reasonOf(openPayload(STAGE, 'responder', noFamily)), 'payload');
  });

  it('another length is refused even if sealed right', () => {
    for (const change of [
      (plain: Uint8Array) => plain.subarray(0, 175),
      (plain: Uint8Array) => concatBytes(plain, Uint8Array.of(0)),
      () => new Uint8Array(0),
    ]) {
      assert.equal(
        reasonOf(openPayload(STAGE, 'responder', resealed(STAGE, STAGE, change))),
        'sealed',
      );
    }
  });
});
