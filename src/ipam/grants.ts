import {
  cidrContains,
  cidrHas,
  cidrsOfRange,
  lastOfCidr,
  sizeOfCidr,
  widthOf,
  type Cidr,
} from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';
import { addressAsId, type IpamActions, type IpamMessage, type RefuseReason } from './actions.js';
import { GRANT_MAX_BITS, MAX_EPOCH, MAX_PENDING, PENDING_AGAIN_MS } from './constants.js';
import type { Estate } from './estate.js';
import type { Pool } from './ledger.js';
import { bestBlock, freeRuns, grantableRange, intersect, subtract, type Range } from './space.js';
import type { Takeovers } from './takeovers.js';
import { chainAfter, NO_HOLDER, titleText, type Title } from './title.js';

type Ask = Extract<IpamMessage, { kind: 'ask' }>;

/** Titles that are written anew at once for other heirs; the rest when it is tidied next. */
const MAX_PIECES = 32;
/** A block of more titles gets one heir, so that they can be joined. */
const TITLES_A_BLOCK = 2;

/*
 * Both ends of a grant that this node is part of as the holder who gives, or as the witness who countersigns.
 *
 *   ours, free ── give ──► pending: locked, shown to the heir ── countersigned ──► another's
 *                             │ heir gone: written again, one epoch higher, for the next heir
 *
 * With nobody left to be heir a grant takes effect at once: no one but the holder could act on the old title.
 */
export class Grants {
  readonly #estate: Estate;
  readonly #takeovers: Takeovers;
  #againAtMs = 0;

  constructor(estate: Estate, takeovers: Takeovers) {
    this.#estate = estate;
    this.#takeovers = takeovers;
  }

  get nextDeadlineMs(): number {
    return this.#estate.pending.size === 0 ? Infinity : this.#againAtMs;
  }

