import type { Rng } from '../base/rng.js';
import { formatAddress, lastOfCidr, type Cidr } from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';
import { addressOfId, type IpamActions, type IpamMessage, type Refusal } from './actions.js';
import { ASK_AGAIN_MS, ASK_GIVE_UP_MS, HOLD_AGAIN_MS, REFUSED_FOR_MS } from './constants.js';
import type { Estate } from './estate.js';
import type { Pool } from './ledger.js';
import type { Takeovers } from './takeovers.js';

/*
 * Asking holders for space, or for one very block. One ask stands for everybody here who wants the same:
 *
 *   the reachable holder with most of it ── no answer for 0.7 s, refused ──► the next one
 *   nobody left to ask ──► why: full, in use, or whom it waits for
 *
 * An ask ends with the title, or when nobody has wanted it for a while.
 */
export interface Wanted {
  readonly pool: Pool;
  readonly within: Cidr;
  /** Prefix length; that of `within`: exactly this block. */
  readonly bits: number;
  readonly isHold: boolean;
}

interface Ask extends Wanted {
  readonly request: number;
  to: PeerId | undefined;
  /** First and last time that `to` was asked. */
  sinceMs: number;
  sentMs: number;
  wantedMs: number;
  readonly refused: Map<PeerId, { readonly refusal: Refusal; readonly atMs: number }>;
  failure: Refusal | undefined;
  /** When it came to a firm no: whoever wants it later asks anew. */
  overMs: number;
}

const FORGET_AFTER_MS = 5000;
const MAX_ASKS = 512;

export class Asks {
  readonly #estate: Estate;
  readonly #takeovers: Takeovers;
  readonly #rng: Rng;
  readonly #asks = new Map<string, Ask>();

  constructor(estate: Estate, takeovers: Takeovers, rng: Rng) {
    this.#estate = estate;
    this.#takeovers = takeovers;
    this.#rng = rng;
  }

  get nextDeadlineMs(): number {
    let next = Infinity;
    for (const { sentMs, to } of this.#asks.values()) {
      next = Math.min(next, sentMs + (to ? ASK_AGAIN_MS : REFUSED_FOR_MS));
    }
    return next;
  }

