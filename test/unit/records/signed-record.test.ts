import assert from 'node:assert/strict';

import {
  bodyOfRecord,
  keyOfRecord,
  publicKeyOfRecord,
  recordReader,
  signRecord,
} from '../../../src/records/signed-record.js';
import { MAX_RECORD_VERSION, RECORD_KIND } from '../../../src/wire/record.js';
import { bytes, cryptoOf } from './fixtures.js';

describe('a record in memory', () => {
  const publicKey = new Uint8Array(32).fill(0xe7);
  const crypto = cryptoOf(publicKey);

  it('says what was signed, of every length of version', () => {
    for (const version of [1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, MAX_RECORD_VERSION]) {
      const [key, body] = [bytes('key'), Uint8Array.of(0, 128, 255)];
      const fields = { kind: RECORD_KIND.NAME, key, version, isTombstone: false, body, publicKey };
      const record = signRecord(fields, crypto);
      assert.equal(record.version, version);
      assert.equal(record.kind, RECORD_KIND.NAME);
      assert.equal(record.isTombstone, false);
      assert.equal(record.size, record.bytes.length);
      assert.deepEqual(keyOfRecord(record), key);
      assert.deepEqual(bodyOfRecord(record), body);
      assert.deepEqual(publicKeyOfRecord(record), publicKey);
    }
  });

  it('is read from bytes that may change afterwards, and gives copies away', () => {
    const body = new Uint8Array(0);
    const fields = { kind: RECORD_KIND.PEER, key: body, version: 7, isTombstone: true, body };
    const signed = signRecord({ ...fields, publicKey }, crypto);
    const received = signed.bytes;
    const read = recordReader(crypto)(received);
    received.fill(0);
    assert.ok(read.ok);
    read.value.bytes.fill(0);
    assert.deepEqual(read.value.bytes, signed.bytes);
    assert.equal(read.value.owner, signed.owner);
    assert.equal(read.value.hash, signed.hash);
    assert.equal(read.value.isTombstone, true);
  });

  it('is of who signed it, whoever signed the one before', () => {
    const read = recordReader(crypto);
    const [key, body] = [new Uint8Array(0), bytes('x')];
    for (const fill of [1, 2, 2, 1]) {
      const owner = new Uint8Array(32).fill(fill);
      const fields = { kind: RECORD_KIND.NAME, key, version: 7, isTombstone: false, body };
      const record = signRecord({ ...fields, publicKey: owner }, cryptoOf(owner));
      const again = read(record.bytes);
      assert.ok(again.ok);
      assert.equal(again.value.owner, crypto.peerIdOf(owner));
    }
  });
});
