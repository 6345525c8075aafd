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
/** Arguments of a call lie on the stack. */
const SPLICED_AT_ONCE = 1024;
/** Titles of one pool; further new blocks are refused, so that nobody pushes others' out. */
const MAX_TITLES = 65_536;

interface PoolTitles {
  readonly range: Cidr;
  /** By block; those with at least one span. */
  readonly titles: Map<string, Title>;
  spans: Span[];
  /** Somebody may be going through them: the next change makes others. */
  areLent: boolean;
  /** Of each title. */
  readonly spanCounts: Map<Title, number>;
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
    if (!paint(pool, title)) return false;
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
    const spans = this.#pools.get(pool.id)?.spans ?? [];
    const span = spans[indexAt(spans, address.value)];
    return span && span.first <= address.value ? span.title : undefined;
  }

  /** What the source guard asks: whose address is it (§9 rule 1). */
  holderOf(address: IpAddress): PeerId | undefined {
    return this.titleAt(address)?.holder;
  }

  /** By address, neighbours of one title joined. */
  spans(id: PoolId): readonly Span[] {
    const pool = this.#pools.get(id);
    if (pool) pool.areLent = true;
    return pool?.spans ?? [];
  }

  /** Titles with at least one visible address. */
  titles(id: PoolId): readonly Title[] {
    return [...(this.#pools.get(id)?.titles.values() ?? [])];
  }

  /** Every title, of losing pools too: what a restart needs. */
  all(): readonly Title[] {
    return [...this.#pools.keys()].flatMap((id) => this.titles(id));
  }

  /** Spans within a block. */
  spansIn(id: PoolId, block: Cidr): readonly Span[] {
    const last = lastOfCidr(block);
    const spans = this.#pools.get(id)?.spans ?? [];
    const found: Span[] = [];
    for (let at = indexAt(spans, block.first); at < spans.length; at++) {
      const span = spans[at];
      if (!span || span.first > last) break;
      found.push({
        first: span.first < block.first ? block.first : span.first,
        last: span.last > last ? last : span.last,
        title: span.title,
      });
    }
    return found;
  }

  /** The highest epoch that anything known over the block has; -1: nothing. It is visible there: the highest wins. */
  topEpoch(id: PoolId, block: Cidr): number {
    return this.spansIn(id, block).reduce((top, { title }) => Math.max(top, title.epoch), -1);
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
    const pool: PoolTitles = {
      range,
      titles: new Map(),
      spans: [],
      areLent: false,
      spanCounts: new Map(),
    };
    this.#pools.set(title.pool, pool);
    this.#active = undefined;
    return pool;
  }
}

function blockKey({ first, bits }: Cidr): string {
  return `${first}/${bits}`;
}

/** Of the span that holds an address, or of the first behind it. */
function indexAt(spans: readonly Span[], value: bigint): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const span = spans[middle];
    if (span && span.last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A title takes the addresses of its block that it wins, and titles without any left go. What it costs grows with the
 * spans of the block alone, so that no member makes all others look at everything again. False: it wins none.
 */
function paint(pool: PoolTitles, title: Title): boolean {
  const { spans, titles, spanCounts } = pool;
  const [first, last] = [title.block.first, lastOfCidr(title.block)];
  const painted: { first: bigint; last: bigint; title: Title }[] = [];
  const push = (from: bigint, to: bigint, by: Title): void => {
    if (from > to) return;
    const before = painted.at(-1);
    if (before && before.title === by && before.last + 1n === from) before.last = to;
    else painted.push({ first: from, last: to, title: by });
  };
  const begin = indexAt(spans, first);
  let end = begin;
  let at = first;
  for (let span = spans[end]; span && span.first <= last; span = spans[++end]) {
    const [from, to] = [
      span.first < first ? first : span.first,
      span.last > last ? last : span.last,
    ];
    push(span.first, first - 1n, span.title);
    push(at, from - 1n, title);
    push(from, to, compareTitles(span.title, title) > 0 ? span.title : title);
    push(last + 1n, span.last, span.title);
    at = to + 1n;
  }
  push(at, last, title);
  if (!painted.some(({ title: by }) => by === title)) return false;
  titles.set(blockKey(title.block), title);
  for (const each of painted) spanCounts.set(each.title, (spanCounts.get(each.title) ?? 0) + 1);
  for (const { title: other } of spans.slice(begin, end)) {
    const left = (spanCounts.get(other) ?? 0) - 1;
    if (left > 0) {
      spanCounts.set(other, left);
      continue;
    }
    spanCounts.delete(other);
    const key = blockKey(other.block);
    if (titles.get(key) === other) titles.delete(key);
  }
  if (pool.areLent || painted.length > SPLICED_AT_ONCE) {
    pool.spans = [...spans.slice(0, begin), ...painted, ...spans.slice(end)];
    pool.areLent = false;
  } else spans.splice(begin, end - begin, ...painted);
  return true;
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
