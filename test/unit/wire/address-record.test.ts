import assert from 'node:assert/strict';

import { parseMac, type Mac } from '../../../src/model/mac.js';
import {
  addressEntryBytes,
  decodeAddressRecord,
  encodeAddressRecord,
  MAX_ENTRY_ADDRESSES,
  type AddressEntry,
} from '../../../src/wire/address-record.js';
import { packMessage } from '../../../src/wire/message-pack.js';

const M1 = parseMac('02:00:00:00:00:01') as Mac;
const ENTRIES: readonly AddressEntry[] = [
  { mac: M1, addresses: ['10.32.0.5', 'fd00::5'] },
  { mac: parseMac('02:00:00:00:00:02') as Mac, addresses: ['192.168.0.2'] },
];

describe('address record', () => {
  it('reads what it wrote', () => {
    assert.deepEqual(decodeAddressRecord(encodeAddressRecord(ENTRIES)), {
      ok: true,
      value: ENTRIES,
    });
  });

  it('has the bytes of docs/protocol.md §10', () => {
    const hex = Buffer.from(encodeAddressRecord(ENTRIES)).toString('hex');
    const v6 = 'fd000000000000000000000000000005';
    assert.equal(hex, `9293c406020000000001c4040a200005c410${v6}92c406020000000002c404c0a80002`);
  });

  it('knows how long it becomes', () => {
    const addresses = Array.from({ length: MAX_ENTRY_ADDRESSES }, (_, at) => `fd00::${at + 1}`);
    for (const entry of [...ENTRIES, { mac: M1, addresses }]) {
      assert.ok(encodeAddressRecord([entry]).length <= 3 + addressEntryBytes(entry));
    }
  });

  it('refuses what is no entry', () => {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const ip = Uint8Array.of(10, 0, 0, 1);
    const many = Array.from({ length: MAX_ENTRY_ADDRESSES + 1 }, () => ip);
    const bad: unknown[] = [
      { mac },
      [mac],
      [[mac]],
      [[ip, ip]],
      [[mac, '10.0.0.1']],
      [[mac, Uint8Array.of(1, 2, 3)]],
      // 10.0.0.1 as an IPv6 address: another word for what somebody else may say.
      [[mac, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1)]],
      [[Uint8Array.of(1, 0, 0x5e, 0, 0, 1), ip]],
      [[new Uint8Array(6), ip]],
      [[mac, ...many]],
    ];
    for (const value of bad) assert.equal(decodeAddressRecord(packMessage(value)).ok, false);
    const whole = encodeAddressRecord(ENTRIES);
    for (let length = 0; length < whole.length; length++) {
      assert.equal(decodeAddressRecord(whole.subarray(0, length)).ok, false);
    }
  });
});
