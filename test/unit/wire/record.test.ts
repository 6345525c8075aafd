import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeRecord,
  encodeUnsignedRecord,
  MAX_RECORD_BYTES,
  MAX_RECORD_VERSION,
  RECORD_SIGNATURE_BYTES,
  signaturePart,
  signedPart,
} from '../../../src/wire/record.js';
import {
  decodeDigest,
  decodePull,
  decodeRecords,
  encodeDigest,
  encodePull,
  encodeRecords,
  type DigestMessage,
  type PullMessage,
} from '../../../src/wire/records.js';
import { packMessage } from '../../../src/wire/message-pack.js';

const PUBLIC_KEY = new Uint8Array(32).fill(3);
const FIELDS = {
  kind: 1,
  key: new Uint8Array([1, 2]),
  version: 1_767_225_600_123,
  isTombstone: false,
  body: new Uint8Array([9, 8, 7]),
  publicKey: PUBLIC_KEY,
};

function signed(fields = FIELDS): Uint8Array {
  const unsigned = encodeUnsignedRecord(fields);
  const out = new Uint8Array(unsigned.length + RECORD_SIGNATURE_BYTES).fill(0xee);
  out.set(unsigned);
  return out;
}

describe('record layout', () => {
  it('comes back as it went, up to the largest', () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 255 }),
        bytes(64),
        fc.integer({ min: 1, max: MAX_RECORD_VERSION }),
        bytes(900),
        (kind, key, version, body) => {
          const fields = { ...FIELDS, kind, key, version, body };
          assert.deepEqual(decodeRecord(signed(fields)), { ok: true, value: fields });
        },
      ),
    );
    const largest = { ...FIELDS, key: new Uint8Array(64), body: new Uint8Array(900) };
    assert.equal(signed(largest).length, MAX_RECORD_BYTES);
    assert.ok(decodeRecord(signed({ ...largest, version: MAX_RECORD_VERSION })).ok);
  });

  it('truncated, lengthened or with a changed header it is refused or says something else', () => {
    const good = signed();
    for (let length = 0; length < good.length; length++) {
      assert.equal(decodeRecord(good.subarray(0, length)).ok, false, `length ${length}`);
    }
    assert.equal(decodeRecord(new Uint8Array([...good, 0])).ok, false);
    for (let at = 0; at < good.length - RECORD_SIGNATURE_BYTES; at++) {
      const flipped = new Uint8Array(good);
      flipped[at] = flipped[at]! ^ 1;
      const read = decodeRecord(flipped);
      if (read.ok) assert.notDeepEqual(read.value, FIELDS, `byte ${at}`);
    }
  });

  it('has no version 0 or from 2⁵³, and no tombstone with a body', () => {
    for (const version of [0, MAX_RECORD_VERSION + 1, 1.5]) {
      assert.throws(() => encodeUnsignedRecord({ ...FIELDS, version }), RangeError);
    }
    const tooHigh = signed();
    tooHigh.fill(0xff, 8, 16);
    assert.equal(decodeRecord(tooHigh).ok, false);
    assert.throws(() => encodeUnsignedRecord({ ...FIELDS, isTombstone: true }), RangeError);
    const tombstone = signed();
    tombstone[2] = 1;
    assert.equal(decodeRecord(tombstone).ok, false);
  });

  it('its two parts join to the whole', () => {
    const good = signed();
    assert.deepEqual(new Uint8Array([...signedPart(good), ...signaturePart(good)]), good);
  });
});

const DIGESTS: DigestMessage[] = [
  { kind: 'ask', id: 7, root: new Uint8Array(16).fill(1) },
  { kind: 'same', id: 7, root: new Uint8Array(16).fill(2) },
  { kind: 'buckets', id: 0xffff_ffff, buckets: new Uint8Array(1024).fill(3) },
  { kind: 'shelves', id: 1, isMore: true, entries: new Uint8Array(64).fill(4) },
];
const PULLS: PullMessage[] = [
  { kind: 'shelves', id: 1, buckets: new Uint8Array(8).fill(255), after: new Uint8Array(0) },
  { kind: 'shelves', id: 1, buckets: new Uint8Array(8), after: new Uint8Array(16).fill(9) },
  {
    kind: 'records',
    id: 3,
    items: [
      { shelf: new Uint8Array(16).fill(5), low: 0, high: 255, have: new Uint8Array(16).fill(6) },
      { shelf: new Uint8Array(16).fill(6), low: 128, high: 128, have: new Uint8Array(0) },
    ],
  },
];
const RECORDS = { id: 3, index: 0, count: 2, isMore: false, records: [signed(), signed()] };

describe('DIGEST, PULL and RECORDS', () => {
  const all = [
    ...DIGESTS.map((message) => ({ message, body: encodeDigest(message), decode: decodeDigest })),
    ...PULLS.map((message) => ({ message, body: encodePull(message), decode: decodePull })),
    { message: RECORDS, body: encodeRecords(RECORDS), decode: decodeRecords },
  ];

  it('come back as they went', () => {
    for (const { message, body, decode } of all) {
      assert.deepEqual(decode(body), { ok: true, value: message });
    }
  });

  it('truncated are refused; with any byte changed they never throw', () => {
    for (const { body, decode } of all) {
      for (let length = 0; length < body.length; length++) {
        assert.equal(decode(body.subarray(0, length)).ok, false);
      }
      for (let at = 0; at < body.length; at++) {
        for (const bit of [1, 0x80]) {
          const flipped = new Uint8Array(body);
          flipped[at] = flipped[at]! ^ bit;
          assert.doesNotThrow(() => decode(flipped));
        }
      }
    }
  });

  it('refuse more than their limits', () => {
    const shelf = new Uint8Array(16);
    const have = new Uint8Array(0);
    const many = Array.from({ length: 33 }, () => ({ shelf, low: 0, high: 1, have }));
    assert.equal(decodePull(encodePull({ kind: 'records', id: 1, items: many })).ok, false);
    const twisted = [{ shelf, low: 2, high: 1, have }];
    assert.equal(decodePull(encodePull({ kind: 'records', id: 1, items: twisted })).ok, false);
    const tooLarge = [new Uint8Array(MAX_RECORD_BYTES + 1)];
    assert.equal(decodeRecords(encodeRecords({ ...RECORDS, records: tooLarge })).ok, false);
    assert.equal(decodeRecords(encodeRecords({ ...RECORDS, index: 2 })).ok, false);
    assert.equal(decodeDigest(packMessage([1, -1, new Uint8Array(16)])).ok, false);
    assert.equal(decodeDigest(packMessage([1, 1, new Uint8Array(15)])).ok, false);
    const entries = new Uint8Array(33 * 32);
    assert.equal(
      decodeDigest(encodeDigest({ kind: 'shelves', id: 1, isMore: false, entries })).ok,
      false,
    );
  });
});
