import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { packMessage, unpackMessage, type PackLimits } from '../../../src/wire/message-pack.js';

const LIMITS: PackLimits = { bytes: 4096, depth: 4, items: 200 };

function unpack(...bytes: number[]) {
  return unpackMessage(Uint8Array.from(bytes), LIMITS);
}

function reason(...bytes: number[]): string {
  const result = unpack(...bytes);
  return result.ok ? 'ok' : result.reason;
}

describe('message pack', () => {
  it('values come back as they went, maps as Map', () => {
    const leaf = fc.oneof(
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)),
    );
    const value = fc.oneof(
      leaf,
      fc.array(leaf, { maxLength: 20 }),
      fc.dictionary(fc.string(), fc.array(leaf, { maxLength: 3 }), { maxKeys: 5 }),
    );
    fc.assert(
      fc.property(value, (sent) => {
        const got = unpackMessage(packMessage(sent), { ...LIMITS, bytes: 1 << 20 });
        assert(got.ok);
        assert.deepEqual(plain(got.value), plain(sent));
      }),
    );
  });

  it('hostile bytes never throw, and are refused or bounded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        unpackMessage(bytes, LIMITS);
      }),
      { numRuns: 2000 },
    );
  });

  it('every prefix of a value, and every value with a tail, is refused', () => {
    const whole = packMessage({ a: [1, 'two', new Uint8Array(300)], b: { c: 70000 } });
    assert(unpackMessage(whole, LIMITS).ok);
    for (let size = 0; size < whole.length; size++) {
      assert.equal(unpackMessage(whole.subarray(0, size), LIMITS).ok, false, `${size} bytes`);
    }
    assert.equal(unpackMessage(Uint8Array.of(...whole, 0xc0), LIMITS).ok, false);
  });

  it('every extension is refused, each length form, records and references among them', () => {
    for (const form of [
      [0xd4, 0x72, 0x40],
      [0xd5, 1, 0, 0],
      [0xd6, 0xff, 0, 0, 0, 0],
      [0xd7, 1, ...new Uint8Array(8)],
      [0xd8, 1, ...new Uint8Array(16)],
      [0xc7, 1, 0x74, 0],
      [0xc8, 0, 1, 1, 0],
      [0xc9, 0, 0, 0, 1, 1, 0],
      [0xc1],
    ]) {
      assert.equal(reason(...form), 'not msgpack', form.join());
      assert.equal(reason(0x91, ...form), 'not msgpack');
    }
    for (const value of [new Set([1]), /x/, new Date(0), new Float64Array(2), new Error('x')]) {
      const bytes = new Packr({ moreTypes: true, structuredClone: true }).pack(value);
      assert.equal(unpackMessage(bytes, LIMITS).ok, false, value.constructor.name);
    }
    const records = new Packr({ useRecords: true }).pack([{ a: 1 }, { a: 2 }]);
    assert.equal(unpackMessage(records, LIMITS).ok, false);
  });

  it('__proto__ is a key like any other', () => {
    const key = [...new TextEncoder().encode('__proto__')];
    const got = unpack(0x81, 0xa0 + key.length, ...key, 0x81, 0xa1, 0x78, 1);
    assert(got.ok);
    assert(got.value instanceof Map);
    assert.equal(got.value.size, 1);
    assert.equal(({} as Record<string, unknown>)['x'], undefined);
  });

  it('depth, count and size have limits, whatever lengths announce', () => {
    assert.equal(reason(0x91, 0x91, 0x91, 0x91, 0x90), 'ok');
    assert.equal(reason(0x91, 0x91, 0x91, 0x91, 0x91, 0x90), 'too deep');
    assert.equal(reason(0xdc, 0, 199, ...new Uint8Array(199)), 'ok');
    assert.equal(reason(0xdc, 0, 200, ...new Uint8Array(200)), 'too many');
    assert.equal(reason(...new Uint8Array(4097)), 'too long');
    for (const announced of [0xdd, 0xdf, 0xdb, 0xc6]) {
      assert.equal(reason(announced, 0xff, 0xff, 0xff, 0xff), 'not msgpack');
    }
  });

  it('map keys are distinct strings', () => {
    assert.equal(reason(0x82, 0xa1, 0x61, 1, 0xa1, 0x62, 2), 'ok');
    assert.equal(reason(0x82, 0xa1, 0x61, 1, 0xa1, 0x61, 2), 'not msgpack');
    assert.equal(reason(0x82, 0xa1, 0x61, 1, 0xd9, 1, 0x61, 2), 'not msgpack');
    for (const key of [[0x01], [0xc0], [0xc4, 1, 0x61], [0x90]]) {
      assert.equal(reason(0x81, ...key, 1), 'not msgpack');
    }
  });

  it('strings are UTF-8', () => {
    assert.equal(reason(0xa2, 0xc3, 0xa4), 'ok');
    assert.equal(reason(0xa1, 0xc3), 'not msgpack');
    assert.equal(reason(0xa2, 0xc0, 0x80), 'not msgpack');
    assert.equal(reason(0x81, 0xa1, 0xff, 1), 'not msgpack');
  });
});

/** Maps, objects and kinds of byte arrays made comparable. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, plain(item)]));
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) return plain(new Map(Object.entries(value)));
  return Object.is(value, -0) ? 0 : value;
}