  // ── the holder ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns the address that is asked for as a hold and is in use here, too. */
  onAsk(from: PeerId, ask: Ask, nowMs: number, out: IpamActions): Cidr | undefined {
    const { self, ledger, members, pending } = this.#estate;
    const pool = ledger.pools().find(({ id }) => id === ask.pool);
    const refuse = (reason: RefuseReason, peer?: PeerId): void => {
      out.send(from, { kind: 'refuse', request: ask.request, reason, peer });
    };
    if (this.#estate.isGone(from)) return undefined;
    if (!pool || ask.within.family !== pool.range.family) {
      refuse('not mine');
      return undefined;
    }
    const underWay = [...pending.values()].find(
      (title) => title.holder === from && title.request === ask.request,
    );
    if (underWay) {
      const { witness } = underWay;
      if (witness && !members.isReachable(witness)) refuse('waiting', witness);
      else this.#show(underWay, out);
      return undefined;
    }
    const given = ledger
      .titles(pool.id)
      .find(
        (title) => title.grantor === self && title.holder === from && title.request === ask.request,
      );
    if (given) {
      out.tell(from, [given]);
      return undefined;
    }
    if (ask.bits === ask.within.bits) return this.#onClaim(from, pool, ask, out, refuse);
    const [block, blocker] = this.#spare(pool, ask.within, ask.bits, from, nowMs);
    if (block) this.#give(pool, block, from, ask.request, out);
    else refuse(blocker ? 'waiting' : 'full', blocker);
    return undefined;
  }

  /** Exactly that block, or none. */
  #onClaim(
    from: PeerId,
    pool: Pool,
    ask: Ask,
    out: IpamActions,
    refuse: (reason: RefuseReason, peer?: PeerId) => void,
  ): Cidr | undefined {
    const { allocations, reservations } = this.#estate;
    const block = ask.within;
    const span = this.#estate
      .ownSpans(pool)
      .find(({ first, last }) => first <= block.first && last >= lastOfCidr(block));
    // The nodes' own part of a pool is asked for only when all of the pool is, to end it.
    if (!span) {
      refuse('not mine');
      return undefined;
    }
    const user = [...allocations.used()].find(({ address }) => cidrHas(block, address));
    if (user) {
      refuse('in use', addressAsId(user.address));
      return ask.isHold ? block : undefined;
    }
    const [reserved] = reservations.in(block);
    if (reserved) {
      refuse('in use', addressAsId({ family: block.family, value: reserved.first }));
      return undefined;
    }
    // Somebody chose this very address: quarantine does not stand in the way of that.
    if (this.#estate.isPending(pool.id, block)) refuse('busy');
    else {
      const heir = this.#estate.heirOf(span.title);
      if (heir && !this.#estate.members.isReachable(heir)) refuse('waiting', heir);
      else this.#give(pool, block, from, ask.request, out);
    }
    return undefined;
  }

  /** A free block to give away, at most half of what is free; or whom it would take. */
  #spare(
    pool: Pool,
    within: Cidr,
    bits: number,
    to: PeerId,
    nowMs: number,
  ): readonly [Cidr | undefined, PeerId | undefined] {
    const { allocations, members, reservations } = this.#estate;
    const width = widthOf(pool.range.family);
    const limits = intersect(grantableRange(pool.range), rangeOfBlock(within));
    if (!limits) return [undefined, undefined];
    const taken = allocations.takenIn(within, nowMs);
    const locked = [...this.#estate.pending.values()]
      .filter((title) => title.pool === pool.id)
      .map(({ block }) => rangeOfBlock(block));
    const holes = [...locked, ...reservations.in(within)];
    const runs: Range[] = [];
    let blocker: PeerId | undefined;
    for (const span of this.#estate.ownSpans(pool)) {
      const part = intersect(span, limits);
      if (!part) continue;
      const free = subtract(freeRuns(part, taken), holes);
      if (free.length === 0) continue;
      const heir = this.#estate.heirOf(span.title);
      if (heir && heir !== to && !members.isReachable(heir)) blocker = heir;
      else runs.push(...free);
    }
    const count = runs.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
    if (count === 0n) return [undefined, blocker ?? this.#takeovers.blockerIn(pool, within)];
    const halfBits = count < 2n ? 0 : (count / 2n).toString(2).length - 1;
    const wanted = Math.max(bits, width - Math.min(halfBits, GRANT_MAX_BITS));
    return [bestBlock(pool.range.family, runs, Math.min(wanted, width)), undefined];
  }

  /** Writes the title of a block that one title of ours covers. */
  #give(pool: Pool, block: Cidr, to: PeerId, request: number, out: IpamActions): void {
    const { self } = this.#estate;
    const before = this.#estate.ledger.titleAt({ family: block.family, value: block.first });
    if (!before) return;
    const chain = chainAfter(before.chain, self, to);
    this.#write(pool, block, to, chain, this.#estate.heirOf(before), request, out);
  }

  #write(
    { id, range }: Pool,
    block: Cidr,
    to: PeerId,
    chain: readonly PeerId[],
    witness: PeerId | undefined,
    request: number,
    out: IpamActions,
  ): void {
    const { self, ledger, pending } = this.#estate;
    const epoch = ledger.topEpoch(id, block) + 1;
    if (epoch > MAX_EPOCH || pending.size >= MAX_PENDING) return;
    const title: Title = {
      ...{ pool: id, poolBits: range.bits, block, epoch, holder: to, grantor: self },
      ...{ witness, chain, request },
    };
    if (witness === undefined) this.#publish(title, out);
    else {
      this.#estate.addPending(title, out);
      this.#show(title, out);
    }
  }

  /**
   * A pool of which all is ours becomes nobody's. Without a witness: whoever does not hear of it and acts on our titles
   * brings the pool back to life, and hands nothing out twice.
   */
  end({ id, range }: Pool, out: IpamActions): void {
    const { self, ledger } = this.#estate;
    const title: Title = {
      ...{ pool: id, poolBits: range.bits, block: range, epoch: ledger.topEpoch(id, range) + 1 },
      ...{ holder: NO_HOLDER, grantor: self, witness: undefined, chain: [self], request: 0 },
    };
    if (title.epoch <= MAX_EPOCH) this.#publish(title, out);
  }

  #show(title: Title, out: IpamActions): void {
    const { ledger, members } = this.#estate;
    if (!title.witness || !members.isReachable(title.witness)) return;
    const below = ledger.spansIn(title.pool, title.block).map((span) => span.title);
    out.tell(title.witness, [...new Set(below)]);
    out.send(title.witness, { kind: 'grant', title });
  }

