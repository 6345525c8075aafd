import assert from 'node:assert/strict';

import { endpointToBytes, makeEndpoint } from '../../../src/model/endpoint.js';
import { packMessage } from '../../../src/wire/message-pack.js';
import { decodePunch, encodePunch, MAX_PUNCH_DELAY_MS } from '../../../src/wire/punch.js';

const endpoint = (number: number) => makeEndpoint(`192.0.2.${number}`, 6783)!;

describe('PUNCH', () => {
  it('comes back as it was said', () => {
    const punch = { delayMs: 20, endpoints: [endpoint(1), makeEndpoint('2001:db8::1', 6783)!] };
    assert.deepEqual(decodePunch(encodePunch(punch)), { ok: true, value: punch });
  });

  it('names each endpoint once, and eight at most', () => {
    const endpoints = Array.from({ length: 40 }, (_, at) => endpoint(1 + (at >> 1)));
    const back = decodePunch(encodePunch({ delayMs: 1e9, endpoints }));
    assert.ok(back.ok);
    assert.deepEqual(
      back.value.endpoints,
      Array.from({ length: 8 }, (_, at) => endpoint(at + 1)),
    );
    assert.equal(back.value.delayMs, MAX_PUNCH_DELAY_MS);
  });

  it('is refused with sixty candidates, a port of 0, or a delay nobody waits for', () => {
    const listed = Array.from({ length: 60 }, (_, at) => endpointToBytes(endpoint(at)));
    assert.equal(decodePunch(packMessage([0, listed])).ok, false);
    assert.equal(decodePunch(packMessage([0, listed.slice(0, 9)])).ok, false);
    assert.equal(decodePunch(packMessage([MAX_PUNCH_DELAY_MS + 1, []])).ok, false);
    const noPort = endpointToBytes(endpoint(1));
    noPort[noPort.length - 1] = 0;
    noPort[noPort.length - 2] = 0;
    assert.equal(decodePunch(packMessage([0, [noPort]])).ok, false);
    assert.equal(decodePunch(packMessage([0, [], 1])).ok, false);
  });

  it('is read or refused, never thrown at, with any byte changed or cut off', () => {
    const bytes = encodePunch({ delayMs: 300, endpoints: [endpoint(1), endpoint(2)] });
    for (let at = 0; at < bytes.length; at++) {
      assert.equal(decodePunch(bytes.subarray(0, at)).ok, false);
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ 0xff;
      decodePunch(copy);
    }
  });
});
