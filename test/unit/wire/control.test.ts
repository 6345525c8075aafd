import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  CLOSE_REASONS,
  decodeClose,
  decodePeerInfo,
  decodeRekey1,
  decodeRekey2,
  encodeClose,
  encodePeerInfo,
  encodeRekey1,
  encodeRekey2,
  isNickname,
  type PeerInfo,
} from '../../../src/wire/control.js';
import { CONTROL } from '../../../src/wire/control-types.js';
import { packMessage } from '../../../src/wire/message-pack.js';

const X = new Uint8Array(32).fill(1);
const HASH = new Uint8Array(64).fill(2);
const INFO: PeerInfo = {
  nickname: 'zoë-7',
  addresses: ['10.47.0.9/12', 'fd12:3456::9/64'],
  version: '0.1.0',
};

const BODIES = [
  { name: 'CLOSE', body: encodeClose('shutdown'), decode: decodeClose },
  { name: 'REKEY1', body: encodeRekey1({ phase: 300, x: X }), decode: decodeRekey1 },
  {
    name: 'REKEY2',
    body: encodeRekey2({ phase: 300, x: X, request: HASH }),
    decode: decodeRekey2,
  },
  { name: 'PEER_INFO', body: encodePeerInfo(INFO), decode: decodePeerInfo },
] as const;

describe('control messages', () => {
  it('types have distinct numbers from 1 to 25, 19 being free', () => {
    assert.deepEqual(
      Object.values(CONTROL),
      Array.from({ length: 25 }, (_, i) => i + 1).filter((type) => type !== 19),
    );
  });

  it('CLOSE says why', () => {
    for (const reason of CLOSE_REASONS) {
      assert.deepEqual(decodeClose(encodeClose(reason)), { ok: true, value: reason });
    }
    assert.deepEqual(decodeClose(packMessage({ reason: 'boredom' })), {
      ok: false,
      reason: 'fields',
    });
  });

  it('rekey messages come back as they went; phase 0 and longer keys do not', () => {
    const phase = fc.integer({ min: 1, max: 0xffffffff });
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(phase, bytes(32), bytes(64), (phase, x, request) => {
        const value = { phase, x: new Uint8Array(x), request: new Uint8Array(request) };
        assert.deepEqual(decodeRekey1(encodeRekey1(value)), {
          ok: true,
          value: { phase, x: value.x },
        });
        assert.deepEqual(decodeRekey2(encodeRekey2(value)), { ok: true, value });
      }),
    );
    for (const fields of [
      [0, X],
      [1.5, X],
      [-1, X],
      [2 ** 32, X],
      ['1', X],
      [1, X.subarray(1)],
      [1, 'x'.repeat(32)],
      [1],
      [1, X, 1],
      { phase: 1, x: X },
    ]) {
      assert.deepEqual(decodeRekey1(packMessage(fields)), { ok: false, reason: 'fields' });
    }
    for (const fields of [
      [1, X],
      [1, X, HASH.subarray(1)],
      [1, HASH, X],
    ]) {
      assert.deepEqual(decodeRekey2(packMessage(fields)), { ok: false, reason: 'fields' });
    }
  });

  it('PEER_INFO comes back as it went, and what a newer node adds is skipped', () => {
    assert.deepEqual(decodePeerInfo(encodePeerInfo(INFO)), { ok: true, value: INFO });
    const newer = packMessage({ ...INFO, weather: ['sunny'], __proto: 1 });
    assert.deepEqual(decodePeerInfo(newer), { ok: true, value: INFO });
    const bare = { nickname: 'a', addresses: [], version: '' };
    assert.deepEqual(decodePeerInfo(encodePeerInfo(bare)), { ok: true, value: bare });
  });

  it('PEER_INFO at its largest fits its own limit', () => {
    const info = {
      nickname: '\u{1f980}'.repeat(31),
      addresses: new Array<string>(8).fill('2001:db8:1111:2222:3333:4444:5555:6666/128'),
      version: 'v'.repeat(32),
    };
    assert.deepEqual(decodePeerInfo(encodePeerInfo(info)), { ok: true, value: info });
  });

  it('PEER_INFO with a field that could harm a reader is refused, on both ends', () => {
    const bad: Partial<Record<keyof PeerInfo, unknown>>[] = [
      { nickname: '' },
      { nickname: 'x'.repeat(64) },
      { nickname: 'red\u001b[31m' },
      { nickname: 'two\nlines' },
      { nickname: 'turned\u202earound' },
      { nickname: ' padded' },
      { nickname: 7 },
      { nickname: null },
      { addresses: new Array<string>(9).fill('10.0.0.1/8') },
      { addresses: ['10.0.0.1'] },
      { addresses: ['10.0.0.1/33'] },
      { addresses: ['10.1/8'] },
      { addresses: ['0x0a.0.0.1/8'] },
      { addresses: ['fd00::1/129'] },
      { addresses: ['fe80::1%eth0/64'] },
      { addresses: ['10.0.0.1/8; reboot'] },
      { addresses: [['10.0.0.1/8']] },
      { addresses: '10.0.0.1/8' },
      { version: 'v'.repeat(33) },
      { version: 'a b' },
      { version: 1 },
    ];
    for (const change of bad) {
      const info = { ...INFO, ...change };
      assert.deepEqual(decodePeerInfo(packMessage(info)), { ok: false, reason: 'fields' });
      assert.throws(() => encodePeerInfo(info as unknown as PeerInfo), RangeError);
    }
  });

  for (const { name, body, decode } of BODIES) {
    it(`${name}: cut, lengthened or with any byte changed, it never throws`, () => {
      assert(decode(body).ok);
      for (let size = 0; size < body.length; size++) {
        assert.equal(decode(body.subarray(0, size)).ok, false, `${size} bytes`);
      }
      assert.equal(decode(Uint8Array.of(...body, 0)).ok, false);
      assert.deepEqual(decode(new Uint8Array(70_000)), { ok: false, reason: 'too long' });
      for (let at = 0; at < body.length; at++) {
        for (let mask = 1; mask < 256; mask++) {
          const copy = body.slice();
          copy[at] = (copy[at] ?? 0) ^ mask;
          decode(copy);
        }
      }
    });
  }

  it('a nickname is short and harmless', () => {
    for (const good of ['a', 'host-1', 'zoë', '東京', 'x'.repeat(63), 'two words']) {
      assert(isNickname(good), good);
    }
    for (const bad of ['', ' ', 'x'.repeat(64), 'a\tb', 'a\u0000', 'a\u200b', '\ud800']) {
      assert(!isNickname(bad), JSON.stringify(bad));
    }
  });
});
