import { fromHex, toHex } from '../base/bytes.js';
import {
  cidrHas,
  lastOfCidr,
  type AddressRange,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';
import type { IpamActions } from './actions.js';
import { Allocations, cellOfAddress } from './allocations.js';
import { Ledger, type Pool, type Span } from './ledger.js';
import { Members } from './members.js';
import type { Range } from './space.js';
import { Reservations, type CellChange } from './reservations.js';
import { decodeTitle, heirInChain, titleRecordKey, titleText, type Title } from './title.js';

/*
 * What this node knows and has: the ledger, its own pending grants, what it handed out. Every change is written down
 * before it is acted upon. Cells of the store, all text:
 *
 *   t/<record key>  title of the ledger, hex             a/<family><address>  "u" or "f" (freed), then the owner
 *   p/<record key>  pending title of ours, hex           l/<title>            a late title: see below
 *   g/<peer>        said to be gone to an heir            r/<family><first>-<last>  reserved
 *
 * A title of ours that came only after its witness was known to be gone (rule 4) is *late*: an heir may have taken the
 * block over without knowing it. It is not used before every member has said that it knows it (takeovers.ts).
 */
export class Estate {
  readonly self: PeerId;
  readonly ledger = new Ledger();
  readonly members: Members;
  readonly allocations = new Allocations();
  readonly reservations = new Reservations();
  /** By record key and epoch: written by us, not countersigned yet. */
  readonly pending = new Map<string, Title>();
  readonly #late = new Set<string>();
  readonly #written = new Map<string, string>();
  readonly #spans = new Map<string, { revision: number; spans: readonly Span[] }>();
  #lateRevision = 0;

  constructor(self: PeerId) {
    this.self = self;
    this.members = new Members(self);
  }

  restore(cells: Iterable<readonly [string, string]>, nowMs: number): void {
    for (const [key, value] of cells) {
      const [kind, rest] = [key.slice(0, 1), key.slice(2)] as const;
      if (kind === 't' || kind === 'p') {
        const read = decodeTitle(fromHex(value));
        if (!read.ok) continue;
        if (kind === 'p') this.pending.set(pendingKey(read.value), read.value);
        else if (this.ledger.add(read.value)) this.#written.set(key, value);
      } else if (kind === 'a') {
        const address = addressOfCell(rest);
        const owner = value.slice(1);
        if (!address || owner === '') continue;
        const freedMs = value.startsWith('f') ? nowMs : undefined;
        this.allocations.restore({ address, owner, freedMs });
      } else if (kind === 'l') this.#late.add(rest);
      else if (kind === 'r') this.reservations.restore(rest);
      else if (kind === 'g') this.members.sayGone(rest as PeerId);
    }
  }

  readonly isGone = (peer: PeerId): boolean => this.members.isGone(peer);

  /** Takes a countersigned title in. True if it says something new. */
  learn(title: Title, out: IpamActions): boolean {
    if (!this.ledger.add(title)) return false;
    const text = titleText(title);
    this.#write(`t/${toHex(titleRecordKey(title))}`, text, out);
    const authority = title.witness ?? title.grantor;
    if (title.holder === this.self && authority !== this.self && this.isGone(authority)) {
      this.#late.add(text);
      this.#lateRevision += 1;
      out.persist(`l/${text}`, authority);
    }
    this.settlePending(out);
    return true;
  }

  /** Pending titles that are countersigned, or overtaken by what won over them, wait no more. */
  settlePending(out: IpamActions): void {
    for (const [key, title] of this.pending) {
      if (this.ledger.topEpoch(title.pool, title.block) < title.epoch) continue;
      this.pending.delete(key);
      out.persist(`p/${key}`, undefined);
    }
  }

  addPending(title: Title, out: IpamActions): void {
    const key = pendingKey(title);
    this.pending.set(key, title);
    out.persist(`p/${key}`, titleText(title));
  }

  dropPending(title: Title, out: IpamActions): void {
    const key = pendingKey(title);
    if (this.pending.delete(key)) out.persist(`p/${key}`, undefined);
  }

  /** Something of the block is promised already, to others or to ourselves. */
  isPending(pool: string, block: Cidr): boolean {
    return [...this.pending.values()].some(
      (title) =>
        title.pool === pool &&
        title.block.first <= lastOfCidr(block) &&
        lastOfCidr(title.block) >= block.first,
    );
  }

  /** Titles that nothing shows any more leave the disk. */
  tidyCells(out: IpamActions): void {
    const visible = new Set(this.ledger.all().map((title) => titleText(title)));
    for (const [key, text] of this.#written) {
      if (!visible.has(text)) this.#write(key, undefined, out);
    }
    for (const text of this.#late) {
      if (!visible.has(text)) this.acceptLate(text, out);
    }
  }

  // ── what is ours ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Late titles in force in the ledger. */
  lateTitles(): readonly Title[] {
    if (this.#late.size === 0) return [];
    return this.ledger.all().filter((title) => this.isLate(title));
  }

  isLate(title: Title): boolean {
    return this.#late.size > 0 && this.#late.has(titleText(title));
  }

  /** By title in hex, or the title. */
  acceptLate(title: Title | string, out: IpamActions): void {
    const text = typeof title === 'string' ? title : titleText(title);
    if (!this.#late.delete(text)) return;
    this.#lateRevision += 1;
    out.persist(`l/${text}`, undefined);
  }

  /** Spans of a pool whose titles are ours and in effect. */
  ownSpans(pool: Pool): readonly Span[] {
    const revision = this.ledger.revision * 65_536 + this.#lateRevision;
    const known = this.#spans.get(pool.id);
    if (known?.revision === revision) return known.spans;
    const spans = this.ledger
      .spans(pool.id)
      .filter(({ title }) => title.holder === this.self && !this.isLate(title));
    this.#spans.set(pool.id, { revision, spans });
    return spans;
  }

  /** Blocks on their way to others. */
  leaving(pool: Pool): readonly Range[] {
    return [...this.pending.values()]
      .filter((title) => title.pool === pool.id && title.holder !== this.self)
      .map(({ block }) => ({ first: block.first, last: lastOfCidr(block) }));
  }

  /** We may hand it out. */
  isOurs(address: IpAddress): boolean {
    const title = this.ledger.titleAt(address);
    return (
      title?.holder === this.self &&
      !this.isLate(title) &&
      ![...this.pending.values()].some(
        (other) =>
          other.pool === title.pool && other.holder !== this.self && cidrHas(other.block, address),
      )
    );
  }

  /** Who acts for the title's holder when that is gone (rule 3). */
  heirOf(title: Title): PeerId | undefined {
    return heirInChain(title, this.isGone);
  }

  // ── what is handed out ───────────────────────────────────────────────────────────────────────────────────────────

  use(address: IpAddress, owner: string, out: IpamActions): void {
    const before = this.allocations.at(address);
    if (before?.owner === owner && before.freedMs === undefined) return;
    this.allocations.use(address, owner);
    out.persist(`a/${cellOfAddress(address)}`, `u${owner}`);
  }

  free(address: IpAddress, nowMs: number, out: IpamActions): void {
    const owner = this.allocations.at(address)?.owner;
    if (owner === undefined) return;
    const dropped = this.allocations.free(address, nowMs);
    out.persist(`a/${cellOfAddress(address)}`, `f${owner}`);
    for (const each of dropped) out.persist(`a/${cellOfAddress(each)}`, undefined);
  }

  reserve(range: AddressRange, out: IpamActions): void {
    this.#persistReserved(this.reservations.add(range), out);
  }

  unreserve(range: AddressRange, out: IpamActions): void {
    this.#persistReserved(this.reservations.remove(range), out);
  }

  #persistReserved(changes: readonly CellChange[], out: IpamActions): void {
    for (const { cell, isThere } of changes) out.persist(`r/${cell}`, isThere ? 'r' : undefined);
  }

  #write(key: string, value: string | undefined, out: IpamActions): void {
    if (value === undefined) this.#written.delete(key);
    else this.#written.set(key, value);
    out.persist(key, value);
  }
}

function pendingKey(title: Title): string {
  return `${toHex(titleRecordKey(title))}.${title.epoch}`;
}

function addressOfCell(text: string): IpAddress | undefined {
  const match = /^(?:4([0-9a-f]{8})|6([0-9a-f]{32}))$/.exec(text);
  const hex = match?.[1] ?? match?.[2];
  if (hex === undefined) return undefined;
  return { family: match?.[1] === undefined ? 6 : 4, value: BigInt(`0x${hex}`) };
}
