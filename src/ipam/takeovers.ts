import { createHash } from 'node:crypto';

import { cidrsOfRange, type Cidr } from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';
import type { IpamActions, IpamMessage } from './actions.js';
import { GONE_AGAIN_MS, MAX_EPOCH, TAKE_OVER_EPOCHS, TELL_MAX } from './constants.js';
import type { Estate } from './estate.js';
import type { Pool, Span } from './ledger.js';
import type { Title } from './title.js';

/*
 * Space of peers that are gone (rules 3 to 6). The heir asks every member that it knows and that is not gone, and
 * shows by a digest what it knows of the dead and of the asked one's own titles. A member that agrees has stored the
 * removal: from then on it begins to use nothing that only the dead countersigned. So when all agreed, no title of a
 * living holder is unknown to the heir, and none will come to be used.
 *
 *   heir                                    each member
 *    │── gone (peer, digest) ─────────────────►│ not gone here: alive · another digest: its titles, differs
 *    │◄───────────────── goneAnswer (yes) ─────│ stored first
 *
 * Where no heir is left, the smallest id of all members is; the digest then covers who the members are, so that two
 * cannot both think so and both be believed.
 */
interface Inquiry {
  readonly answered: Set<PeerId>;
  /** Late titles that hang on it: others must know these. */
  late: string;
  isLastResort: boolean;
  askAtMs: number;
}

export class Takeovers {
  readonly #estate: Estate;
  readonly #inquiries = new Map<PeerId, Inquiry>();

  constructor(estate: Estate) {
    this.#estate = estate;
  }

