import {
  encodeNameRecord,
  MAX_NAME_ADDRESSES,
  type NameEntry,
  type NamePage,
} from '../wire/name-record.js';
import { MAX_RECORD_BODY_BYTES } from '../wire/record.js';

/*
 * A node's own names on the pages that its records carry (wire/name-record.ts). A statement stays on its page while it
 * fits there, so that a change rewrites one record and not all; peers take one rewrite a second and a burst of 64, and
 * we stay below that: then several changes of a page become one.
 */

const MAX_PAGES = 256;
/** Of what peers take in a burst, the rest is for records of other kinds. */
const BURST = 48;
const REWRITE_EVERY_MS = 1250;
/** News wait this long for more. */
const WAIT_MS = 10;

/** A name of ours; one attachment or one entry of the operator's is one statement. */
export interface OwnName extends NameEntry {
  readonly network: number;
}

/** A page as it shall stand; no body: it is empty and goes. */
export interface PageWrite extends NamePage {
  readonly body: Uint8Array | undefined;
}

class Page {
  readonly at: NamePage;
  /** By statement. */
  readonly entries = new Map<string, NameEntry>();
  bytes = ARRAY_BYTES;

  constructor(at: NamePage) {
    this.at = at;
  }
}

/** MessagePack's longest header of an array here. */
const ARRAY_BYTES = 3;

export class NamePages {
  readonly #pages: Page[] = [];
  readonly #pageOf = new Map<string, Page>();
  readonly #dirty = new Set<Page>();
  #tokens = BURST;
  #tokensAtMs = 0;
  #writeAtMs = Number.POSITIVE_INFINITY;

  get nextDeadlineMs(): number {
    return this.#writeAtMs;
  }

  /** Whether there is a page of that number. */
  has({ network, page }: NamePage): boolean {
    return this.#pages.some(({ at }) => at.network === network && at.page === page);
  }

  /**
   * Sets what a statement says, in place of what it said. Addresses beyond the 32nd are left out.
   * @returns false: all pages of the network are full, and it says nothing
   */
  put(statement: string, { network, name, addresses }: OwnName, nowMs: number): boolean {
    const entry = { name, addresses: addresses.slice(0, MAX_NAME_ADDRESSES) };
    const bytes = bytesOf(entry);
    const before = this.#pageOf.get(statement);
    const held = before?.entries.get(statement);
    if (before?.at.network === network && held && isSame(held, entry)) return true;
    this.#take(statement);
    const fits = before?.at.network === network && before.bytes + bytes <= MAX_RECORD_BODY_BYTES;
    const page = fits ? before : this.#roomFor(network, bytes);
    this.#soon(before, nowMs);
    if (page === undefined) return false;
    page.entries.set(statement, entry);
    page.bytes += bytes;
    this.#pageOf.set(statement, page);
    this.#soon(page, nowMs);
    return true;
  }

  delete(statement: string, nowMs: number): void {
    const page = this.#pageOf.get(statement);
    this.#take(statement);
    this.#soon(page, nowMs);
  }

  /** What is to be written now, as far as peers will take it. */
  due(nowMs: number): readonly PageWrite[] {
    if (nowMs < this.#writeAtMs) return [];
    const gained = (nowMs - this.#tokensAtMs) / REWRITE_EVERY_MS;
    this.#tokens = Math.min(BURST, this.#tokens + gained);
    this.#tokensAtMs = nowMs;
    const writes: PageWrite[] = [];
    for (const page of [...this.#dirty]) {
      if (this.#tokens < 1) break;
      this.#tokens -= 1;
      this.#dirty.delete(page);
      const entries = [...page.entries.values()];
      const body = entries.length === 0 ? undefined : encodeNameRecord(entries);
      writes.push({ ...page.at, body });
    }
    const waitMs = Math.ceil((1 - this.#tokens) * REWRITE_EVERY_MS);
    this.#writeAtMs = this.#dirty.size === 0 ? Number.POSITIVE_INFINITY : nowMs + waitMs;
    return writes;
  }

  #take(statement: string): void {
    const page = this.#pageOf.get(statement);
    const entry = page?.entries.get(statement);
    if (page === undefined || entry === undefined) return;
    page.entries.delete(statement);
    page.bytes -= bytesOf(entry);
    this.#pageOf.delete(statement);
  }

  #soon(page: Page | undefined, nowMs: number): void {
    if (page === undefined) return;
    this.#dirty.add(page);
    if (this.#writeAtMs === Number.POSITIVE_INFINITY) this.#writeAtMs = nowMs + WAIT_MS;
  }

  #roomFor(network: number, bytes: number): Page | undefined {
    const pages = this.#pages.filter(({ at }) => at.network === network);
    const page = pages.find((other) => other.bytes + bytes <= MAX_RECORD_BODY_BYTES);
    if (page !== undefined || pages.length >= MAX_PAGES) return page;
    const made = new Page({ network, page: pages.length });
    this.#pages.push(made);
    return made;
  }
}

/** At most; headers of MessagePack are counted at their longest. */
function bytesOf({ name, addresses }: NameEntry): number {
  const each = addresses.map((address) => 2 + (address.includes(':') ? 16 : 4));
  return each.reduce((sum, bytes) => sum + bytes, ARRAY_BYTES + 3 + name.length);
}

function isSame(left: NameEntry, right: NameEntry): boolean {
  return left.name === right.name && left.addresses.join() === right.addresses.join();
}
