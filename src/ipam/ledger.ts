import { createHash } from 'node:crypto';

import {
  cidrsOfRange,
  cidrsOverlap,
  lastOfCidr,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';
import { compareTitles, NO_HOLDER, rangeOf, titleText, type PoolId, type Title } from './title.js';

/*
 * All countersigned titles this node knows, and what follows from them. What stands here is a function of the set of
 * titles that ever came in, not of their order: the winner of each address is picked by a total order, so nodes with
 * the same titles see the same owners. A title of which no address is visible any more is dropped; it stays invisible,
 * since what hides it is only ever hidden by what wins over both.
 *
 * Pools with overlapping ranges exclude each other: the smaller id wins (§9 rule 7). Titles of losing pools stay,
 * because the winner over them may itself lose to a third. A pool whose titles are all nobody's was removed.
 */

/** Addresses `first` to `last` (both included) that one title decides. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
  readonly title: Title;
}

export interface Pool {
  readonly id: PoolId;
  readonly range: Cidr;
}

/** More are a member's mischief: the largest ids are not taken in. */
const MAX_POOLS = 64;
/** Titles of one pool; further new blocks are refused, so that nobody pushes others' out. */
const MAX_TITLES = 65_536;

interface PoolTitles {
  readonly range: Cidr;
  /** By block. */
  readonly titles: Map<string, Title>;
  spans: readonly Span[] | undefined;
}

export class Ledger {
  readonly #pools = new Map<PoolId, PoolTitles>();
  #active: readonly Pool[] | undefined;
  #revision = 0;

  /** Grows with every title taken in. */
  get revision(): number {
    return this.#revision;
  }

  /** True if the title was new and says something. */
  add(title: Title): boolean {
    const pool = this.#poolOf(title);
    if (!pool) return false;
    const key = blockKey(title.block);
    const known = pool.titles.get(key);
    if (known && compareTitles(title, known) <= 0) return false;
    if (!known && pool.titles.size >= MAX_TITLES) return false;
    if (!known && this.#isHidden(pool, title)) return false;
    pool.titles.set(key, title);
    pool.spans = undefined;
    this.#active = undefined;
    this.#revision += 1;
    return true;
  }

  /** Pools that count, by id. */
  pools(): readonly Pool[] {
    if (!this.#active) {
      const active: Pool[] = [];
      for (const [id, { range }] of [...this.#pools].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (this.#isRemoved(id) || active.some((pool) => cidrsOverlap(pool.range, range))) continue;
        active.push({ id, range });
      }
      this.#active = active;
    }
    return this.#active;
  }

  /** Whether anybody ever founded a pool over some of a range, also one that lost or has ended. */
  hasHeardOf(range: Cidr): boolean {
    return [...this.#pools.values()].some((pool) => cidrsOverlap(pool.range, range));
  }

  poolAt(address: IpAddress): Pool | undefined {
    const whole = { family: address.family, value: address.value };
    return this.pools().find(
      ({ range }) =>
        range.family === whole.family &&
        whole.value >= range.first &&
        whole.value <= lastOfCidr(range),
    );
  }

  /** The title that decides an address of a pool that counts. */
  titleAt(address: IpAddress): Title | undefined {
    const pool = this.poolAt(address);
    if (!pool) return undefined;
    const spans = this.spans(pool.id);
    let [low, high] = [0, spans.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const span = spans[middle];
      if (span && span.last < address.value) low = middle + 1;
      else high = middle;
    }
    const span = spans[low];
    return span && span.first <= address.value ? span.title : undefined;
  }

  /** What the source guard asks: whose address is it (§9 rule 1). */
  holderOf(address: IpAddress): PeerId | undefined {
    return this.titleAt(address)?.holder;
  }

  /** By address, neighbours of one title joined. */
  spans(id: PoolId): readonly Span[] {
    const pool = this.#pools.get(id);
    if (!pool) return [];
    if (!pool.spans) {
      pool.spans = visibleSpans([...pool.titles.values()]);
      const visible = new Set(pool.spans.map(({ title }) => title));
      for (const [key, title] of pool.titles) if (!visible.has(title)) pool.titles.delete(key);
    }
    return pool.spans;
  }

  /** Titles with at least one visible address. */
  titles(id: PoolId): readonly Title[] {
    this.spans(id);
    return [...(this.#pools.get(id)?.titles.values() ?? [])];
  }

  /** Every title, of losing pools too: what a restart needs. */
  all(): readonly Title[] {
    return [...this.#pools.keys()].flatMap((id) => this.titles(id));
  }

  /** Spans within a block. */
  spansIn(id: PoolId, block: Cidr): readonly Span[] {
    const last = lastOfCidr(block);
    return this.spans(id)
      .filter((span) => span.last >= block.first && span.first <= last)
      .map((span) => ({
        first: span.first < block.first ? block.first : span.first,
        last: span.last > last ? last : span.last,
        title: span.title,
      }));
  }

  /** The highest epoch that anything known over the block has; -1: nothing. */
  topEpoch(id: PoolId, block: Cidr): number {
    return this.titles(id)
      .filter((title) => cidrsOverlap(title.block, block))
      .reduce((top, { epoch }) => Math.max(top, epoch), -1);
  }

  /** All of the block is one peer's, in these titles; undefined: it is not. */
  titlesIfHeldBy(id: PoolId, block: Cidr, holder: PeerId): readonly Title[] | undefined {
    const spans = this.spansIn(id, block);
    let next = block.first;
    for (const span of spans) {
      if (span.first !== next || span.title.holder !== holder) return undefined;
      next = span.last + 1n;
    }
    if (next !== lastOfCidr(block) + 1n) return undefined;
    return [...new Set(spans.map(({ title }) => title))];
  }

  /** The fewest aligned blocks that a peer's addresses in the pool are. */
  blocksOf(id: PoolId, holder: PeerId): readonly Cidr[] {
    return runs(this.spans(id).filter(({ title }) => title.holder === holder)).flatMap((run) =>
      cidrsOfRange(this.#pools.get(id)?.range.family ?? 4, run.first, run.last),
    );
  }

  /**
   * What two nodes compare to know that they know the same of one peer, and of all that another holds: 16 hex digits.
   */
  digestAbout(peer: PeerId, holder?: PeerId): string {
    const hash = createHash('sha512');
    const encoded = this.titlesAbout(peer, holder).map(titleText).sort();
    for (const text of encoded) hash.update(text).update('\n');
    return hash.digest('hex').slice(0, 16);
  }

  titlesAbout(peer: PeerId, holder?: PeerId): readonly Title[] {
    return this.all().filter(
      (title) =>
        title.holder === peer ||
        title.holder === holder ||
        title.grantor === peer ||
        title.witness === peer ||
        title.chain.includes(peer),
    );
  }

  /** All of it is nobody's: it was removed. A pool like that excludes no other. */
  #isRemoved(id: PoolId): boolean {
    const pool = this.#pools.get(id);
    if (pool?.titles.get(blockKey(pool.range))?.holder !== NO_HOLDER) return false;
    return this.spans(id).every(({ title }) => title.holder === NO_HOLDER);
  }

  #poolOf(title: Title): PoolTitles | undefined {
    const range = rangeOf(title);
    const known = this.#pools.get(title.pool);
    if (known) {
      return known.range.first === range.first &&
        known.range.bits === range.bits &&
        known.range.family === range.family
        ? known
        : undefined;
    }
    if (this.#pools.size >= MAX_POOLS) {
      const largest = [...this.#pools.keys()].reduce((a, b) => (a > b ? a : b));
      if (largest < title.pool) return undefined;
      this.#pools.delete(largest);
    }
    const pool: PoolTitles = { range, titles: new Map(), spans: undefined };
    this.#pools.set(title.pool, pool);
    this.#active = undefined;
    return pool;
  }

  #isHidden(pool: PoolTitles, title: Title): boolean {
    return (
      visibleSpans([...pool.titles.values(), title]).find((span) => span.title === title) ===
      undefined
    );
  }
}

function blockKey({ first, bits }: Cidr): string {
  return `${first}/${bits}`;
}

/** Aligned blocks nest or are apart, so one walk with a stack of those that are open finds the winners. */
function visibleSpans(titles: readonly Title[]): readonly Span[] {
  const sorted = titles
    .map((title) => ({ title, first: title.block.first, last: lastOfCidr(title.block) }))
    .sort((a, b) =>
      a.first === b.first ? a.title.block.bits - b.title.block.bits : a.first < b.first ? -1 : 1,
    );
  const spans: { first: bigint; last: bigint; title: Title }[] = [];
  /** `best` decides where nothing deeper is open. */
  const open: { last: bigint; best: Title }[] = [];
  let at = 0n;
  const paintTo = (last: bigint, title: Title): void => {
    if (last < at) return;
    const before = spans.at(-1);
    if (before && before.title === title && before.last + 1n === at) before.last = last;
    else spans.push({ first: at, last, title });
    at = last + 1n;
  };
  const closeBefore = (limit: bigint | undefined): void => {
    for (
      let top = open.at(-1);
      top && (limit === undefined || top.last < limit);
      top = open.at(-1)
    ) {
      paintTo(top.last, top.best);
      open.pop();
    }
  };
  for (const { title, first, last } of sorted) {
    closeBefore(first);
    const around = open.at(-1);
    if (around) paintTo(first - 1n, around.best);
    at = first;
    const best = around && compareTitles(around.best, title) > 0 ? around.best : title;
    open.push({ last, best });
  }
  closeBefore(undefined);
  return spans;
}

function runs(spans: readonly Span[]): readonly { first: bigint; last: bigint }[] {
  const out: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of spans) {
    const before = out.at(-1);
    if (before && before.last + 1n === first) before.last = last;
    else out.push({ first, last });
  }
  return out;
}
