import assert from 'node:assert/strict';

import { ENDPOINT_BYTES, makeEndpoint } from '../../../src/model/endpoint.js';
import {
  formatPathAddress,
  pathAddressFromBytes,
  pathAddressToBytes,
  type PathAddress,
} from '../../../src/model/path-address.js';

const ADDRESSES: PathAddress[] = [
  makeEndpoint('192.0.2.7', 6783)!,
  makeEndpoint('2001:db8::7', 6783)!,
  { family: 'relay', label: 0xfedcba98 },
  { family: 'tcp', connection: 0x80000001 },
];

describe('path address', () => {
  it('comes back from its bytes, whatever kind it is', () => {
    for (const address of ADDRESSES) {
      assert.deepEqual(pathAddressFromBytes(pathAddressToBytes(address)), address);
    }
  });

  it('has a text of its own', () => {
    const texts = ADDRESSES.map(formatPathAddress);
    assert.deepEqual(texts, [
      '192.0.2.7:6783',
      '[2001:db8::7]:6783',
      'relay:fedcba98',
      'tcp:2147483649',
    ]);
  });

  it('refuses label 0, an unknown family, a wrong size and bytes that should be zero', () => {
    const label = pathAddressToBytes({ family: 'relay', label: 1 });
    const noise = label.slice();
    noise[ENDPOINT_BYTES - 1] = 1;
    const zero = label.slice();
    zero[1] = 0;
    const family = label.slice();
    family[0] = 3;
    for (const bytes of [noise, zero, family, label.subarray(1)]) {
      assert.equal(pathAddressFromBytes(bytes), undefined);
    }
  });
});
