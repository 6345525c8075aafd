import assert from 'node:assert/strict';
import fc from 'fast-check';
import { cidrAround, formatCidr, parseAddress, parseCidr } from '../../../src/model/cidr.js';
import { Ledger } from '../../../src/ipam/ledger.js';
import { compareTitles, encodeTitle, type Title } from '../../../src/ipam/title.js';
import { anyTitle, peer, poolId, title } from './titles.js';

const BASE = 0x0a000000n;

function ledgerOf(titles: readonly Title[]): Ledger {
  const ledger = new Ledger();
  for (const each of titles) ledger.add(each);
  return ledger;
}

/** The winner of each of the 64 addresses, by asking every title. */
function naiveOwners(titles: readonly Title[]): (string | undefined)[] {
  return Array.from({ length: 64 }, (_, at) => {
    const value = BASE + BigInt(at);
    return titles
      .filter(({ block }) => cidrAround({ family: 4, value }, block.bits).first === block.first)
      .reduce<Title | undefined>((a, b) => (a && compareTitles(a, b) > 0 ? a : b), undefined)
      ?.holder;
  });
}

function owners(ledger: Ledger): (string | undefined)[] {
  return Array.from({ length: 64 }, (_, at) =>
    ledger.holderOf({ family: 4, value: BASE + BigInt(at) }),
  );
}

