import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  encodeFin,
  encodeFinHeader,
  encodeInit,
  encodeReject,
  encodeResp,
  encodeRespHeader,
  encodeRetry,
  initAroundY,
  initTranscript,
  parseFin,
  parseInit,
  parseReject,
  parseResp,
  parseRetry,
  PROTOCOL_VERSION,
  REJECT_OTHER_MESH,
  respBeforeY,
  respThroughY,
  respY,
  withCookie,
  withResume,
} from '../../../src/wire/handshake.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const index = fc.integer({ min: 1, max: 0xffffffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const head = {
  version: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 65535 }),
  senderIndex: index,
};

/** Each of our parsers, on bytes of the given type and size that are otherwise `filled`. */
const PARSERS = [
  { name: 'INIT', type: 1, size: 512, parse: parseInit, zeros: [[77, 472]] },
  { name: 'RESP', type: 2, size: 512, parse: parseResp, zeros: [[272, 512]] },
  { name: 'FIN', type: 3, size: 512, parse: parseFin, zeros: [[236, 512]] },
  {
    name: 'RETRY',
    type: 4,
    size: 64,
    parse: parseRetry,
    zeros: [
      [2, 4],
      [24, 64],
    ],
  },
  {
    name: 'REJECT',
    type: 5,
    size: 64,
    parse: parseReject,
    zeros: [
      [2, 4],
      [25, 64],
    ],
  },
] as const;

function valid({ type, size, zeros }: (typeof PARSERS)[number]): Uint8Array {
  const out = new Uint8Array(size).fill(0x5a);
  out[0] = type;
  out[1] = PROTOCOL_VERSION;
  for (const [from, to] of zeros) out.fill(0, from, to);
  return out;
}

describe('handshake datagrams', () => {
  it('INIT comes back as it went', () => {
    const init = fc.record({
      ...head,
      meshId: bytes(16),
      sid: bytes(16),
      y: bytes(32),
      suites: u32,
      slot: fc.integer({ min: 0, max: 255 }),
      resume: bytes(24),
      cookie: bytes(16),
    });
    fc.assert(
      fc.property(init, (fields) => {
        const encoded = withCookie(withResume(encodeInit(fields), fields.resume), fields.cookie);
        assert.equal(encoded.length, 512);
        assert.deepEqual(parseInit(encoded), { ok: true, value: { ...fields } });
      }),
    );
  });

  it('RESP and FIN come back as they went', () => {
    const resp = fc.record({
      ...head,
      receiverIndex: index,
      suite: u32,
      y: bytes(32),
      confirm: bytes(32),
      sealed: bytes(192),
    });
    fc.assert(
      fc.property(resp, (fields) => {
        const encoded = encodeResp(encodeRespHeader(fields), fields);
        assert.deepEqual(parseResp(encoded), { ok: true, value: { ...fields } });
        assert.deepEqual(respBeforeY(encoded), encodeRespHeader(fields));
        assert.deepEqual(respY(encoded), fields.y);
        assert.equal(respThroughY(encoded).length, 48);
        const fin = encodeFin(encodeFinHeader(fields), fields);
        const { suite: _suite, y: _y, ...rest } = fields;
        assert.deepEqual(parseFin(fin), { ok: true, value: { ...rest } });
      }),
    );
  });

  it('RETRY and REJECT come back as they went', () => {
    const cookie = new Uint8Array(16).fill(7);
    assert.deepEqual(parseRetry(encodeRetry({ receiverIndex: 0xfffffffe, cookie })), {
      ok: true,
      value: { receiverIndex: 0xfffffffe, cookie },
    });
    const reject = { receiverIndex: 5, sid: cookie, reason: REJECT_OTHER_MESH };
    assert.deepEqual(parseReject(encodeReject(reject)), { ok: true, value: reject });
  });

  it('fields stand where native’s gate looks for them', () => {
    const sid = new Uint8Array(16).fill(0x22);
    const init = encodeInit({
      version: 1,
      flags: 0x0302,
      senderIndex: 0x07060504,
      meshId: new Uint8Array(16).fill(0x11),
      sid,
      y: new Uint8Array(32).fill(0x33),
      suites: 0x4b4a4948,
      slot: 1,
    });
    assert.deepEqual([...init.subarray(0, 8)], [1, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(
      [8, 23, 24, 39, 40, 71].map((at) => init[at]),
      [0x11, 0x11, 0x22, 0x22, 0x33, 0x33],
    );
    assert.deepEqual([...init.subarray(72, 78)], [0x48, 0x49, 0x4a, 0x4b, 1, 0]);
    const [before, after] = initAroundY(init);
    assert.deepEqual([before.length, after.length, initTranscript(init).length], [40, 400, 472]);
    assert.equal(after[0], 0x48);

    const resp = encodeRespHeader({
      version: 1,
      flags: 0,
      senderIndex: 0x07060504,
      receiverIndex: 0x0b0a0908,
      suite: 2,
    });
    assert.deepEqual([...resp], [2, 1, 0, 0, 4, 5, 6, 7, 8, 9, 10, 11, 2, 0, 0, 0]);
    const retry = encodeRetry({ receiverIndex: 0x07060504, cookie: sid });
    assert.deepEqual([...retry.subarray(0, 9)], [4, 1, 0, 0, 4, 5, 6, 7, 0x22]);
    const reject = encodeReject({ receiverIndex: 1, sid, reason: 9 });
    assert.deepEqual([reject.length, reject[23], reject[24], reject[25]], [64, 0x22, 9, 0]);
  });

  for (const parser of PARSERS) {
    it(`${parser.name}: another size, type or index 0 is malformed, and so is each zero that is not`, () => {
      const good = valid(parser);
      assert(parser.parse(good).ok);
      const bad = (change: (copy: Uint8Array) => void) => {
        const copy = good.slice();
        change(copy);
        assert.deepEqual(parser.parse(copy), { ok: false, reason: 'malformed' });
      };
      for (let size = 0; size < good.length; size++) {
        assert.equal(parser.parse(good.subarray(0, size)).ok, false);
      }
      assert.equal(parser.parse(Uint8Array.of(...good, 0)).ok, false);
      bad((copy) => (copy[0] = parser.type + 1));
      bad((copy) => copy.fill(0, 4, 8));
      for (const [from, to] of parser.zeros) {
        for (let at = from; at < to; at++) bad((copy) => (copy[at] = 0x80));
      }
    });

    it(`${parser.name}: what it returns is a copy`, () => {
      const good = valid(parser);
      const parsed = parser.parse(good);
      const before = structuredClone(parsed);
      good.fill(0xff);
      assert.deepEqual(parsed, before);
    });
  }
});
