import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  cidrAround,
  formatCidr,
  parseCidr,
  widthOf,
  type Family,
} from '../../../src/model/cidr.js';
import {
  chainAfter,
  compareTitles,
  decodeTitle,
  describeTitle,
  encodeTitle,
  heirInChain,
  makePoolId,
  MAX_CHAIN,
  rangeOf,
  titleRecordKey,
  titleRecordVersion,
} from '../../../src/ipam/title.js';
import { anyTitle, peer, title } from './titles.js';

describe('title', () => {
  it('comes back as it went, in both families', () => {
    const value = fc
      .record({
        family: fc.constantFrom<Family>(4, 6),
        at: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
        bits: fc.nat(128),
        epoch: fc.nat({ max: 2 ** 48 - 1 }),
        chain: fc.uniqueArray(fc.integer({ min: 2, max: 200 }), { maxLength: MAX_CHAIN }),
        isWitnessed: fc.boolean(),
        request: fc.nat(0xffff_ffff),
      })
      .map(({ family, at, bits, epoch, chain, isWitnessed, request }) => {
        const length = Math.min(bits, widthOf(family));
        const address = { family, value: family === 4 ? at % 2n ** 32n : at };
        const witness = isWitnessed ? peer(9) : undefined;
        const block = cidrAround(address, length);
        const poolBits = Math.floor(length / 2);
        return title({ block, poolBits, epoch, chain: chain.map(peer), witness, request });
      });
    fc.assert(
      fc.property(value, (value) => {
        assert.deepEqual(decodeTitle(encodeTitle(value)), { ok: true, value });
      }),
    );
  });

  it('stays at its documented place', () => {
    const bytes = encodeTitle(
      title({
        offset: 16,
        bits: 28,
        epoch: 0x0102_0304_0506,
        holder: peer(2),
        witness: peer(3),
        chain: [peer(4)],
        request: 7,
      }),
    );
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '01041a1c0605040302010100' +
        '07000000' +
        '05'.repeat(16) +
        '0a000010' +
        '00'.repeat(12) +
        '02'.repeat(16) +
        '01'.repeat(16) +
        '03'.repeat(16) +
        '04'.repeat(16),
    );
  });

  it('is refused when cut, and a changed byte gives another title or none', () => {
    const bytes = encodeTitle(title({ chain: [peer(2), peer(3)], witness: peer(2) }));
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decodeTitle(bytes.subarray(0, length)).ok, false);
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ 0x41;
      const read = decodeTitle(changed);
      if (read.ok) assert.deepEqual(encodeTitle(read.value), changed, `byte ${at}`);
    }
  });

  it('with an unaligned block, a holder among the earlier ones or a pool inside its block is refused', () => {
    const good = encodeTitle(title({ chain: [peer(2)] }));
    const change = (at: number, value: number): boolean => {
      const changed = good.slice();
      changed[at] = value;
      return decodeTitle(changed).ok;
    };
    assert.equal(change(35, 1), false);
    assert.equal(change(2, 27), false);
    assert.equal(change(10, MAX_CHAIN + 1), false);
    assert.equal(change(11, 1), false);
    assert.equal(decodeTitle(encodeTitle(title({ chain: [peer(1)] }))).ok, false);
  });

  it('has a record key per block and a version that grows with the epoch', () => {
    const [a, b] = [title({ epoch: 3 }), title({ epoch: 4, holder: peer(2) })];
    assert.deepEqual(titleRecordKey(a), titleRecordKey(b));
    assert.notDeepEqual(titleRecordKey(a), titleRecordKey(title({ bits: 27 })));
    assert.equal(titleRecordKey(a).length, 34);
    assert.ok(titleRecordVersion(b) > titleRecordVersion(a));
    assert.equal(titleRecordVersion(title()), 1);
  });

  it('names its pool and itself', () => {
    assert.equal(formatCidr(rangeOf(title({ offset: 48, bits: 30 }))), '10.0.0.0/26');
    assert.equal(describeTitle(title({ epoch: 2 })), '10.0.0.0/26 of 01010101, epoch 2');
    assert.throws(() => makePoolId(new Uint8Array(15)), RangeError);
    assert.ok(parseCidr('10.0.0.0/26'));
  });

  it('rule 3: the heir is the last earlier holder that is not gone', () => {
    const held = title({ holder: peer(4), chain: [peer(1), peer(2), peer(3)] });
    const gone = (...digits: number[]) => digits.map(peer);
    const heir = (list: ReturnType<typeof gone>) =>
      heirInChain(held, (candidate) => list.includes(candidate));
    assert.equal(heir(gone()), peer(3));
    assert.equal(heir(gone(3)), peer(2));
    assert.equal(heir(gone(1, 2, 3)), undefined);
  });

  it('rule 3: the chain grows by who grants, ends where an earlier holder gets it back, and is bounded', () => {
    assert.deepEqual(chainAfter([peer(1)], peer(2), peer(3)), [peer(1), peer(2)]);
    assert.deepEqual(chainAfter([peer(1), peer(2)], peer(3), peer(2)), [peer(1)]);
    assert.deepEqual(chainAfter([peer(1)], peer(2), peer(2)), [peer(1)]);
    const long = Array.from({ length: MAX_CHAIN }, (_, at) => peer(at + 1));
    assert.deepEqual(chainAfter(long, peer(20), peer(21)), [...long.slice(1), peer(20)]);
  });

  it('order is total: every node picks the same winner', () => {
    fc.assert(
      fc.property(anyTitle, anyTitle, anyTitle, (a, b, c) => {
        assert.equal(Math.sign(compareTitles(a, b)), -Math.sign(compareTitles(b, a)) + 0);
        if (compareTitles(a, b) > 0 && compareTitles(b, c) > 0) assert.ok(compareTitles(a, c) > 0);
      }),
    );
    assert.ok(compareTitles(title({ epoch: 2 }), title({ epoch: 1, bits: 30 })) > 0);
    assert.ok(compareTitles(title({ bits: 30 }), title()) > 0);
  });
});