  #publish(title: Title, out: IpamActions): void {
    this.#estate.learn(title, out);
    out.publish(title);
    for (const peer of new Set([title.holder, title.grantor])) {
      if (peer !== this.#estate.self && peer !== NO_HOLDER) out.tell(peer, [title]);
    }
  }

  onDeadline(nowMs: number, out: IpamActions): void {
    if (nowMs < this.#againAtMs) return;
    this.#againAtMs = nowMs + PENDING_AGAIN_MS;
    for (const title of [...this.#estate.pending.values()]) {
      if (title.witness && this.#estate.isGone(title.witness)) this.#rewrite(title, out);
      else this.#show(title, out);
    }
  }

  /**
   * The witness is gone. It may have countersigned, so the block stays promised to the same holder; the next heir
   * sees it one epoch higher.
   */
  #rewrite(title: Title, out: IpamActions): void {
    const { ledger, self } = this.#estate;
    const pool = ledger.pools().find(({ id }) => id === title.pool);
    const held = ledger.titlesIfHeldBy(title.pool, title.block, self);
    const [before] = held ?? [];
    if (!pool || !before) {
      if (pool) this.#estate.dropPending(title, out);
      return;
    }
    const next: Title = { ...title, epoch: title.epoch + 1, witness: this.#estate.heirOf(before) };
    // First the new one, so that at no moment neither is written.
    if (next.witness) {
      this.#estate.addPending(next, out);
      this.#estate.dropPending(title, out);
      this.#show(next, out);
    } else {
      this.#publish(next, out);
      this.#estate.dropPending(title, out);
    }
  }

  // ── the witness ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Countersigns what a holder that is not gone grants, when we are its heir. */
  onGrant(from: PeerId, title: Title, out: IpamActions): void {
    const { self, ledger } = this.#estate;
    if (title.grantor !== from || title.witness !== self || this.#estate.isGone(from)) return;
    const over = [...new Set(ledger.spansIn(title.pool, title.block).map((span) => span.title))];
    const top = ledger.topEpoch(title.pool, title.block);
    if (top >= title.epoch) {
      const isKnown = over.some((other) => titleText(other) === titleText(title));
      out.tell(from, isKnown ? [title] : over);
      if (isKnown) out.tell(title.holder, [title]);
      return;
    }
    const held = ledger.titlesIfHeldBy(title.pool, title.block, from);
    // What we do not know yet comes with the next showing, or with the records.
    if (!held?.every((each) => this.#estate.heirOf(each) === self)) {
      out.tell(
        from,
        over.filter((each) => each.holder !== from),
      );
      return;
    }
    this.#publish(title, out);
  }

  // ── keeping it tidy ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Gives heirs to titles without, joins neighbours, and gives back what is not needed. */
  tidy(mayReturn: boolean, nowMs: number, out: IpamActions): void {
    for (const pool of this.#estate.ledger.pools()) {
      this.#nameHeirs(pool, out);
      this.#join(pool, out);
      if (mayReturn) this.#giveBack(pool, nowMs, out);
    }
  }

  /** The founder's blocks have nobody before them in line: the first member met becomes their heir. */
  #nameHeirs(pool: Pool, out: IpamActions): void {
    const { members, self, ledger } = this.#estate;
    const [heir] = members.others.filter((peer) => members.isReachable(peer)).sort();
    if (!heir) return;
    const spans = this.#estate.ownSpans(pool).filter(({ title }) => !this.#estate.heirOf(title));
    const pieces = spans.flatMap(({ first, last }) => cidrsOfRange(pool.range.family, first, last));
    for (const block of pieces.slice(0, MAX_PIECES)) {
      if (this.#estate.isPending(pool.id, block)) continue;
      if (ledger.titlesIfHeldBy(pool.id, block, self)) {
        this.#write(pool, block, self, [heir], undefined, 0, out);
      }
    }
  }

  /** One title instead of several: at once where the same heir can see to it, else once they have the same. */
  #join(pool: Pool, out: IpamActions): void {
    const { ledger, members, self } = this.#estate;
    for (const block of ledger.blocksOf(pool.id, self)) {
      const held = ledger.titlesIfHeldBy(pool.id, block, self) ?? [];
      const hidden = held.filter((title) => cidrContains(block, title.block));
      const [first] = hidden;
      if (!first || hidden.length < 2 || this.#estate.isPending(pool.id, block)) continue;
      if (held.some((title) => this.#estate.isLate(title))) continue;
      const heir = this.#estate.heirOf(first);
      if (held.some((title) => this.#estate.heirOf(title) !== heir)) {
        if (held.length > TITLES_A_BLOCK) this.#nameOneHeir(pool, block, out);
      } else if (!heir || members.isReachable(heir)) {
        this.#write(pool, block, self, first.chain, heir, 0, out);
      }
    }
  }

  /** Whoever is heir of most of a block becomes that of the rest. The heirs until then see to it. */
  #nameOneHeir(pool: Pool, block: Cidr, out: IpamActions): void {
    const { ledger, members, self } = this.#estate;
    const spans = ledger.spansIn(pool.id, block);
    const sizes = new Map<PeerId, { size: bigint; readonly chain: readonly PeerId[] }>();
    for (const { first, last, title } of spans) {
      const heir = this.#estate.heirOf(title);
      if (!heir || !members.isReachable(heir)) continue;
      const of = sizes.get(heir) ?? { size: 0n, chain: title.chain };
      of.size += last - first + 1n;
      sizes.set(heir, of);
    }
    const [main] = [...sizes].sort(([, a], [, b]) => (a.size < b.size ? 1 : -1));
    if (!main) return;
    const [chosen, { chain }] = main;
    let left = MAX_PIECES;
    for (const { first, last, title } of spans) {
      const heir = this.#estate.heirOf(title);
      if (!heir || heir === chosen || !members.isReachable(heir)) continue;
      for (const piece of cidrsOfRange(pool.range.family, first, last)) {
        if (left-- > 0) this.#write(pool, piece, self, chain, heir, 0, out);
      }
    }
  }

  /**
   * Free blocks go back to whom they came from, as long as half of the rest stays free, and only to one that holds more
   * than we do: two that need nothing would hand a block to and fro for ever.
   */
  #giveBack(pool: Pool, nowMs: number, out: IpamActions): void {
    const { allocations, members, ledger, reservations, self } = this.#estate;
    const titles = ledger.titles(pool.id).filter(({ holder }) => holder === self);
    const handedOut = [...allocations.used()].filter((a) => cidrHas(pool.range, a.address)).length;
    const used = BigInt(handedOut) + reservations.sizeIn(pool.range);
    let capacity = this.#estate
      .ownSpans(pool)
      .reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
    for (const title of titles) {
      const { block } = title;
      const heir = this.#estate.heirOf(title);
      const left = capacity - sizeOfCidr(block);
      const theirs = heir ? this.#heldBy(pool, heir) : 0n;
      if (theirs < capacity || (theirs === capacity && heir !== undefined && heir > self)) continue;
      if (!heir || !members.isReachable(heir) || this.#estate.isLate(title)) continue;
      if (left < 2n * used || allocations.isAnyTaken(block, nowMs)) continue;
      if (reservations.in(block).length > 0) continue;
      if (this.#estate.isPending(pool.id, block)) continue;
      if (!ledger.titlesIfHeldBy(pool.id, block, self)) continue;
      capacity = left;
      this.#give(pool, block, heir, 0, out);
    }
  }

  /** Addresses of a pool whose titles are the peer's. */
  #heldBy(pool: Pool, peer: PeerId): bigint {
    return this.#estate.ledger
      .spans(pool.id)
      .filter(({ title }) => title.holder === peer)
      .reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  }
}

function rangeOfBlock(block: Cidr): Range {
  return { first: block.first, last: lastOfCidr(block) };
}
