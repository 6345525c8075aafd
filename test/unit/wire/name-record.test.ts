import assert from 'node:assert/strict';

import {
  decodeNameKey,
  decodeNameRecord,
  encodeNameKey,
  encodeNameRecord,
} from '../../../src/wire/name-record.js';
import { packMessage } from '../../../src/wire/message-pack.js';

const ENTRIES = [
  { name: 'web', addresses: ['10.32.0.5', 'fd00:9::5'] },
  { name: 'db.east', addresses: ['192.168.0.2'] },
];

describe('a record of names', () => {
  it('comes out as it went in, key and body', () => {
    const key = { network: 0xabcdef, page: 200 };
    assert.deepEqual(encodeNameKey(key), Uint8Array.of(0xef, 0xcd, 0xab, 200));
    assert.deepEqual(decodeNameKey(encodeNameKey(key)), key);
    assert.equal(decodeNameKey(Uint8Array.of(1, 2, 3)), undefined);
    assert.deepEqual(decodeNameRecord(encodeNameRecord(ENTRIES)), { ok: true, value: ENTRIES });
  });

  it('is refused cut short, and never throws with a byte changed', () => {
    const body = encodeNameRecord(ENTRIES);
    for (let at = 0; at < body.length; at += 1) {
      assert.equal(decodeNameRecord(body.subarray(0, at)).ok, false, `cut at ${at}`);
      for (const change of [0x01, 0x20, 0x80, 0xff]) {
        const other = body.slice();
        other[at] = (other[at] ?? 0) ^ change;
        const read = decodeNameRecord(other);
        for (const { name } of read.ok ? read.value : []) assert.match(name, /^[a-z0-9_.-]+$/);
      }
    }
  });

  it('is refused with names or addresses that are none', () => {
    const address = Uint8Array.of(10, 0, 0, 1);
    const wrong: unknown[] = [
      {},
      'web',
      ['web'],
      [['web']],
      [['Web', address]],
      [['', address]],
      [['a b', address]],
      [['web', Uint8Array.of(10, 0, 0)]],
      [['web', '10.0.0.1']],
      [['web', ...Array.from({ length: 33 }, () => address)]],
    ];
    for (const value of wrong) {
      assert.equal(decodeNameRecord(packMessage(value)).ok, false, JSON.stringify(value));
    }
  });
});