  /** Asks, unless it is being asked already. @returns what to say if it comes to nothing */
  want(wanted: Wanted, nowMs: number, out: IpamActions): Prospect {
    const key = keyOf(wanted);
    let ask = this.#asks.get(key);
    if (!ask || nowMs > ask.overMs) {
      this.#asks.delete(key);
      if (this.#asks.size >= MAX_ASKS) {
        const text = 'too much is being asked for';
        return { refusal: { code: 'waiting', text, peer: undefined }, isAsking: true };
      }
      const bytes = this.#rng.bytes(4);
      const request = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) || 1;
      ask = {
        ...wanted,
        ...{ request, to: undefined, sinceMs: nowMs, sentMs: -Infinity, wantedMs: nowMs },
        ...{ refused: new Map(), failure: undefined, overMs: Infinity },
      };
      this.#asks.set(key, ask);
    }
    ask.wantedMs = nowMs;
    if (ask.to === undefined) this.#go(ask, nowMs, out);
    if (ask.to === undefined) {
      const refusal = ask.failure ?? this.#failure(ask, []);
      if (refusal.code !== 'waiting' && !ask.isHold) ask.overMs = nowMs;
      return { refusal, isAsking: false };
    }
    const waits = [...ask.refused.values()].find(({ refusal }) => refusal.code === 'waiting');
    const asked = { code: 'waiting' as const, text: 'a peer is being asked', peer: ask.to };
    return { refusal: waits?.refusal ?? asked, isAsking: true };
  }

  /** A firm no is heard by whoever waited for it; a new request asks anew, even in the same millisecond. */
  forgetOver(): void {
    for (const [key, { overMs }] of this.#asks) if (overMs !== Infinity) this.#asks.delete(key);
  }

  onRefuse(
    from: PeerId,
    message: Extract<IpamMessage, { kind: 'refuse' }>,
    nowMs: number,
    out: IpamActions,
  ): void {
    const ask = [...this.#asks.values()].find(({ request }) => request === message.request);
    if (ask?.to !== from) return;
    ask.refused.set(from, { refusal: refusalOf(message, from, ask.within), atMs: nowMs });
    ask.to = undefined;
    this.#go(ask, nowMs, out);
  }

  onDeadline(nowMs: number, out: IpamActions): void {
    for (const [key, ask] of this.#asks) {
      const pause = ask.isHold ? FORGET_AFTER_MS + HOLD_AGAIN_MS : FORGET_AFTER_MS;
      if (this.#isDone(ask) || nowMs - ask.wantedMs > pause) this.#asks.delete(key);
      else this.#go(ask, nowMs, out);
    }
  }

  /** Answers are titles: those that came end their asks. */
  onTitles(): void {
    for (const [key, ask] of this.#asks) if (this.#isDone(ask)) this.#asks.delete(key);
  }

  #isDone({ pool, request, within, bits }: Ask): boolean {
    const { ledger, self } = this.#estate;
    if (bits === within.bits) return ledger.titlesIfHeldBy(pool.id, within, self) !== undefined;
    return ledger
      .titles(pool.id)
      .some((title) => title.holder === self && title.request === request);
  }

  #go(ask: Ask, nowMs: number, out: IpamActions): void {
    const { members, self } = this.#estate;
    if (ask.to !== undefined) {
      if (members.isReachable(ask.to) && nowMs - ask.sinceMs < ASK_GIVE_UP_MS) {
        if (nowMs - ask.sentMs >= ASK_AGAIN_MS) this.#send(ask, ask.to, nowMs, out);
        return;
      }
      const text = 'a peer did not answer';
      const refusal = { code: 'waiting' as const, text, peer: ask.to };
      ask.refused.set(ask.to, { refusal, atMs: nowMs });
      ask.to = undefined;
    }
    const sources = this.#sources(ask);
    const next = sources.find(({ peer }) => {
      const before = ask.refused.get(peer);
      return (
        peer !== self &&
        members.isReachable(peer) &&
        !(before && nowMs - before.atMs < REFUSED_FOR_MS)
      );
    });
    if (next) {
      ask.to = next.peer;
      ask.sinceMs = nowMs;
      this.#send(ask, next.peer, nowMs, out);
      return;
    }
    ask.sentMs = nowMs;
    ask.failure = this.#failure(ask, sources);
  }

  #send(ask: Ask, to: PeerId, nowMs: number, out: IpamActions): void {
    const { request, pool, within, bits, isHold } = ask;
    ask.sentMs = nowMs;
    out.send(to, { kind: 'ask', request, pool: pool.id, within, bits, isHold });
  }

  /** Others' space within the block, by who can give it, those with most first. */
  #sources(ask: Ask): readonly Source[] {
    const { ledger, self } = this.#estate;
    const sizes = new Map<PeerId, Source>();
    const last = lastOfCidr(ask.within);
    for (const span of ledger.spansIn(ask.pool.id, ask.within)) {
      const { holder } = span.title;
      const peer = this.#takeovers.actorOf(span.title);
      if (holder === self) continue;
      const before = sizes.get(peer);
      const size = (before?.size ?? 0n) + (span.last > last ? last : span.last) - span.first + 1n;
      const gone = holder === peer ? before?.gone : holder;
      sizes.set(peer, { peer, size, gone });
    }
    const sources = [...sizes.values()].sort((a, b) =>
      a.size === b.size ? (a.peer < b.peer ? -1 : 1) : a.size > b.size ? -1 : 1,
    );
    return sources;
  }

  #failure(ask: Ask, sources: readonly Source[]): Refusal {
    const { members, self } = this.#estate;
    const refusals = [...ask.refused].map(([peer, { refusal }]) => ({ peer, refusal }));
    const firm = refusals.find(({ refusal }) => refusal.code === 'in use');
    if (firm) return firm.refusal;
    const mine = sources.find(({ peer }) => peer === self);
    if (mine?.gone) {
      const [peer] = this.#takeovers.waitingFor(mine.gone);
      const text = 'a peer has not confirmed yet that another is gone';
      if (peer) return { code: 'waiting', text, peer };
    }
    // It may not have heard yet that the dead one's space is its to give.
    const heir = sources.find(({ peer, gone }) => gone !== undefined && peer !== self);
    if (heir) {
      const text = 'the heir of a removed peer has not taken over yet';
      const told = ask.refused.get(heir.peer)?.refusal;
      return told?.code === 'waiting' ? told : { code: 'waiting', text, peer: heir.peer };
    }
    const waiting = refusals.find(({ refusal }) => refusal.code === 'waiting');
    if (waiting) return waiting.refusal;
    const away = sources.find(({ peer }) => peer !== self && !members.isReachable(peer));
    if (away) {
      return {
        code: 'waiting',
        text: 'a peer that holds the space is not reachable',
        peer: away.peer,
      };
    }
    return { code: 'full', text: 'nobody has space to give', peer: undefined };
  }
}

export interface Prospect {
  /** Why there is nothing so far. */
  readonly refusal: Refusal;
  /** An answer may still come. */
  readonly isAsking: boolean;
}

interface Source {
  readonly peer: PeerId;
  readonly size: bigint;
  /** The dead holder that it stands for. */
  readonly gone: PeerId | undefined;
}

function keyOf({ pool, within, bits }: Wanted): string {
  const exact = bits === within.bits ? 'exact' : 'some';
  return `${pool.id} ${within.first}/${within.bits} ${exact}`;
}

function refusalOf(
  { reason, peer }: Extract<IpamMessage, { kind: 'refuse' }>,
  from: PeerId,
  within: Cidr,
): Refusal {
  switch (reason) {
    case 'in use': {
      const what = peer === undefined ? 'it' : formatAddress(addressOfId(peer, within));
      return { code: 'in use', text: `${what} is in use on another node`, peer: from };
    }
    case 'full':
      return { code: 'full', text: 'nobody has space to give', peer: undefined };
    case 'waiting':
      return {
        code: 'waiting',
        text: 'a peer that must countersign is not reachable',
        peer: peer ?? from,
      };
    case 'busy':
      return { code: 'waiting', text: 'the block is changing hands', peer: from };
    case 'not mine':
      return { code: 'waiting', text: 'the holder of the block has just changed', peer: from };
  }
}
