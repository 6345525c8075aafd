import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fromHex, toHex, utf8Bytes } from '../../../src/base/bytes.js';
import { hkdfExpand, hkdfExtract, hmacSha512, sha512 } from '../../../src/crypto/hash.js';

const { tests } = JSON.parse(readFileSync('test/fixtures/vectors/hkdf-sha512.json', 'utf8')) as {
  tests: { tcId: number; ikm: string; salt: string; info: string; okm: string }[];
};

describe('hash', () => {
  for (const { tcId, ikm, salt, info, okm } of tests) {
    it(`HKDF-SHA-512 agrees with Wycheproof ${tcId}`, () => {
      const prk = hkdfExtract(fromHex(salt), fromHex(ikm));
      assert.equal(toHex(hkdfExpand(prk, [fromHex(info)], okm.length / 2)), okm);
    });
  }

  it('parts are hashed as if joined', () => {
    const [ab, a, b] = [utf8Bytes('ab'), utf8Bytes('a'), utf8Bytes('b')];
    assert.deepEqual(sha512(a, b), sha512(ab));
    assert.deepEqual(hmacSha512(a, a, b), hmacSha512(a, ab));
    assert.deepEqual(hkdfExtract(a, a, b), hkdfExtract(a, ab));
    assert.deepEqual(hkdfExpand(a, [a, b], 200), hkdfExpand(a, [ab], 200));
  });

  it('a longer output begins with the shorter one, up to the limit of RFC 5869', () => {
    const prk = utf8Bytes('prk');
    const longest = hkdfExpand(prk, [], 255 * 64);
    assert.deepEqual(hkdfExpand(prk, [], 65), longest.slice(0, 65));
    assert.throws(() => hkdfExpand(prk, [], 255 * 64 + 1), RangeError);
  });
});
