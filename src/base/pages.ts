/*
 * Statements on pages of limited size, of which each is one record: thousands of small statements would end at what a
 * node may have of records. A statement stays on its page while it fits there, so that a change rewrites one page and
 * not all; pages are rewritten at a limited pace, and then several changes of a page become one.
 */

/** Pages count from 0 in each network. */
export interface PageNumber {
  readonly network: number;
  readonly page: number;
}

export interface PageRules<Entry> {
  /** Of a network. */
  readonly maxPages: number;
  readonly maxBytes: number;
  /** Of a page without entries. */
  readonly headBytes: number;
  /** Rewritten at once, then one in so many ms. */
  readonly burst: number;
  readonly rewriteEveryMs: number;
  /** Of an entry in its page, at most. */
  readonly bytesOf: (entry: Entry) => number;
  readonly encode: (entries: readonly Entry[]) => Uint8Array;
}

/** A page as it shall stand; no body: it is empty and goes. */
export interface PageWrite extends PageNumber {
  readonly body: Uint8Array | undefined;
}

/** News wait this long for more. */
const WAIT_MS = 10;

class Page<Entry> {
  readonly at: PageNumber;
  /** By statement. */
  readonly entries = new Map<string, Entry>();
  bytes: number;

  constructor(at: PageNumber, headBytes: number) {
    this.at = at;
    this.bytes = headBytes;
  }
}

export class Pages<Entry> {
  readonly #rules: PageRules<Entry>;
  readonly #pages: Page<Entry>[] = [];
  readonly #pageOf = new Map<string, Page<Entry>>();
  readonly #dirty = new Set<Page<Entry>>();
  #tokens: number;
  #tokensAtMs = 0;
  #writeAtMs = Number.POSITIVE_INFINITY;

  constructor(rules: PageRules<Entry>) {
    this.#rules = rules;
    this.#tokens = rules.burst;
  }

  get nextDeadlineMs(): number {
    return this.#writeAtMs;
  }

  /** Whether there is a page of that number. */
  has({ network, page }: PageNumber): boolean {
    return this.#pages.some(({ at }) => at.network === network && at.page === page);
  }

  /** Of each statement. */
  get statements(): Iterable<string> {
    return this.#pageOf.keys();
  }

  /** What a statement says. */
  get(statement: string): Entry | undefined {
    return this.#pageOf.get(statement)?.entries.get(statement);
  }

  /**
   * Sets what a statement says, in place of what it said.
   * @returns false: all pages of the network are full, and it says nothing
   */
  put(network: number, statement: string, entry: Entry, nowMs: number): boolean {
    const bytes = this.#rules.bytesOf(entry);
    const before = this.#pageOf.get(statement);
    this.#take(statement);
    const isThere = before?.at.network === network;
    const fits = isThere && before.bytes + bytes <= this.#rules.maxBytes;
    const page = fits ? before : this.#roomFor(network, bytes);
    this.#soon(before, nowMs);
    if (page === undefined) return false;
    page.entries.set(statement, entry);
    page.bytes += bytes;
    this.#pageOf.set(statement, page);
    this.#soon(page, nowMs);
    return true;
  }

  /** Of which network a statement is. */
  networkOf(statement: string): number | undefined {
    return this.#pageOf.get(statement)?.at.network;
  }

  delete(statement: string, nowMs: number): void {
    const page = this.#pageOf.get(statement);
    this.#take(statement);
    this.#soon(page, nowMs);
  }

  /** What is to be written now, as far as peers will take it. */
  due(nowMs: number): readonly PageWrite[] {
    if (nowMs < this.#writeAtMs) return [];
    const { burst, rewriteEveryMs, encode } = this.#rules;
    const gained = (nowMs - this.#tokensAtMs) / rewriteEveryMs;
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#tokensAtMs = nowMs;
    const writes: PageWrite[] = [];
    for (const page of [...this.#dirty]) {
      if (this.#tokens < 1) break;
      this.#tokens -= 1;
      this.#dirty.delete(page);
      const entries = [...page.entries.values()];
      writes.push({ ...page.at, body: entries.length === 0 ? undefined : encode(entries) });
    }
    const waitMs = Math.ceil((1 - this.#tokens) * rewriteEveryMs);
    this.#writeAtMs = this.#dirty.size === 0 ? Number.POSITIVE_INFINITY : nowMs + waitMs;
    return writes;
  }

  #take(statement: string): void {
    const page = this.#pageOf.get(statement);
    const entry = page?.entries.get(statement);
    if (page === undefined || entry === undefined) return;
    page.entries.delete(statement);
    page.bytes -= this.#rules.bytesOf(entry);
    this.#pageOf.delete(statement);
  }

  #soon(page: Page<Entry> | undefined, nowMs: number): void {
    if (page === undefined) return;
    this.#dirty.add(page);
    if (this.#writeAtMs === Number.POSITIVE_INFINITY) this.#writeAtMs = nowMs + WAIT_MS;
  }

  #roomFor(network: number, bytes: number): Page<Entry> | undefined {
    const { maxPages, maxBytes, headBytes } = this.#rules;
    const pages = this.#pages.filter(({ at }) => at.network === network);
    const page = pages.find((other) => other.bytes + bytes <= maxBytes);
    if (page !== undefined || pages.length >= maxPages) return page;
    const made = new Page<Entry>({ network, page: pages.length }, headBytes);
    this.#pages.push(made);
    return made;
  }
}
