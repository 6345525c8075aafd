import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ENDPOINT_BYTES,
  endpointFromBytes,
  endpointToBytes,
  formatEndpoint,
  makeEndpoint,
  parseEndpoint,
} from '../../../src/model/endpoint.js';

const endpoints = fc
  .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }))
  .map(([address, port]) => makeEndpoint(address, port));

describe('endpoint', () => {
  it('text and bytes come back as they went', () => {
    fc.assert(
      fc.property(endpoints, (endpoint) => {
        assert(endpoint);
        assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
        const bytes = endpointToBytes(endpoint);
        assert.equal(bytes.length, ENDPOINT_BYTES);
        assert.deepEqual(endpointFromBytes(bytes), endpoint);
      }),
    );
  });

  it('one address has one spelling', () => {
    assert.deepEqual(makeEndpoint('2001:DB8:0:0:0:0:0:1', 1), {
      family: 6,
      address: '2001:db8::1',
      port: 1,
    });
    assert.deepEqual(makeEndpoint('::ffff:192.0.2.1', 1), {
      family: 4,
      address: '192.0.2.1',
      port: 1,
    });
  });

  it('bytes are family, address, port little-endian', () => {
    const v4 = endpointToBytes({ family: 4, address: '192.0.2.1', port: 0x1a7f });
    assert.deepEqual([...v4.subarray(0, 6)], [4, 192, 0, 2, 1, 0]);
    assert.deepEqual([...v4.subarray(17)], [0x7f, 0x1a]);
  });

  it('what is no endpoint is refused', () => {
    for (const text of ['', '192.0.2.1', ':1', '1.2.3:4', '010.0.0.1:1', '[::1]', '::1:80']) {
      assert.equal(parseEndpoint(text), undefined, text);
    }
    for (const text of ['192.0.2.1:65536', 'name:1', '192.0.2.256:1', '[192.0.2.1:1', '0x7f.1:1']) {
      assert.equal(parseEndpoint(text), undefined, text);
    }
  });

  it('bytes of another family, with a tail behind IPv4, or of another size are refused', () => {
    const v4 = endpointToBytes({ family: 4, address: '192.0.2.1', port: 1 });
    for (let at = 5; at < 17; at++) {
      const copy = v4.slice();
      copy[at] = 1;
      assert.equal(endpointFromBytes(copy), undefined);
    }
    for (const family of [0, 5, 16]) {
      assert.equal(endpointFromBytes(Uint8Array.of(family, ...v4.subarray(1))), undefined);
    }
    assert.equal(endpointFromBytes(v4.subarray(1)), undefined);
  });

  it('hostile bytes give a canonical endpoint or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 19, maxLength: 19 }), (bytes) => {
        const endpoint = endpointFromBytes(bytes);
        if (endpoint) assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
      }),
    );
  });
});
