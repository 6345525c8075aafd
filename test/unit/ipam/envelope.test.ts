import assert from 'node:assert/strict';

import { encodeIpamMessage } from '../../../src/ipam/codec.js';
import { putInEnvelope, takeFromEnvelope } from '../../../src/ipam/envelope.js';
import { drawPoolId, networkOfPool } from '../../../src/ipam/title.js';
import { packMessage } from '../../../src/wire/message-pack.js';
import { peer, title } from './titles.js';

describe('envelope of messages about addresses', () => {
  const bodies = [
    encodeIpamMessage({ kind: 'hello', hasPool: true }).body,
    encodeIpamMessage({ kind: 'grant', title: title({ witness: peer(2) }) }).body,
    encodeIpamMessage({ kind: 'gone', peer: peer(5), digest: '01', isLastResort: true }).body,
  ];

  it('says which network a message is about; of the default one there is none', () => {
    for (const body of bodies) {
      assert.deepEqual(putInEnvelope(0, body), body);
      for (const network of [0, 1, 0xffffff]) {
        const taken = takeFromEnvelope(putInEnvelope(network, body));
        assert.equal(taken.network, network);
        assert.deepEqual(Buffer.from(taken.body), Buffer.from(body));
      }
    }
  });

  it('is none of anything else', () => {
    const others = [[0, bodies[0]], [0x1000000, bodies[0]], [1.5, bodies[0]], [7, 'text'], [7]];
    for (const fields of others) assert.equal(takeFromEnvelope(packMessage(fields)).network, 0);
    assert.equal(takeFromEnvelope(new Uint8Array([0xc1])).network, 0);
    assert.equal(takeFromEnvelope(new Uint8Array(4096)).network, 0);
  });
});

describe('id of a pool', () => {
  it('says of which network its addresses are', () => {
    const random = new Uint8Array(13).fill(0xab);
    for (const network of [0, 7, 0xffffff]) {
      assert.equal(networkOfPool(drawPoolId(random, network)), network);
    }
  });
});
