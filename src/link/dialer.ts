import { toHex } from '../base/bytes.js';
import { Deadlines } from '../base/deadlines.js';
import type { Rng } from '../base/rng.js';
import type { TokenBucket } from '../base/token-bucket.js';
import { makeEndpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { parseReject, parseRetry, REJECT_OTHER_MESH } from '../wire/handshake.js';
import type { Actions } from './actions.js';
import { HandshakeAttempt } from './attempt.js';
import type { CandidateRule } from './candidates.js';
import {
  ATTEMPTS_PER_TARGET,
  ENDPOINTS_PER_ATTEMPT,
  INIT_REPEATS_MS,
  MAX_TARGETS,
  REMOVED_AGAIN_MS,
  RESOLVE_GIVE_UP_MS,
} from './constants.js';
import { AnswerTimes } from './answer-times.js';
import type { HandshakeDone, LinkCrypto, Resume } from './crypto-port.js';
import { DialAttempts } from './dial-attempts.js';
import { gapMs, makeTarget, type DialTarget } from './dial-target.js';
import { noteTrouble } from './dial-trouble.js';
import { GuessLimits } from './guess-limits.js';
import type { IndexPool } from './index-pool.js';
import { StrangerInits } from './stranger-inits.js';
import type { TcpDial } from './tcp-dial.js';

/*
 * Who is dialled, and when (docs/protocol.md §2 "One attempt", §6 "tried for ever").
 *
 *            peer reachable                    due
 *   resting ◄────────────── waiting ─────────────────────► (resolve names) ─► attempt ──┐
 *      │  peer lost            ▲                                                        │
 *      └───────────────────────┴──── last INIT + growing gap, the attempt still listens ┘
 *
 * A target rests while its peer is reachable and is dialled at once when that ends. No endpoint is dialled by two
 * attempts at a time. Events are written when what is wrong with a target changes, not per attempt.
 */

const BUSY_AGAIN_MS = 500;
const OWN_ENDPOINTS_MAX = 256;
const SELF_NAME_AGAIN_MS = 60_000;

/** What the dialer asks about peers. */
export interface PeerView {
  isReachable(peer: PeerId): boolean;
  /** Reachable, but to be dialled all the same: its keys are old. */
  wantsRenewal(peer: PeerId): boolean;
  /** The reachable peer whose path in use ends there. */
  peerAt(endpoint: PathAddress): PeerId | undefined;
  /** A session with it is to be sought. */
  isWanted(peer: PeerId): boolean;
  /** Nobody is reachable: contacts are wanted, whoever they lead to. */
  isStarving(): boolean;
}

export interface DialerComponents {
  readonly crypto: LinkCrypto;
  readonly rng: Rng;
  readonly indexes: IndexPool;
  readonly view: PeerView;
  readonly unfit: CandidateRule;
  readonly tcp: TcpDial;
  /** Datagrams to addresses from which nothing authentic ever came. */
  readonly strangerProbes: TokenBucket;
}

/** A handshake that this side finished; the session goes in, then FIN goes out. */
export interface Dialled {
  readonly done: HandshakeDone;
  readonly attempt: HandshakeAttempt;
  readonly contact: string | undefined;
}

export class Dialer {
  readonly #components: DialerComponents;
  readonly #targets = new Map<string, DialTarget>();
  /** Those of the targets that a person named. */
  readonly #contacts = new Set<DialTarget>();
  readonly #due = new Deadlines<DialTarget>();
  readonly #attempts: DialAttempts;
  readonly #own = new Set<string>();
  readonly #guesses = new GuessLimits();
  readonly #strangers: StrangerInits;
  readonly #answers = new AnswerTimes();
  #ticket = 0;

  constructor(components: DialerComponents) {
    this.#components = components;
    this.#attempts = new DialAttempts(components.indexes);
    this.#strangers = new StrangerInits(components.strangerProbes);
  }

  get contacts(): readonly DialTarget[] {
    return [...this.#contacts];
  }

  /** Where dialling this peer stands: its own target, else a contact that led to it. */
  targetOf(peer: PeerId): DialTarget | undefined {
    const own = this.#targets.get(peerKey(peer));
    if (own) return own;
    for (const contact of this.#contacts) if (contact.peer === peer) return contact;
    return undefined;
  }

  /** How long direct handshakes have waited for their answer lately, ms. */
  answerMs(nowMs: number): number {
    return this.#answers.typicalMs(nowMs);
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#due.nextMs, this.#attempts.nextDeadlineMs);
  }

  addContact(contact: string, host: string, port: number, nowMs: number): void {
    const key = contactKey(contact);
    if (this.#targets.has(key) || this.#targets.size >= MAX_TARGETS) return;
    const fields = { key, contact, host, port, peer: undefined, endpoints: [], resume: undefined };
    const target = makeTarget(fields, nowMs);
    this.#targets.set(key, target);
    this.#contacts.add(target);
    this.#schedule(target);
  }

  removeContact(contact: string): boolean {
    return this.#removeTarget(contactKey(contact));
  }

  /** A peer met before: dialled at its endpoints unless it is reachable. */
  setPeer(
    peer: PeerId,
    endpoints: readonly PathAddress[],
    resume: Resume | undefined,
    nowMs: number,
  ): void {
    const key = peerKey(peer);
    let target = this.#targets.get(key);
    if (!target) {
      if (this.#targets.size >= MAX_TARGETS) return;
      const fields = { key, contact: undefined, host: '', port: 0, peer, endpoints, resume };
      target = makeTarget(fields, nowMs);
      this.#targets.set(key, target);
    }
    target.endpoints = endpoints.slice(0, ENDPOINTS_PER_ATTEMPT);
    target.resume = resume;
    this.#schedule(target);
  }

  /**
   * Where others say that the peer is, beside its own endpoints: detours, dialled like those, and endpoints of its
   * record. Those get one INIT a round, three rounds, and then one an hour, until the peer answers or the list changes.
   */
  setVouched(peer: PeerId, addresses: readonly PathAddress[], nowMs: number): void {
    const key = peerKey(peer);
    let target = this.#targets.get(key);
    if (!target) {
      if (addresses.length === 0 || this.#targets.size >= MAX_TARGETS) return;
      const none = { key, contact: undefined, host: '', port: 0, endpoints: [], resume: undefined };
      target = makeTarget({ ...none, peer }, nowMs);
      this.#targets.set(key, target);
    }
    if (textOf(target.vouched) === textOf(addresses)) return;
    target.vouched = addresses;
    this.#strangers.restart(target);
    const isAnswered = target.attempts.some((attempt) => attempt.state === 'finishing');
    if (!isAnswered && target.nextAtMs !== Number.POSITIVE_INFINITY) target.nextAtMs = nowMs;
    this.#schedule(target);
    const isNobody = target.endpoints.length === 0 && !target.resume && addresses.length === 0;
    if (isNobody) this.#removeTarget(key);
  }

  /** Removed from the mesh: dialled no more, and contacts that lead to it wait for whoever is there next. */
  onRemoved(peer: PeerId, nowMs: number, out: Actions): void {
    this.#removeTarget(peerKey(peer));
    for (const contact of this.#targetsOf(peer)) {
      this.#pause(contact, nowMs);
      noteTrouble(contact, 'removed-peer', contact.endpoints[0], out);
    }
    this.#attempts.sweep();
  }

  /** It holds this node to be removed. */
  onTurnedAway(peer: PeerId, nowMs: number): void {
    for (const target of this.#targetsOf(peer)) {
      this.#pause(target, nowMs);
      target.problem = 'removed';
    }
    this.#attempts.sweep();
  }

  #pause(target: DialTarget, nowMs: number): void {
    for (const attempt of target.attempts) attempt.abandon();
    target.nextAtMs = nowMs + REMOVED_AGAIN_MS;
    this.#schedule(target);
  }

  /** It answers: nothing is to be dialled for it, and nothing is wrong any more. */
  onPeerUp(peer: PeerId): void {
    for (const target of this.#targetsOf(peer)) {
      target.nextAtMs = Number.POSITIVE_INFINITY;
      target.problem = undefined;
      target.attemptsMade = 0;
      this.#strangers.restart(target);
      for (const attempt of target.attempts) attempt.abandon();
      this.#schedule(target);
    }
    this.#attempts.sweep();
  }

  /** A connection of ours stands: dialled at once for whom it was opened, and beside their endpoints from now on. */
  onTcpOpened(connection: number, nowMs: number, out: Actions): void {
    const endpoint = this.#components.tcp.endpointOf({ family: 'tcp', connection });
    if (!endpoint) return;
    const text = formatPathAddress(endpoint);
    for (const target of this.#targets.values()) {
      const places = [...target.endpoints, ...target.vouched].map(formatPathAddress);
      const isWanted = target.nextAtMs !== Number.POSITIVE_INFINITY && places.includes(text);
      if (!isWanted || target.attempts.some(({ state }) => state === 'finishing')) continue;
      const guarded = this.#withGuesses(target, [{ family: 'tcp', connection }], nowMs, out);
      const isFull = target.attempts.length >= ATTEMPTS_PER_TARGET;
      if (guarded && !isFull) this.#start(target, guarded, [], nowMs, out);
    }
  }

  /** It is not reachable any more, or its keys grow old: dial now, or after `delayMs`. */
  wake(peer: PeerId, delayMs: number, nowMs: number): void {
    for (const target of this.#targetsOf(peer)) {
      if (target.nextAtMs === Number.POSITIVE_INFINITY) target.wantedSinceMs = nowMs;
      target.nextAtMs = Math.min(target.nextAtMs, nowMs + delayMs);
      this.#schedule(target);
    }
  }

  /** What a person named, even if it rests. */
  wakeContacts(nowMs: number): void {
    for (const target of this.#contacts) {
      target.nextAtMs = Math.min(target.nextAtMs, nowMs);
      this.#schedule(target);
    }
  }

  /** Something about the network changed: try everything that waits. */
  wakeAll(nowMs: number): void {
    for (const target of this.#targets.values()) {
      if (target.nextAtMs === Number.POSITIVE_INFINITY) continue;
      target.nextAtMs = nowMs;
      target.attemptsMade = 0;
      this.#schedule(target);
    }
  }

  onResolved(ticket: number, addresses: readonly string[], nowMs: number, out: Actions): void {
    for (const target of this.#targets.values()) {
      if (target.ticket !== ticket) continue;
      target.ticket = 0;
      const endpoints: PathAddress[] = [];
      for (const address of addresses.slice(0, ENDPOINTS_PER_ATTEMPT)) {
        const endpoint = makeEndpoint(address, target.port);
        if (endpoint) endpoints.push(endpoint);
      }
      this.#dial(target, endpoints, nowMs, out);
      this.#schedule(target);
      return;
    }
  }

  onRetry(from: PathAddress, bytes: Uint8Array, out: Actions): void {
    const retry = parseRetry(bytes);
    if (!retry.ok) return;
    const found = this.#attempts.get(retry.value.receiverIndex);
    for (const item of found?.attempt.onRetry(from, retry.value.cookie) ?? []) out.send(item);
  }

  /** Unauthenticated: worth a "probably", nothing more. */
  onReject(from: PathAddress, bytes: Uint8Array, out: Actions): void {
    const reject = parseReject(bytes);
    if (!reject.ok || reject.value.reason !== REJECT_OTHER_MESH) return;
    const found = this.#attempts.get(reject.value.receiverIndex);
    if (!found || toHex(found.attempt.init.subarray(24, 40)) !== toHex(reject.value.sid)) return;
    found.attempt.onReject();
    noteTrouble(found.target, 'other-mesh', from, out);
  }

  onResp(
    receiverIndex: number,
    from: PathAddress,
    bytes: Uint8Array,
    nowMs: number,
    out: Actions,
  ): Dialled | undefined {
    const found = this.#attempts.get(receiverIndex);
    if (!found) return undefined;
    const { attempt, target } = found;
    const outcome = attempt.onResp(from, bytes, nowMs);
    if (outcome.kind === 'ignored') return undefined;
    if (outcome.kind === 'refused') {
      this.#onRefused(target, outcome.reason, from, nowMs, out);
      this.#attempts.sweep();
      return undefined;
    }
    const { done } = outcome;
    if (isEndpoint(from)) this.#answers.note(nowMs - attempt.startedAtMs, nowMs);
    if (target.contact !== undefined) target.peer = done.peer.id;
    for (const other of target.attempts) if (other !== attempt) other.abandon();
    target.nextAtMs = Math.max(target.nextAtMs, attempt.nextDeadlineMs + BUSY_AGAIN_MS);
    this.#schedule(target);
    if (done.suite === 0) noteTrouble(target, 'no-common-cipher', from, out);
    this.#attempts.sweep();
    return { done, attempt, contact: target.contact };
  }

  /** The session of this index heard something authentic. */
  onConfirmed(localIndex: number): void {
    this.#attempts.get(localIndex)?.attempt.onConfirmed();
    this.#attempts.sweep();
  }

  /** @returns sessions to drop: their FIN was never answered. */
  onDeadline(nowMs: number, out: Actions): number[] {
    const dropped: number[] = [];
    for (const { attempt, target } of this.#attempts.onDeadline(nowMs, out)) {
      if (attempt.isFinished) dropped.push(attempt.localIndex);
      const isMissed = target.contact !== undefined || target.resume !== undefined;
      if (!attempt.wasAnswered && isMissed && target.attemptsMade >= 2) {
        noteTrouble(target, 'silent', attempt.endpoints[0], out);
      }
    }
    for (const target of this.#due.takeDue(nowMs)) {
      if (target.ticket !== 0 && nowMs >= target.resolveUntilMs) {
        this.onResolved(target.ticket, [], nowMs, out);
      }
      if (target.ticket === 0 && nowMs >= target.nextAtMs) this.#begin(target, nowMs, out);
      this.#schedule(target);
    }
    return dropped;
  }

  /** After each change of when it is due. */
  #schedule(target: DialTarget): void {
    if (this.#targets.get(target.key) !== target) return;
    this.#due.set(target, target.ticket === 0 ? target.nextAtMs : target.resolveUntilMs);
  }

  /** Its own target, and contacts that led to it. */
  *#targetsOf(peer: PeerId): Generator<DialTarget> {
    const own = this.#targets.get(peerKey(peer));
    if (own) yield own;
    for (const contact of this.#contacts) if (contact.peer === peer) yield contact;
  }

  #begin(target: DialTarget, nowMs: number, out: Actions): void {
    const { view } = this.#components;
    const isHelp = target.contact !== undefined && view.isStarving();
    if (target.peer && !view.isWanted(target.peer) && !isHelp) {
      target.nextAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (target.peer && view.isReachable(target.peer) && !view.wantsRenewal(target.peer)) {
      target.nextAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (target.contact === undefined) {
      this.#dialPeer(target, nowMs, out);
      return;
    }
    const literal = makeEndpoint(target.host, target.port);
    if (literal) {
      this.#dial(target, [literal], nowMs, out);
      return;
    }
    this.#ticket += 1;
    target.ticket = this.#ticket;
    target.resolveUntilMs = nowMs + RESOLVE_GIVE_UP_MS;
    out.push({ kind: 'resolve', ticket: target.ticket, host: target.host });
  }

  #dialPeer(target: DialTarget, nowMs: number, out: Actions): void {
    const own = new Set(target.endpoints.map(formatPathAddress));
    const detours = target.vouched.filter((address) => !isEndpoint(address));
    const certain = [...detours, ...target.endpoints].slice(0, ENDPOINTS_PER_ATTEMPT);
    const strangers = target.vouched.filter(
      (address) =>
        isEndpoint(address) &&
        !own.has(formatPathAddress(address)) &&
        !this.#attempts.isAsking(address) &&
        !this.#components.unfit(address),
    );
    const due = this.#strangers.due(target, strangers, nowMs);
    const asked = this.#strangers.ask(target, due, nowMs);
    if (due.length > 0 && asked.length === 0 && certain.length === 0) {
      target.nextAtMs = nowMs + Math.max(1, this.#strangers.waitMs(nowMs));
      return;
    }
    this.#dial(target, [...certain, ...asked], nowMs, out, asked);
  }

  #dial(
    target: DialTarget,
    endpoints: readonly PathAddress[],
    nowMs: number,
    out: Actions,
    once: readonly PathAddress[] = [],
  ): void {
    const wait = this.#components.rng.fraction();
    if (target.contact !== undefined) target.endpoints = endpoints;
    if (endpoints.length === 0) {
      target.attemptsMade += 1;
      target.nextAtMs = nowMs + gapMs(target, nowMs, wait);
      if (target.contact !== undefined) noteTrouble(target, 'unresolved', undefined, out);
      return;
    }
    const fit = endpoints.filter((endpoint) => !this.#components.unfit(endpoint));
    const others = fit.filter((endpoint) => !this.#own.has(formatPathAddress(endpoint)));
    if (others.length === 0) {
      noteTrouble(target, fit.length === 0 ? 'in-overlay' : 'self', endpoints[0], out);
      const isName = makeEndpoint(target.host, target.port) === undefined;
      target.nextAtMs = isName ? nowMs + SELF_NAME_AGAIN_MS : Number.POSITIVE_INFINITY;
      return;
    }
    if (target.contact !== undefined && this.#isMetOtherwise(target, others)) return;
    const allowed = this.#withGuesses(target, others, nowMs, out);
    if (!allowed) return;
    this.#openTcp(target, allowed, once, nowMs, out);
    const ways = [...allowed, ...this.#components.tcp.openTo(allowed)];
    const free = ways.filter((endpoint) => !this.#attempts.isAsking(endpoint));
    const isFull = target.attempts.length >= ATTEMPTS_PER_TARGET;
    if (free.length === 0 || isFull) {
      target.nextAtMs = nowMs + BUSY_AGAIN_MS;
      return;
    }
    this.#start(target, free, once, nowMs, out);
    const lastInit = nowMs + (INIT_REPEATS_MS.at(-1) ?? 0);
    target.nextAtMs = lastInit + gapMs(target, nowMs, wait);
  }

  /** Where nobody answers over UDP. A SYN to a stranger is paid for like an INIT. */
  #openTcp(
    target: DialTarget,
    endpoints: readonly PathAddress[],
    strangers: readonly PathAddress[],
    nowMs: number,
    out: Actions,
  ): void {
    const { tcp, strangerProbes } = this.#components;
    if (target.attemptsMade === 0 || target.attempts.some((attempt) => attempt.wasAnswered)) return;
    const places = endpoints
      .filter(isEndpoint)
      .filter((endpoint) => !strangers.includes(endpoint) || strangerProbes.take(nowMs));
    for (const { connection, to } of tcp.wanted(places, target.wantedSinceMs, nowMs)) {
      out.send({ kind: 'tcpConnect', connection, to });
    }
  }

  #start(
    target: DialTarget,
    endpoints: readonly PathAddress[],
    once: readonly PathAddress[],
    nowMs: number,
    out: Actions,
  ): void {
    const { crypto, indexes } = this.#components;
    const localIndex = indexes.take(nowMs);
    const attempt = new HandshakeAttempt(crypto.initiate(localIndex, this.#resumeOf(target)), {
      localIndex,
      endpoints,
      once,
      expected: target.contact === undefined ? target.peer : undefined,
      slot: 0,
      nowMs,
    });
    target.attemptsMade += 1;
    this.#attempts.add(attempt, target);
    for (const item of attempt.start()) out.send(item);
  }

  #resumeOf(target: DialTarget): Resume | undefined {
    if (target.resume || !target.peer) return target.resume;
    return this.#targets.get(peerKey(target.peer))?.resume;
  }

  /** A contact whose address is the path of a reachable peer is that peer. */
  #isMetOtherwise(target: DialTarget, endpoints: readonly PathAddress[]): boolean {
    const { view } = this.#components;
    for (const endpoint of endpoints) {
      const peer = view.peerAt(endpoint);
      if (!peer || view.wantsRenewal(peer)) continue;
      target.peer = peer;
      target.problem = undefined;
      target.nextAtMs = Number.POSITIVE_INFINITY;
      return true;
    }
    return false;
  }

  /** Addresses where a wrong answer may still be afforded; undefined: none, and the target waits. */
  #withGuesses(
    target: DialTarget,
    endpoints: readonly PathAddress[],
    nowMs: number,
    out: Actions,
  ): readonly PathAddress[] | undefined {
    const allowed = endpoints.filter((endpoint) => {
      return this.#guesses.mayAsk(this.#placeOf(endpoint), nowMs);
    });
    if (allowed.length > 0) return allowed;
    const places = endpoints.map((endpoint) => this.#placeOf(endpoint));
    target.nextAtMs = nowMs + Math.max(BUSY_AGAIN_MS, this.#guesses.waitMs(places, nowMs));
    noteTrouble(target, 'paused', endpoints[0], out);
    return undefined;
  }

  #onRefused(
    target: DialTarget,
    reason: string,
    from: PathAddress,
    nowMs: number,
    out: Actions,
  ): void {
    switch (reason) {
      case 'confirm':
        this.#guesses.onWrongAnswer(this.#placeOf(from), nowMs);
        noteTrouble(target, 'wrong-password', from, out);
        break;
      case 'identity':
        this.#markOwn(from);
        noteTrouble(target, 'self', from, out);
        break;
      case 'clone':
        noteTrouble(target, 'clone', from, out);
        break;
      case 'unexpected peer':
        noteTrouble(target, 'identity-mismatch', from, out);
        break;
      case 'version':
        noteTrouble(target, 'version-mismatch', from, out);
        break;
      default:
        // Malformed or forged: as if nobody had answered.
        break;
    }
  }

  #markOwn(endpoint: PathAddress): void {
    const oldest = this.#own.values().next();
    if (this.#own.size >= OWN_ENDPOINTS_MAX && !oldest.done) this.#own.delete(oldest.value);
    this.#own.add(this.#placeOf(endpoint));
  }

  #placeOf(address: PathAddress): string {
    return formatPathAddress(this.#components.tcp.placeOf(address));
  }

  #removeTarget(key: string): boolean {
    const target = this.#targets.get(key);
    if (!target) return false;
    for (const attempt of target.attempts) attempt.abandon();
    this.#attempts.sweep();
    this.#contacts.delete(target);
    this.#due.delete(target);
    return this.#targets.delete(key);
  }
}

function contactKey(contact: string): string {
  return `contact ${contact}`;
}

function textOf(addresses: readonly PathAddress[]): string {
  return addresses.map(formatPathAddress).sort().join();
}

function peerKey(peer: PeerId): string {
  return `peer ${peer}`;
}