describe('ledger', () => {
  it('gives each address to the winner of all titles over it, whatever their order', () => {
    const sets = fc.array(anyTitle, { maxLength: 24 });
    fc.assert(
      fc.property(sets, fc.array(fc.nat(), { minLength: 24, maxLength: 24 }), (titles, keys) => {
        const shuffled = titles
          .map((each, at) => ({ each, key: keys[at] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ each }) => each);
        const expected = naiveOwners(titles);
        assert.deepEqual(owners(ledgerOf(titles)), expected);
        // Looked at after each: what is dropped on the way must not be missed later.
        const watched = new Ledger();
        for (const each of shuffled) {
          watched.add(each);
          watched.titles(each.pool);
        }
        assert.deepEqual(owners(watched), expected);
        const bytes = (ledger: Ledger): string[] =>
          ledger
            .all()
            .map((each) => Buffer.from(encodeTitle(each)).toString('hex'))
            .sort();
        assert.deepEqual(bytes(watched), bytes(ledgerOf(titles)));
        assert.equal(watched.digestAbout(peer(1)), ledgerOf(titles).digestAbout(peer(1)));
      }),
      { numRuns: 300 },
    );
  });

  it('takes a title once, and none that could decide nothing', () => {
    const ledger = ledgerOf([title({ epoch: 4 })]);
    const { revision } = ledger;
    assert.equal(ledger.add(title({ epoch: 4 })), false);
    assert.equal(ledger.add(title({ epoch: 3, bits: 30 })), false);
    assert.equal(ledger.add(title({ epoch: 3 })), false);
    assert.equal(ledger.revision, revision);
    assert.equal(ledger.add(title({ epoch: 5, bits: 30 })), true);
    assert.equal(ledger.revision, revision + 1);
  });

  it('drops a title when nothing of it is visible any more', () => {
    const ledger = ledgerOf([title()]);
    ledger.add(title({ bits: 27, epoch: 1, holder: peer(2) }));
    assert.equal(ledger.titles(poolId(5)).length, 2);
    ledger.add(title({ offset: 32, bits: 27, epoch: 1, holder: peer(3) }));
    assert.deepEqual(
      ledger.titles(poolId(5)).map(({ holder }) => holder),
      [peer(2), peer(3)],
    );
  });

  it('counts what a peer holds in the fewest aligned blocks', () => {
    const ledger = ledgerOf([title()]);
    ledger.add(title({ offset: 48, bits: 28, epoch: 1, holder: peer(2) }));
    ledger.add(title({ offset: 0, bits: 28, epoch: 1 }));
    assert.deepEqual(ledger.blocksOf(poolId(5), peer(1)).map(formatCidr), [
      '10.0.0.0/27',
      '10.0.0.32/28',
    ]);
  });

  it('says whether all of a block is one peer’s', () => {
    const ledger = ledgerOf([title(), title({ offset: 48, bits: 28, epoch: 1, holder: peer(2) })]);
    const held = (text: string, holder: number): number | undefined =>
      ledger.titlesIfHeldBy(poolId(5), parseCidr(text)!, peer(holder))?.length;
    assert.equal(held('10.0.0.0/27', 1), 1);
    assert.equal(held('10.0.0.0/26', 1), undefined);
    assert.equal(held('10.0.0.56/29', 2), 1);
    assert.equal(held('10.0.1.0/29', 1), undefined);
    assert.equal(ledger.topEpoch(poolId(5), parseCidr('10.0.0.32/27')!), 1);
    assert.equal(ledger.topEpoch(poolId(5), parseCidr('10.0.0.0/27')!), 0);
    assert.equal(ledger.topEpoch(poolId(6), parseCidr('10.0.0.0/27')!), -1);
  });

  it('two nodes that know different titles about a peer have different digests about it', () => {
    const grant = title({
      bits: 28,
      epoch: 1,
      holder: peer(2),
      witness: peer(3),
      chain: [peer(1)],
    });
    const [a, b] = [ledgerOf([title()]), ledgerOf([title(), grant])];
    for (const about of [1, 2, 3]) {
      assert.notEqual(a.digestAbout(peer(about)), b.digestAbout(peer(about)));
    }
    assert.equal(a.digestAbout(peer(4)), b.digestAbout(peer(4)));
  });

  it('rule 7: of pools that overlap the smaller id counts, in whatever order they were met', () => {
    const small = title({ pool: poolId(1), holder: peer(1), grantor: peer(1) });
    const large = title({ pool: poolId(2), holder: peer(2), grantor: peer(2), epoch: 9 });
    for (const order of [
      [small, large],
      [large, small],
    ]) {
      const ledger = ledgerOf(order);
      assert.deepEqual(
        ledger.pools().map(({ id }) => id),
        [poolId(1)],
      );
      assert.equal(ledger.holderOf(parseAddress('10.0.0.9')!), peer(1));
      assert.equal(ledger.all().length, 2);
    }
  });

  it('rule 7: pools that are apart live side by side, and one that lost excludes no third', () => {
    const at = (pool: number, text: string): Title => {
      const block = parseCidr(text)!;
      return title({ pool: poolId(pool), block, poolBits: block.bits });
    };
    const [a, b, c] = [at(1, '10.0.0.0/24'), at(2, '10.0.0.0/16'), at(3, '10.0.9.0/24')];
    const v6 = at(4, 'fd00::/64');
    for (const order of [
      [a, b, c, v6],
      [v6, c, b, a],
      [b, v6, c, a],
    ]) {
      assert.deepEqual(
        ledgerOf(order)
          .pools()
          .map(({ range }) => formatCidr(range)),
        ['10.0.0.0/24', '10.0.9.0/24', 'fd00::/64'],
      );
    }
    assert.equal(ledgerOf([v6]).poolAt(parseAddress('fd00::77')!)?.id, poolId(4));
    assert.equal(ledgerOf([v6]).titleAt(parseAddress('10.0.0.1')!), undefined);
  });

  it('a stranger’s pools are bounded, and never push out the one that counts', () => {
    const ledger = ledgerOf([title({ pool: poolId(0) })]);
    for (let byte = 255; byte > 0; byte--) ledger.add(title({ pool: poolId(byte) }));
    assert.equal(ledger.all().length, 64);
    assert.deepEqual(
      ledger.pools().map(({ id }) => id),
      [poolId(0)],
    );
  });

  it('looks at what a new title lies over, and at no other', () => {
    const ledger = new Ledger();
    let looks = 0;
    const watched = (fields: Parameters<typeof title>[0]): Title => {
      const made = title({ poolBits: 16, ...fields });
      const { block } = made;
      return Object.defineProperty({ ...made }, 'block', {
        enumerable: true,
        get: () => {
          looks += 1;
          return block;
        },
      });
    };
    for (let offset = 0; offset < 8192; offset++) {
      assert(ledger.add(watched({ offset, bits: 32, holder: peer(1 + (offset % 3)) })));
    }
    looks = 0;
    for (let epoch = 1; epoch <= 100; epoch++) {
      assert(ledger.add(watched({ offset: 4096, bits: 30, epoch, holder: peer(2) })));
    }
    assert(!ledger.add(watched({ offset: 4096, bits: 31, epoch: 50 })));
    assert.equal(ledger.topEpoch(poolId(5), parseCidr('10.0.16.0/30')!), 100);
    assert(looks < 2000, `${looks} looks for 101 titles`);
    assert.equal(ledger.titles(poolId(5)).length, 8192 - 4 + 1);
  });
});
