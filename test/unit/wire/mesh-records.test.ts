import assert from 'node:assert/strict';

import { makeEndpoint } from '../../../src/model/endpoint.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';
import {
  decodeLinksRecord,
  encodeLinksRecord,
  MAX_LISTED_LINKS,
} from '../../../src/wire/links-record.js';
import { decodePeerRecord, encodePeerRecord } from '../../../src/wire/peer-record.js';

const PEER = {
  nickname: 'web-1',
  endpoints: [makeEndpoint('192.0.2.1', 6783)!, makeEndpoint('2001:db8::1', 6783)!],
  addresses: ['10.47.0.9/12', 'fd00::9/64'],
  version: '0.1.0',
  isRelay: true,
};
const id = (number: number): PeerId => peerIdFromBytes(new Uint8Array(16).fill(number));

/** Every one-byte change and every truncation: decoded to something well-formed or refused, never thrown. */
function mangle(bytes: Uint8Array, decode: (body: Uint8Array) => unknown): void {
  for (let at = 0; at < bytes.length; at++) {
    decode(bytes.subarray(0, at));
    for (const flip of [0x01, 0x80, 0xff]) {
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ flip;
      decode(copy);
    }
  }
}

describe('peer record', () => {
  it('comes back as it was said', () => {
    assert.deepEqual(decodePeerRecord(encodePeerRecord(PEER)), { ok: true, value: PEER });
  });

  it('fits a record, however much there is to say', () => {
    const endpoints = Array.from({ length: 30 }, (_, at) => makeEndpoint(`192.0.2.${at}`, 6783)!);
    const addresses = Array.from(
      { length: 8 },
      () => 'fd00:1111:2222:3333:4444:5555:6666:7777/128',
    );
    const nickname = 'n'.repeat(63);
    const bytes = encodePeerRecord({ ...PEER, nickname, endpoints, addresses });
    assert.ok(bytes.length <= 900);
    const back = decodePeerRecord(bytes);
    assert.equal(back.ok && back.value.endpoints.length, 8);
  });

  it('refuses nicknames that move a cursor, port 0 and a ninth endpoint', () => {
    const { endpoints } = PEER;
    const bad = [
      { ...PEER, nickname: 'a\u001b[2J' },
      { ...PEER, endpoints: [makeEndpoint('192.0.2.1', 0)!] },
      { ...PEER, addresses: ['10.0.0.1'] },
    ];
    for (const record of bad) assert.equal(decodePeerRecord(encodePeerRecord(record)).ok, false);
    assert.equal(endpoints.length, 2);
  });

  it('survives every flipped byte and truncation', () => {
    mangle(encodePeerRecord(PEER), decodePeerRecord);
  });
});

describe('links record', () => {
  it('lists the cheapest 48', () => {
    const steps = new Map(Array.from({ length: 60 }, (_, at) => [id(at + 1), 60 - at] as const));
    const bytes = encodeLinksRecord(steps);
    assert.ok(bytes.length <= 900);
    const back = decodeLinksRecord(bytes);
    assert.ok(back.ok);
    assert.equal(back.value.size, MAX_LISTED_LINKS);
    assert.equal(back.value.get(id(60)), 1);
    assert.equal(back.value.has(id(1)), false);
  });

  it('refuses a peer that is listed twice, and survives what is no list', () => {
    const once = encodeLinksRecord(new Map([[id(1), 3]]));
    assert.equal(decodeLinksRecord(new Uint8Array([...once, ...once])).ok, false);
    assert.equal(decodeLinksRecord(new Uint8Array(17 * 49)).ok, false);
    mangle(once, decodeLinksRecord);
  });
});
