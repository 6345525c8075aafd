import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '../../../src/base/bytes.js';
import type { Rng } from '../../../src/base/rng.js';
import { respondToInit, startInitiator, type LocalParty } from '../../../src/crypto/handshake.js';
import { identityFromSeed } from '../../../src/crypto/identity.js';
import { RekeyInitiator, RekeyResponder } from '../../../src/crypto/rekey.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { FROM_INITIATOR, FROM_RESPONDER, INITIATOR_INDEX, RESPONDER_INDEX } from './parties.js';

/*
 * One handshake and one rekey as a second implementation computed them from docs/protocol.md
 * (test/fixtures/vectors/make-handshake-v1.py). If this fails, old and new nodes no longer understand each other.
 */

interface Vectors {
  readonly inputs: Record<string, string>;
  readonly init: string;
  readonly resp: string;
  readonly fin: string;
  readonly keys: Record<string, string>;
  readonly rekey1: string;
  readonly rekey2: string;
  readonly phase1: Record<string, string>;
}

const vectors = JSON.parse(
  readFileSync('test/fixtures/vectors/handshake-v1.json', 'utf8'),
) as Vectors;

const input = (name: string) => fromHex(vectors.inputs[name]!);

/** Hands out exactly these byte strings, in this order. */
function scripted(...parts: Uint8Array[]): Rng {
  return {
    bytes(length) {
      const next = parts.shift();
      assert.equal(next?.length, length);
      return next.slice();
    },
    fraction: () => 0,
  };
}

function localParty(end: 'I' | 'R', over: Partial<LocalParty>): LocalParty {
  return {
    identity: identityFromSeed(input(`seed${end}`)),
    meshId: input('meshId'),
    instance: input(`instance${end}`),
    suites: [2, 1, 4],
    maxDatagramBytes: 1472,
    capabilities: 0x01020304,
    ...over,
  };
}

describe('handshake vectors of a second implementation', () => {
  before(() => sodiumReady());

  it('every datagram and key is the same', () => {
    const dialled = startInitiator(
      localParty('I', {}),
      {
        prs: input('prs'),
        slot: 1,
        resume: { hint: input('hint'), pairKey: input('oldPairKey') },
      },
      INITIATOR_INDEX,
      scripted(input('sid'), input('wideI')),
    );
    assert.equal(toHex(dialled.init), vectors.init);

    const answered = respondToInit(
      localParty('R', { maxDatagramBytes: 8972, capabilities: 0x05060708 }),
      { newest: new Uint8Array(32), other: input('prs') },
      dialled.init,
      RESPONDER_INDEX,
      FROM_INITIATOR,
      scripted(input('wideR')),
    );
    assert(answered.ok);
    assert.equal(toHex(answered.value.resp), vectors.resp);

    const replied = dialled.onResp(answered.value.resp, FROM_RESPONDER);
    assert(replied.ok);
    assert.equal(toHex(replied.value.fin), vectors.fin);

    const finished = answered.value.onFin(replied.value.fin);
    assert(finished.ok);
    const { tx, rx, rekeySecret, pairKey, suite } = finished.value;
    assert.equal(suite, 2);
    assert.deepEqual(
      {
        key_i2r: toHex(rx.key),
        iv_i2r: toHex(rx.iv),
        key_r2i: toHex(tx.key),
        iv_r2i: toHex(tx.iv),
        rekey_secret: toHex(rekeySecret),
        pair_key: toHex(pairKey),
      },
      vectors.keys,
    );
  });

  it('so are both rekey messages and the keys of phase 1', () => {
    const secret = () => fromHex(vectors.keys['rekey_secret']!);
    const initiator = new RekeyInitiator(secret());
    const responder = new RekeyResponder(secret());
    const request = initiator.request(scripted(input('xI')));
    assert.equal(toHex(request), vectors.rekey1);
    const answered = responder.onRequest(request, scripted(input('xR')));
    assert(answered.ok);
    assert.equal(toHex(answered.value.reply), vectors.rekey2);
    const finished = initiator.onReply(answered.value.reply);
    assert(finished.ok);
    const { tx, rx } = finished.value;
    assert.deepEqual(
      [tx.key, tx.iv, rx.key, rx.iv].map(toHex),
      ['key_i2r', 'iv_i2r', 'key_r2i', 'iv_r2i'].map((name) => vectors.phase1[name]),
    );
  });
});