  get nextDeadlineMs(): number {
    let next = Infinity;
    for (const { askAtMs } of this.#inquiries.values()) next = Math.min(next, askAtMs);
    return next;
  }

  /** Who acts for the holder of a title; the holder itself when it is not gone. */
  actorOf(title: Title): PeerId {
    const { members } = this.#estate;
    if (!members.isGone(title.holder)) return title.holder;
    return this.#estate.heirOf(title) ?? members.smallest;
  }

  /** Who has not yet said that they know the peer to be gone. */
  waitingFor(peer: PeerId): readonly PeerId[] {
    const answered = this.#inquiries.get(peer)?.answered;
    return this.#estate.members.others.filter((member) => !(answered?.has(member) ?? false));
  }

  /** Who keeps us from taking over space within a block; undefined: there is none, or nobody. */
  blockerIn(pool: Pool, within: Cidr): PeerId | undefined {
    const { ledger, members, self } = this.#estate;
    for (const { title } of ledger.spansIn(pool.id, within)) {
      if (!members.isGone(title.holder) || this.actorOf(title) !== self) continue;
      const [peer] = this.waitingFor(title.holder);
      if (peer) return peer;
    }
    return undefined;
  }

  /** Looks at what is to be taken over; call it after anything changed and when due. */
  onDeadline(nowMs: number, out: IpamActions): void {
    if (this.#estate.isGone(this.#estate.self)) return;
    const orphans = this.#orphans();
    this.#follow(orphans, nowMs);
    for (const [peer, inquiry] of this.#inquiries) {
      if (nowMs < inquiry.askAtMs) continue;
      inquiry.askAtMs = nowMs + GONE_AGAIN_MS;
      for (const member of this.waitingFor(peer)) this.#ask(member, peer, inquiry, out);
    }
    for (const { pool, span } of orphans) {
      const needed = this.#gonePeersOf(span.title);
      if (needed.every((peer) => this.waitingFor(peer).length === 0)) {
        this.#take(pool, span, out);
      }
    }
    for (const title of this.#estate.lateTitles()) {
      const authority = title.witness ?? title.grantor;
      const isKnownToAll = this.waitingFor(authority).length === 0;
      if (!this.#estate.isGone(authority) || isKnownToAll) this.#estate.acceptLate(title, out);
    }
  }

  onGone(
    from: PeerId,
    { peer, digest, isLastResort }: Extract<IpamMessage, { kind: 'gone' }>,
    out: IpamActions,
  ): void {
    const { ledger, members, self } = this.#estate;
    const answer = (verdict: 'yes' | 'differs' | 'alive'): void => {
      out.send(from, { kind: 'goneAnswer', peer, digest, verdict });
    };
    if (this.#estate.isGone(from)) return;
    if (peer === self || !members.isGone(peer)) answer('alive');
    else if (digest !== this.#digest(peer, self, isLastResort)) {
      out.tell(from, ledger.titlesAbout(peer, self).slice(0, TELL_MAX));
      answer('differs');
    } else if (isLastResort && members.smallest !== from) answer('differs');
    else {
      if (members.sayGone(peer)) out.persist(`g/${peer}`, '1');
      answer('yes');
    }
  }

  onAnswer(
    from: PeerId,
    { peer, digest, verdict }: Extract<IpamMessage, { kind: 'goneAnswer' }>,
    nowMs: number,
    out: IpamActions,
  ): void {
    const inquiry = this.#inquiries.get(peer);
    if (!inquiry) return;
    const { ledger } = this.#estate;
    if (verdict === 'differs') out.tell(from, ledger.titlesAbout(peer, from).slice(0, TELL_MAX));
    if (verdict !== 'yes') return;
    if (digest !== this.#digest(peer, from, inquiry.isLastResort)) return;
    inquiry.answered.add(from);
    this.onDeadline(nowMs, out);
  }

  /** Spans that we are to take over. */
  #orphans(): readonly { pool: Pool; span: Span }[] {
    const { ledger, members, self } = this.#estate;
    return ledger.pools().flatMap((pool) =>
      ledger
        .spans(pool.id)
        .filter(({ title }) => members.isGone(title.holder) && this.actorOf(title) === self)
        .map((span) => ({ pool, span })),
    );
  }

  #gonePeersOf({ holder, grantor, witness, chain }: Title): readonly PeerId[] {
    const named = [holder, grantor, ...chain, ...(witness ? [witness] : [])];
    return [...new Set(named)].filter(
      (peer) => peer !== this.#estate.self && this.#estate.isGone(peer),
    );
  }

  /** An inquiry for each peer that something hangs on, and for no other. */
  #follow(orphans: readonly { readonly span: Span }[], nowMs: number): void {
    const late = new Map<PeerId, string>();
    for (const title of this.#estate.lateTitles()) {
      const authority = title.witness ?? title.grantor;
      late.set(authority, `${late.get(authority) ?? ''} ${title.block.first}/${title.epoch}`);
    }
    const needed = new Map<PeerId, boolean>([...late.keys()].map((peer) => [peer, false]));
    for (const { span } of orphans) {
      const isLastResort = this.#estate.heirOf(span.title) === undefined;
      for (const peer of this.#gonePeersOf(span.title)) {
        needed.set(peer, isLastResort || (needed.get(peer) ?? false));
      }
    }
    for (const peer of this.#inquiries.keys()) {
      if (!needed.has(peer) || !this.#estate.isGone(peer)) this.#inquiries.delete(peer);
    }
    for (const [peer, isLastResort] of needed) {
      const titles = late.get(peer) ?? '';
      const known = this.#inquiries.get(peer);
      if (known?.late === titles && (known.isLastResort || !isLastResort)) {
        // Who agreed to more agreed to this, too.
        known.isLastResort = isLastResort;
        continue;
      }
      this.#inquiries.set(peer, {
        ...{ answered: new Set(), late: titles, isLastResort, askAtMs: nowMs },
      });
    }
  }

  #ask(member: PeerId, peer: PeerId, { isLastResort }: Inquiry, out: IpamActions): void {
    if (!this.#estate.members.isReachable(member)) return;
    const digest = this.#digest(peer, member, isLastResort);
    out.send(member, { kind: 'gone', peer, digest, isLastResort });
  }

  #digest(peer: PeerId, member: PeerId, isLastResort: boolean): string {
    const { ledger, members, self } = this.#estate;
    const titles = ledger.digestAbout(peer, member);
    if (!isLastResort) return titles;
    const all = [...members.others, self].sort().join();
    return `${titles} ${createHash('sha512').update(all).digest('hex').slice(0, 16)}`;
  }

  #take(pool: Pool, { first, last, title }: Span, out: IpamActions): void {
    const { ledger, self } = this.#estate;
    const place = title.chain.lastIndexOf(self);
    const chain = place < 0 ? [] : title.chain.slice(0, place);
    for (const block of cidrsOfRange(pool.range.family, first, last)) {
      const top = ledger.topEpoch(pool.id, block);
      const epoch = (Math.floor(top / TAKE_OVER_EPOCHS) + 1) * TAKE_OVER_EPOCHS;
      if (epoch > MAX_EPOCH) continue;
      const taken: Title = {
        ...{ pool: pool.id, poolBits: pool.range.bits, block, epoch, chain },
        ...{ holder: self, grantor: self, witness: undefined, request: 0 },
      };
      this.#estate.learn(taken, out);
      out.publish(taken);
    }
    out.event('block-taken-over', 'Took over address space', title.holder);
  }
}
