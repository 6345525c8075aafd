import { Pages, type PageWrite } from '../base/pages.js';
import {
  encodeNameRecord,
  MAX_NAME_ADDRESSES,
  type NameEntry,
  type NamePage,
} from '../wire/name-record.js';
import { MAX_RECORD_BODY_BYTES } from '../wire/record.js';

/*
 * A node's own names on the pages that its records carry (wire/name-record.ts). Peers take one rewrite a second and a
 * burst of 64 of all its records, and we stay below that.
 */

const MAX_PAGES = 256;
/**
 * The rest of what peers take is for records of other kinds, those of targets' MACs before all (ethernet/constants.ts):
 * together they stay below it, for what peers refuse they learn only when they compare. A name that goes is gone
 * everywhere within two seconds, so this is what a page may wait.
 */
const BURST = 36;
const REWRITE_EVERY_MS = 1600;
/** MessagePack's longest header of an array here. */
const ARRAY_BYTES = 3;

/** A name of ours; one attachment or one entry of the operator's is one statement. */
export interface OwnName extends NameEntry {
  readonly network: number;
}

export class NamePages {
  readonly #pages = new Pages<NameEntry>({
    maxPages: MAX_PAGES,
    maxBytes: MAX_RECORD_BODY_BYTES,
    headBytes: ARRAY_BYTES,
    burst: BURST,
    rewriteEveryMs: REWRITE_EVERY_MS,
    bytesOf,
    encode: encodeNameRecord,
  });

  get nextDeadlineMs(): number {
    return this.#pages.nextDeadlineMs;
  }

  /** Whether there is a page of that number. */
  has(page: NamePage): boolean {
    return this.#pages.has(page);
  }

  /**
   * Sets what a statement says, in place of what it said. Addresses beyond the 32nd are left out.
   * @returns false: all pages of the network are full, and it says nothing
   */
  put(statement: string, { network, name, addresses }: OwnName, nowMs: number): boolean {
    const entry = { name, addresses: addresses.slice(0, MAX_NAME_ADDRESSES) };
    const held = this.#pages.get(statement);
    const isThere = this.#pages.networkOf(statement) === network;
    if (isThere && held && isSame(held, entry)) return true;
    return this.#pages.put(network, statement, entry, nowMs);
  }

  delete(statement: string, nowMs: number): void {
    this.#pages.delete(statement, nowMs);
  }

  /** What is to be written now, as far as peers will take it. */
  due(nowMs: number): readonly PageWrite[] {
    return this.#pages.due(nowMs);
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
