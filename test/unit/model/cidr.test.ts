import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addressBytes,
  addressFromBytes,
  cidrAround,
  cidrContains,
  cidrHas,
  cidrsOfRange,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  lastOfCidr,
  parseAddress,
  parseCidr,
  parseInterfaceAddress,
  sizeOfCidr,
  widthOf,
  type Cidr,
  type Family,
} from '../../../src/model/cidr.js';

const family = fc.constantFrom<Family>(4, 6);
const cidr = fc
  .tuple(family, fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.nat(128))
  .map(([family, value, bits]) =>
    cidrAround(
      { family, value: family === 4 ? value % 2n ** 32n : value },
      Math.min(bits, widthOf(family)),
    ),
  );

describe('cidr', () => {
  it('reads addresses of both families as numbers and refuses octal, short and scoped ones', () => {
    assert.deepEqual(parseAddress('10.32.0.1'), { family: 4, value: 0x0a200001n });
    assert.deepEqual(parseAddress('fd00::2'), { family: 6, value: 0xfdn * 2n ** 120n + 2n });
    assert.deepEqual(parseAddress('::ffff:1.2.3.4'), { family: 4, value: 0x01020304n });
    for (const text of ['10.1', '010.0.0.1', '0x1.2.3.4', 'fe80::1%eth0', '', '1.2.3.256']) {
      assert.equal(parseAddress(text), undefined, text);
    }
  });

  it('shows what it reads', () => {
    fc.assert(
      fc.property(cidr, (cidr) => {
        assert.deepEqual(parseCidr(formatCidr(cidr)), cidr);
        const address = { family: cidr.family, value: lastOfCidr(cidr) };
        assert.deepEqual(
          parseAddress(formatAddress(address)),
          address.value >> 32n === 0xffffn
            ? { family: 4, value: address.value & 0xffff_ffffn }
            : address,
        );
        assert.equal(addressFromBytes(addressBytes(address)), address.value);
      }),
    );
  });

  it('refuses bits behind the prefix unless they may be cut', () => {
    assert.equal(parseCidr('10.32.0.1/12'), undefined);
    assert.equal(formatCidr(parseCidr('10.47.0.1/12', 'cut')!), '10.32.0.0/12');
    assert.deepEqual(parseInterfaceAddress('10.47.0.1/12'), {
      address: { family: 4, value: 0x0a2f0001n },
      bits: 12,
    });
    for (const text of ['10.0.0.0/33', 'fd00::/129', '10.0.0.0', '10.0.0.0/', '/8']) {
      assert.equal(parseCidr(text), undefined, text);
    }
    assert.throws(() => cidrAround({ family: 4, value: 2n ** 32n }, 8), RangeError);
    assert.throws(() => cidrAround({ family: 4, value: 0n }, 33), RangeError);
  });

  it('contains and overlaps as the addresses do', () => {
    const small = fc
      .tuple(fc.bigInt({ min: 0n, max: 31n }), fc.integer({ min: 26, max: 32 }))
      .map(([value, bits]) => cidrAround({ family: 4, value }, bits));
    const all = (block: Cidr): bigint[] =>
      Array.from({ length: 64 }, (_, at) => BigInt(at)).filter((value) =>
        cidrHas(block, { family: 4, value }),
      );
    fc.assert(
      fc.property(small, small, (a, b) => {
        const [ofA, ofB] = [all(a), all(b)];
        assert.equal(BigInt(ofA.length), sizeOfCidr(a));
        assert.equal(
          cidrContains(a, b),
          ofB.every((value) => ofA.includes(value)),
        );
        assert.equal(
          cidrsOverlap(a, b),
          ofB.some((value) => ofA.includes(value)),
        );
      }),
    );
    assert.equal(cidrsOverlap(parseCidr('0.0.0.0/0')!, parseCidr('::/0')!), false);
  });

  it('cuts a range into the fewest aligned blocks', () => {
    /** By halves: a block that is wholly inside is one, else both halves are asked. */
    const naive = (block: Cidr, first: bigint, last: bigint): number => {
      if (lastOfCidr(block) < first || block.first > last) return 0;
      if (block.first >= first && lastOfCidr(block) <= last) return 1;
      const middle = block.first + sizeOfCidr(block) / 2n;
      return [block.first, middle]
        .map((value) => naive(cidrAround({ family: 4, value }, block.bits + 1), first, last))
        .reduce((a, b) => a + b);
    };
    fc.assert(
      fc.property(fc.nat(1023), fc.nat(1023), (a, b) => {
        const [first, last] = [BigInt(Math.min(a, b)), BigInt(Math.max(a, b))];
        const blocks = cidrsOfRange(4, first, last);
        assert.equal(blocks.length, naive(cidrAround({ family: 4, value: 0n }, 0), first, last));
        let next = first;
        for (const block of blocks) {
          assert.equal(block.first, next);
          next = lastOfCidr(block) + 1n;
        }
        assert.equal(next, last + 1n);
      }),
    );
    assert.deepEqual(cidrsOfRange(4, 0n, 2n ** 32n - 1n).map(formatCidr), ['0.0.0.0/0']);
  });
});
