import assert from 'node:assert/strict';
import { macBytes, macFromBytes, parseMac } from '../../../src/model/mac.js';
import {
  parsePeerId,
  peerIdBytes,
  peerIdFromBytes,
  shortPeerId,
} from '../../../src/model/peer-id.js';

describe('ids', () => {
  it('a MAC has one spelling and six bytes', () => {
    assert.equal(parseMac('AA-BB-CC-00-01-0f'), 'aa:bb:cc:00:01:0f');
    for (const bad of [
      '',
      'aa:bb:cc:00:01',
      'aa:bb:cc:00:01:0g',
      'aa:bb:cc:00:01:0f:11',
      'aabbcc00010f',
    ]) {
      assert.equal(parseMac(bad), undefined, bad);
    }
    const mac = macFromBytes(Uint8Array.of(0xaa, 0xbb, 0xcc, 0, 1, 15));
    assert.equal(mac, 'aa:bb:cc:00:01:0f');
    assert.deepEqual([...macBytes(mac)], [0xaa, 0xbb, 0xcc, 0, 1, 15]);
    assert.throws(() => macFromBytes(new Uint8Array(5)), RangeError);
  });

  it('a PeerId is 32 lower-case hex digits', () => {
    const id = parsePeerId('0123456789abcdef0123456789abcdef');
    assert(id);
    assert.equal(shortPeerId(id), '01234567');
    assert.equal(peerIdFromBytes(peerIdBytes(id)), id);
    for (const bad of ['', 'ABCDEF0123456789abcdef0123456789', `${id}0`, id.slice(1), `${id}\n`]) {
      assert.equal(parsePeerId(bad), undefined, bad);
    }
    assert.throws(() => peerIdFromBytes(new Uint8Array(15)), RangeError);
  });
});
