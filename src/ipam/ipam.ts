import type { Rng } from '../base/rng.js';
import {
  cidrAround,
  cidrHas,
  cidrsOfRange,
  cidrsOverlap,
  formatAddress,
  cidrsEqual,
  formatCidr,
  formatRange,
  lastOfCidr,
  sizeOfCidr,
  widthOf,
  type AddressRange,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import type { NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import type { Clash, IpamActions, IpamMessage, Outcome, Refusal } from './actions.js';
import { Asks, type Prospect } from './asks.js';
import {
  ANSWER_WITHIN_MS,
  MAX_WAITING,
  MORE_AGAIN_MS,
  RETURN_AFTER_MS,
  TIDY_EVERY_MS,
} from './constants.js';
import { Estate } from './estate.js';
import { Founding } from './founding.js';
import { Grants } from './grants.js';
import type { Ledger, Pool } from './ledger.js';
import type { MemberView } from './members.js';
import {
  baseBits,
  hostsOf,
  intersect,
  startOf,
  subtract,
  usableRange,
  type Range,
} from './space.js';
import { Takeovers } from './takeovers.js';
import { NO_HOLDER, type Title } from './title.js';

/*
 * Addresses without a vote (docs/protocol.md §9): this node's part of it, as a machine. Requests come in by number and
 * are answered within 2 s, with an address or with whom it waits for:
 *
 *   request ─ own free address? ─► answer
 *      │ no                          ▲
 *      └► founding, asks ── titles ──┘        1.8 s ─► why not, and who is in the way
 *
 * Rooms of it: founding (the first pool), grants (giving and countersigning), asks (getting), takeovers (of the gone).
 */

export type Want =
  /** Any address, of a subnet or of the default range; the owner's own again when it had one. */
  | { readonly kind: 'any'; readonly subnet: Cidr | undefined }
  | { readonly kind: 'address'; readonly address: IpAddress }
  /** These are to be given to nobody; all of one pool, answered with the first. */
  | { readonly kind: 'reserve'; readonly ranges: readonly AddressRange[] }
  /** The pool is to end. */
  | { readonly kind: 'end'; readonly pool: Cidr };

export interface IpamOptions {
  readonly self: PeerId;
  /** The pools to found when there are none (founding.ts), the first one to give addresses of first. */
  readonly ranges: readonly Cidr[];
  /** Whose addresses these are; by default the default one's. */
  readonly network?: { readonly id: NetworkId; readonly createdMs: number } | undefined;
  /** Somebody could have a pool already. */
  readonly hasCompany: boolean;
  readonly nowMs: number;
}

interface Waiting {
  readonly id: number;
  readonly owner: string;
  readonly want: Want;
  readonly deadlineMs: number;
  refusal: Refusal | undefined;
}

/** What `ipam status` shows of a pool. */
export interface PoolReport {
  readonly pool: Pool;
  readonly holders: readonly {
    readonly peer: PeerId;
    readonly addresses: bigint;
    readonly blocks: number;
    readonly isGone: boolean;
    /** Whom its space waits for, when it is gone. */
    readonly waitingFor: readonly PeerId[];
  }[];
  readonly titles: number;
}

export class Ipam {
  readonly #estate: Estate;
  readonly #founding: Founding;
  readonly #grants: Grants;
  readonly #takeovers: Takeovers;
  readonly #asks: Asks;
  readonly #options: IpamOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #clashes = new Map<string, Clash>();
  /** Clashes told of, and clashes lost by others, for `clashes`. */
  readonly #moreAtMs = new Map<string, number>();
  #tidyAtMs: number;
  #changedMs: number;
  #seenRevision = -1;

  constructor(rng: Rng, options: IpamOptions) {
    this.#options = options;
    this.#estate = new Estate(options.self);
    this.#founding = new Founding(this.#estate, rng, options);
    this.#takeovers = new Takeovers(this.#estate);
    this.#grants = new Grants(this.#estate, this.#takeovers);
    this.#asks = new Asks(this.#estate, this.#takeovers, rng);
    this.#tidyAtMs = options.nowMs + Math.round((rng.fraction() + 0.5) * TIDY_EVERY_MS);
    this.#changedMs = options.nowMs;
  }

  /** Once, before anything else. */
  restore(cells: Iterable<readonly [string, string]>, nowMs: number): void {
    this.#estate.restore(cells, nowMs);
  }

  get ledger(): Ledger {
    return this.#estate.ledger;
  }

  get nextDeadlineMs(): number {
    let next = Math.min(
      this.#tidyAtMs,
      this.#founding.nextDeadlineMs,
      this.#grants.nextDeadlineMs,
      this.#takeovers.nextDeadlineMs,
      this.#asks.nextDeadlineMs,
    );
    for (const { deadlineMs } of this.#waiting.values()) next = Math.min(next, deadlineMs);
    return next;
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────

  setMembers(view: MemberView, nowMs: number, out: IpamActions): void {
    const { members } = this.#estate;
    members.set(view);
    for (const peer of members.returned()) {
      members.takeBack(peer);
      out.persist(`g/${peer}`, undefined);
    }
    this.#founding.onDeadline(nowMs, out);
    this.#settle(nowMs, out);
  }

  onMessage(from: PeerId, message: IpamMessage, nowMs: number, out: IpamActions): void {
    if (from === this.#estate.self) return;
    switch (message.kind) {
      case 'hello':
        this.#founding.onHello(from, message.hasPool);
        this.#founding.onDeadline(nowMs, out);
        break;
      case 'ask': {
        const block = this.#grants.onAsk(from, message, nowMs, out);
        if (block) this.#noteClash(block, this.#estate.self, from, out);
        break;
      }
      case 'grant':
        this.#grants.onGrant(from, message.title, out);
        break;
      case 'refuse':
        this.#asks.onRefuse(from, message, nowMs, out);
        break;
      case 'gone':
        this.#takeovers.onGone(from, message, out);
        break;
      case 'goneAnswer':
        this.#takeovers.onAnswer(from, message, nowMs, out);
        break;
    }
    this.#settle(nowMs, out);
  }

  /** Countersigned titles, from records. */
  onTitles(titles: readonly Title[], nowMs: number, out: IpamActions): void {
    let isNew = false;
    for (const title of titles) isNew = this.#estate.learn(title, out) || isNew;
    if (isNew) this.#settle(nowMs, out);
  }

  onDeadline(nowMs: number, out: IpamActions): void {
    this.#founding.onDeadline(nowMs, out);
    this.#takeovers.onDeadline(nowMs, out);
    this.#grants.onDeadline(nowMs, out);
    this.#asks.onDeadline(nowMs, out);
    if (nowMs >= this.#tidyAtMs) {
      this.#tidyAtMs = nowMs + TIDY_EVERY_MS;
      this.#grants.tidy(nowMs - this.#changedMs >= RETURN_AFTER_MS, nowMs, out);
      this.#estate.tidyCells(out);
    }
    this.#settle(nowMs, out, true);
  }

  // ── what this host asks ──────────────────────────────────────────────────────────────────────────────────────────

  /** Answered by an `answer` with that id: at once, or within 2 s. */
  request(id: number, owner: string, want: Want, nowMs: number, out: IpamActions): void {
    const deadlineMs = nowMs + ANSWER_WITHIN_MS;
    const waiting: Waiting = { id, owner, want, deadlineMs, refusal: undefined };
    if (this.#waiting.size >= MAX_WAITING) {
      const text = 'too many requests are waiting';
      out.answer(id, { ok: false, refusal: { code: 'waiting', text, peer: undefined } });
      return;
    }
    this.#waiting.set(id, waiting);
    this.#asks.forgetOver();
    this.#try(waiting, nowMs, out);
    this.#settle(nowMs, out);
  }

  /** All of an owner's addresses, or one of them. Nobody else gets it for 30 s. */
  release(owner: string, address: IpAddress | undefined, nowMs: number, out: IpamActions): void {
    for (const each of this.#estate.allocations.ofOwner(owner)) {
      if (each.freedMs !== undefined) continue;
      if (
        address &&
        (each.address.value !== address.value || each.address.family !== address.family)
      )
        continue;
      this.#estate.free(each.address, nowMs, out);
      this.#clashes.delete(formatAddress(each.address));
      this.#changedMs = nowMs;
    }
  }

  /** Takes back what was reserved of a range. */
  unreserve(range: AddressRange, nowMs: number, out: IpamActions): void {
    this.#estate.unreserve(range, out);
    this.#changedMs = nowMs;
  }

  /** Founds one more pool. @returns the pool in the way, when it overlaps one. */
  addPool(range: Cidr, nowMs: number, out: IpamActions): Pool | undefined {
    const other = this.ledger.pools().find((pool) => cidrsOverlap(pool.range, range));
    if (!other) this.#founding.found(range, out);
    this.#settle(nowMs, out);
    return other;
  }

  // ── what others may look at ──────────────────────────────────────────────────────────────────────────────────────

  /** In use here and ours by title: may be on the wire. */
  isActive(address: IpAddress): boolean {
    const found = this.#estate.allocations.at(address);
    return found !== undefined && found.freedMs === undefined && this.#estate.isOurs(address);
  }

  /** Addresses in use here, with their owners. */
  used(): readonly {
    readonly address: IpAddress;
    readonly owner: string;
    readonly isActive: boolean;
  }[] {
    return [...this.#estate.allocations.used()].map(({ address, owner }) => ({
      ...{ address, owner, isActive: this.isActive(address) },
    }));
  }

  /** What operators of this host keep from being handed out. */
  reserved(): readonly AddressRange[] {
    return this.#estate.reservations.all;
  }

  /** Addresses used here and elsewhere, whoever has the title. */
  clashes(): readonly Clash[] {
    return [...this.#clashes.values()];
  }

  pools(): readonly PoolReport[] {
    return this.ledger.pools().map((pool) => {
      const sizes = new Map<PeerId, bigint>();
      for (const { first, last, title } of this.ledger.spans(pool.id)) {
        sizes.set(title.holder, (sizes.get(title.holder) ?? 0n) + last - first + 1n);
      }
      const holders = [...sizes].map(([peer, addresses]) => {
        const isGone = this.#estate.isGone(peer);
        const waitingFor = isGone ? this.#takeovers.waitingFor(peer) : [];
        const blocks = this.ledger.blocksOf(pool.id, peer).length;
        return { peer, addresses, blocks, isGone, waitingFor };
      });
      return { pool, holders, titles: this.ledger.titles(pool.id).length };
    });
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What follows from anything that changed. */
  #settle(nowMs: number, out: IpamActions, isDue = false): void {
    const { revision } = this.ledger;
    const isNew = revision !== this.#seenRevision;
    this.#seenRevision = revision;
    if (isNew) {
      this.#asks.onTitles();
      this.#grants.onDeadline(nowMs, out);
      this.#founding.onDeadline(nowMs, out);
    }
    this.#takeovers.onDeadline(nowMs, out);
    if (isNew || isDue) {
      this.#hold(nowMs, out);
      this.#holdReserved(nowMs, out);
    }
    for (const waiting of [...this.#waiting.values()]) {
      if (this.#try(waiting, nowMs, out)) continue;
      if (nowMs < waiting.deadlineMs) continue;
      const nothing: Refusal = {
        code: 'no pool',
        text: 'there is no address pool yet',
        peer: undefined,
      };
      this.#answer(waiting, { ok: false, refusal: waiting.refusal ?? nothing }, out);
    }
  }

  #answer({ id }: Waiting, outcome: Outcome, out: IpamActions): void {
    this.#waiting.delete(id);
    out.answer(id, outcome);
  }

  /** True when it was answered. */
  #try(waiting: Waiting, nowMs: number, out: IpamActions): boolean {
    const { want, owner } = waiting;
    if (this.#estate.isGone(this.#estate.self)) {
      const text = 'this node is removed from the mesh';
      this.#answer(
        waiting,
        { ok: false, refusal: { code: 'removed', text, peer: undefined } },
        out,
      );
      return true;
    }
    const found = this.#tryFor(want, owner, nowMs, out);
    if ('address' in found) {
      this.#changedMs = nowMs;
      this.#answer(waiting, { ok: true, ...found }, out);
      return true;
    }
    waiting.refusal = found.refusal;
    if (!found.isFinal) return false;
    this.#answer(waiting, { ok: false, refusal: found.refusal }, out);
    return true;
  }

  #tryFor(want: Want, owner: string, nowMs: number, out: IpamActions): Found {
    switch (want.kind) {
      case 'any':
        return this.#any(want.subnet, owner, nowMs, out);
      case 'address':
        return this.#exactly(want.address, owner, nowMs, out);
      case 'reserve':
        return this.#reserve(want.ranges, nowMs, out);
      case 'end':
        return this.#end(want.pool, nowMs, out);
    }
  }

  #any(subnet: Cidr | undefined, owner: string, nowMs: number, out: IpamActions): Found {
    const all = this.ledger.pools();
    const family = subnet?.family ?? this.#options.ranges[0]?.family ?? all[0]?.range.family;
    const pools = all
      .filter(({ range }) => range.family === family && (!subnet || cidrsOverlap(range, subnet)))
      .sort((a, b) => this.#rank(a) - this.#rank(b));
    let failure: Failure | undefined;
    for (const pool of pools) {
      const found = this.#anyOf(pool, subnet ?? pool.range, owner, nowMs, out);
      if ('address' in found) return found;
      failure = found;
    }
    if (failure) return failure;
    const isElsewhere = all.some(({ range }) => range.family === family);
    if (subnet && isElsewhere) return final('outside', `${formatCidr(subnet)} is in no pool`);
    return { refusal: this.#noPool(), isFinal: false };
  }

  /** The pools this node was told of go first. */
  #rank({ range }: Pool): number {
    const { ranges } = this.#options;
    const found = ranges.findIndex((told) => cidrsOverlap(range, told));
    return found < 0 ? ranges.length : found;
  }

  #anyOf(pool: Pool, subnet: Cidr, owner: string, nowMs: number, out: IpamActions): Found {
    const { allocations } = this.#estate;
    const { bits } = subnet.bits > pool.range.bits ? subnet : pool.range;
    const ranges = this.#usable(pool, subnet);
    if (ranges === undefined) {
      return final('outside', `${formatCidr(subnet)} has no addresses to hand out`);
    }
    const isIn = (value: bigint): boolean =>
      ranges.some(({ first, last }) => value >= first && value <= last);
    const had = allocations
      .ofOwner(owner)
      .find(({ address }) => address.family === pool.range.family && isIn(address.value));
    const address = had?.address ?? this.#free(pool, ranges, nowMs);
    const within = subnet.bits > pool.range.bits ? subnet : pool.range;
    if (address === undefined) {
      const { refusal, isAsking } = this.#askFor(pool, within, nowMs, out);
      return { refusal, isFinal: !isAsking && refusal.code === 'full' };
    }
    this.#estate.use(address, owner, out);
    if (this.#isScarce(pool)) this.#more(pool, nowMs, out);
    return { address, bits };
  }

  /** Ranges of ours that may be handed out within a subnet. Undefined: nobody could hand out any. */
  #usable(pool: Pool, subnet: Cidr): readonly Range[] | undefined {
    const usable = usableRange(pool.range);
    const hosts = subnet.bits > pool.range.bits ? hostsOf(subnet) : usable;
    const limits = usable && hosts && intersect(usable, hosts);
    if (!limits) return undefined;
    const parts = this.#estate.ownSpans(pool).flatMap((span) => intersect(span, limits) ?? []);
    const { reservations } = this.#estate;
    return subtract(parts, [...this.#estate.leaving(pool), ...reservations.in(pool.range)]);
  }

  /** From this node's own place on, then from the beginning. */
  #free(pool: Pool, ranges: readonly Range[], nowMs: number): IpAddress | undefined {
    const { allocations, self } = this.#estate;
    const usable = usableRange(pool.range);
    if (!usable) return undefined;
    const start = startOf(self, pool.range, usable);
    const { family } = pool.range;
    const after = ranges.flatMap(
      (range) => intersect(range, { first: start, last: usable.last }) ?? [],
    );
    const before = ranges.flatMap(
      (range) => intersect(range, { first: usable.first, last: start - 1n }) ?? [],
    );
    for (const { first, last } of [...after, ...before]) {
      for (let value = first; value <= last; value++) {
        const address = { family, value };
        if (!allocations.isTaken(address, nowMs)) return address;
      }
    }
    return undefined;
  }

  #exactly(address: IpAddress, owner: string, nowMs: number, out: IpamActions): Found {
    const pool = this.ledger.poolAt(address);
    if (!pool) {
      const isToldOf = this.#options.ranges.some((range) => cidrHas(range, address));
      if (this.#founding.hasPool || !isToldOf) {
        return final('outside', `${formatAddress(address)} is in no pool`);
      }
      return { refusal: this.#noPool(), isFinal: false };
    }
    const usable = usableRange(pool.range);
    if (!usable || address.value < usable.first || address.value > usable.last) {
      return final(
        'reserved',
        `${formatAddress(address)} is not handed out: the last 1/16 of ${formatCidr(pool.range)} is for the nodes themselves`,
      );
    }
    const { bits } = pool.range;
    if (this.#estate.isOurs(address)) {
      if (this.#estate.reservations.has(address)) {
        return final('in use', `${formatAddress(address)} is reserved here`, this.#estate.self);
      }
      const found = this.#estate.allocations.at(address);
      if (found && found.freedMs === undefined && found.owner !== owner) {
        return this.#usedHere(address);
      }
      this.#estate.use(address, owner, out);
      return { address, bits };
    }
    const within = cidrAround(address, widthOf(address.family));
    const wanted = { pool, within, bits: within.bits, isHold: false };
    const { refusal, isAsking } = this.#asks.want(wanted, nowMs, out);
    return { refusal, isFinal: !isAsking && refusal.code === 'in use' };
  }

  /** All or none of them. What lies outside of what is handed out needs no keeping. */
  #reserve(ranges: readonly AddressRange[], nowMs: number, out: IpamActions): Found {
    const [head] = ranges;
    const pool = head && this.ledger.poolAt({ family: head.family, value: head.first });
    if (!head || !pool) {
      if (this.#founding.hasPool)
        return final('outside', `${head ? formatRange(head) : 'it'} is in no pool`);
      return { refusal: this.#noPool(), isFinal: false };
    }
    const usable = usableRange(pool.range);
    let failure: Failure | undefined;
    for (const range of ranges) {
      const { family, last } = range;
      if (!cidrHas(pool.range, { family, value: last })) {
        return final('outside', `${formatRange(range)} lies not in one pool`);
      }
      const part = usable && intersect(range, usable);
      if (!part) return final('reserved', `${formatRange(range)} is never handed out`);
      const user = this.#userIn(pool, part);
      if (user) return this.#usedHere(user);
      const missing = this.#collect(pool, part, nowMs, out);
      if (missing?.isFinal) return missing;
      failure ??= missing;
    }
    if (failure) return failure;
    for (const range of ranges) {
      const part = usable && intersect(range, usable);
      if (part) this.#estate.reserve({ family: range.family, ...part }, out);
    }
    return { address: { family: head.family, value: head.first }, bits: widthOf(head.family) };
  }

  /** Everything of the pool comes here, then a title that makes it nobody's hides all others. */
  #end(range: Cidr, nowMs: number, out: IpamActions): Found {
    const pools = this.ledger.pools();
    const pool = pools.find((each) => cidrsEqual(each.range, range));
    const address = { family: range.family, value: range.first };
    if (!pool) return { address, bits: range.bits };
    const { family } = range;
    const isNeeded = this.#options.ranges[0]?.family === family;
    if (isNeeded && !pools.some((other) => other !== pool && other.range.family === family)) {
      return final('reserved', `${formatCidr(range)} is the only pool`);
    }
    const whole = { first: range.first, last: lastOfCidr(range) };
    const [reserved] = this.#estate.reservations.in(range);
    const user =
      this.#userIn(pool, whole) ?? (reserved && { family: range.family, value: reserved.first });
    if (user) return this.#usedHere(user);
    const missing = this.#collect(pool, whole, nowMs, out);
    if (missing) return missing;
    this.#grants.end(pool, out);
    return { address, bits: range.bits };
  }

  #usedHere(address: IpAddress): Failure {
    const bare = formatAddress(address);
    const text = `${bare} is in use here`;
    const peer = this.#estate.self;
    return { refusal: { code: 'in use', text, peer, address: bare }, isFinal: true };
  }

  #userIn({ range: { family } }: Pool, { first, last }: Range): IpAddress | undefined {
    for (const { address } of this.#estate.allocations.used()) {
      if (address.family === family && address.value >= first && address.value <= last)
        return address;
    }
    return undefined;
  }

  /** Asks for what of a range is others'. Undefined: all of it is ours. */
  #collect(pool: Pool, range: Range, nowMs: number, out: IpamActions): Failure | undefined {
    const { self } = this.#estate;
    let failure: Failure | undefined;
    if (this.#estate.leaving(pool).some((other) => intersect(other, range))) {
      failure = {
        refusal: { code: 'waiting', text: 'a block is changing hands', peer: self },
        isFinal: false,
      };
    }
    for (const span of this.ledger.spans(pool.id)) {
      const part = intersect(span, range);
      if (!part || span.title.holder === NO_HOLDER) continue;
      if (span.title.holder === self && !this.#estate.isLate(span.title)) continue;
      for (const within of cidrsOfRange(pool.range.family, part.first, part.last)) {
        const wanted = { pool, within, bits: within.bits, isHold: false };
        const { refusal, isAsking } = this.#asks.want(wanted, nowMs, out);
        if (!isAsking && refusal.code === 'in use') return { refusal, isFinal: true };
        failure ??= { refusal, isFinal: false };
      }
    }
    return failure;
  }

  #askFor(pool: Pool, within: Cidr, nowMs: number, out: IpamActions): Prospect {
    const width = widthOf(pool.range.family);
    const held = this.#capacity(pool);
    const sizeBits = held === 0n ? 0 : held.toString(2).length;
    const wanted = Math.min(baseBits(pool.range), width - Math.min(sizeBits, 12));
    const bits = Math.min(Math.max(wanted, within.bits + 1), width);
    if (bits <= within.bits) {
      const refusal = { code: 'full' as const, text: 'the subnet is full', peer: undefined };
      return { refusal, isAsking: false };
    }
    return this.#asks.want({ pool, within, bits, isHold: false }, nowMs, out);
  }

  #capacity(pool: Pool): bigint {
    const held = this.#estate
      .ownSpans(pool)
      .reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
    const reserved = this.#estate.reservations.sizeIn(pool.range);
    return held > reserved ? held - reserved : 0n;
  }

  /** Three quarters are in use (rule 8). */
  #isScarce(pool: Pool): boolean {
    const capacity = this.#capacity(pool);
    if (capacity >= sizeOfCidr(pool.range) / 2n) return false;
    const { allocations } = this.#estate;
    if (BigInt(allocations.usedCount) * 4n < capacity * 3n) return false;
    const used = [...allocations.used()].filter(({ address }) => cidrHas(pool.range, address));
    return BigInt(used.length) * 4n >= capacity * 3n;
  }

  #more(pool: Pool, nowMs: number, out: IpamActions): void {
    if (nowMs < (this.#moreAtMs.get(pool.id) ?? -Infinity)) return;
    this.#moreAtMs.set(pool.id, nowMs + MORE_AGAIN_MS);
    this.#askFor(pool, pool.range, nowMs, out);
  }

  /** Addresses in use whose title is another's: the pool lost, or a lease ended. They are asked for, one by one. */
  #hold(nowMs: number, out: IpamActions): void {
    for (const { address } of this.#estate.allocations.used()) {
      const text = formatAddress(address);
      const title = this.ledger.titleAt(address);
      if (!title) continue;
      if (title.holder === this.#estate.self) {
        if (this.#clashes.get(text)?.loser === this.#estate.self) this.#clashes.delete(text);
        continue;
      }
      const pool = this.ledger.poolAt(address);
      if (!pool) continue;
      const within = cidrAround(address, widthOf(address.family));
      const wanted = { pool, within, bits: within.bits, isHold: true };
      const { refusal } = this.#asks.want(wanted, nowMs, out);
      if (refusal.code === 'in use') this.#noteClash(within, title.holder, this.#estate.self, out);
    }
  }

  /** Reserved ranges whose titles came to others, by a pool that won or a take-over: they are asked for again. */
  #holdReserved(nowMs: number, out: IpamActions): void {
    for (const range of this.#estate.reservations.all) {
      const pool = this.ledger.poolAt({ family: range.family, value: range.first });
      if (pool) this.#collect(pool, range, nowMs, out);
    }
  }

  #noteClash(block: Cidr, holder: PeerId, loser: PeerId, out: IpamActions): void {
    for (const { address } of this.#estate.allocations.used()) {
      if (!cidrHas(block, address)) continue;
      const text = formatAddress(address);
      const before = this.#clashes.get(text);
      if (before?.holder === holder && before.loser === loser) continue;
      const clash = { address, holder, loser };
      this.#clashes.set(text, clash);
      out.clash(clash, loser === this.#estate.self);
    }
  }

  #noPool(): Refusal {
    const peer = this.#founding.waitsFor;
    const text =
      peer === undefined
        ? 'there is no address pool yet: nobody has answered so far'
        : 'there is no address pool yet: a peer has one, or is to found it';
    return { code: 'no pool', text, peer };
  }
}

interface Failure {
  readonly refusal: Refusal;
  /** No use to wait. */
  readonly isFinal: boolean;
}

type Found = Failure | { readonly address: IpAddress; readonly bits: number };

function final(code: Refusal['code'], text: string, peer?: PeerId): Failure {
  return { refusal: { code, text, peer }, isFinal: true };
}
