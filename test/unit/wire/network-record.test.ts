import assert from 'node:assert/strict';

import {
  decodeNetworkRecord,
  encodeNetworkRecord,
  type NetworkStatement,
} from '../../../src/wire/network-record.js';

const BLUE: NetworkStatement = {
  name: 'blue',
  subnets: ['10.80.0.0/16', 'fd12:3456::/64'],
  mtuBytes: 1400,
  createdMs: 1_795_000_000_123,
  removedMs: 1_794_000_000_321,
  isUsed: true,
  isRemoved: false,
};

describe('network record', () => {
  it('comes back as it was said', () => {
    const both = [BLUE, { ...BLUE, name: 'zürich_2', subnets: [], isUsed: false, isRemoved: true }];
    for (const statement of both) {
      assert.deepEqual(decodeNetworkRecord(encodeNetworkRecord(statement)), {
        ok: true,
        value: statement,
      });
    }
    const largest = { ...BLUE, name: 'n'.repeat(63), createdMs: 2 ** 48 - 1 };
    const subnets = Array.from({ length: 8 }, (_, at) => `fd00:${at + 1}::/64`);
    const bytes = encodeNetworkRecord({ ...largest, subnets });
    assert.ok(bytes.length <= 900);
    assert.deepEqual(decodeNetworkRecord(bytes), { ok: true, value: { ...largest, subnets } });
  });

  it('takes unknown flags and what later versions append', () => {
    const bytes = encodeNetworkRecord(BLUE);
    bytes[0] = (bytes[0] ?? 0) | 0xf0;
    assert.deepEqual(decodeNetworkRecord(Uint8Array.of(...bytes, 1, 2, 3)), {
      ok: true,
      value: BLUE,
    });
  });

  it('is refused when it is cut, or says what no network can be', () => {
    const bytes = encodeNetworkRecord(BLUE);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.equal(decodeNetworkRecord(bytes.subarray(0, length)).ok, false, `${length} bytes`);
    }
    const changed = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice();
      copy[at] = value;
      return copy;
    };
    const bad = {
      'more subnets than there are': changed(1, 3),
      'nine subnets': changed(1, 9),
      'an MTU of 1144': changed(3, 4),
      'no name': changed(16, 0),
      'a name of half a letter': changed(17, 0xc3),
      'a name with a space': changed(17, 0x20),
      'family 5': changed(21, 5),
      'prefix length 33': changed(22, 33),
      'bits behind the prefix': changed(26, 1),
      'far too long': new Uint8Array(513).fill(bytes[0] ?? 0),
    };
    for (const [what, body] of Object.entries(bad)) {
      assert.equal(decodeNetworkRecord(body).ok, false, what);
    }
    const twice = encodeNetworkRecord({ ...BLUE, subnets: ['10.80.0.0/16', '10.80.0.0/16'] });
    assert.equal(decodeNetworkRecord(twice).ok, false);
  });
});
