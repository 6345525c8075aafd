import { toHex } from '../base/bytes.js';
import { Deadlines } from '../base/deadlines.js';
import type { Rng } from '../base/rng.js';
import { makeEndpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import { parseReject, parseRetry, REJECT_OTHER_MESH } from '../wire/handshake.js';
import type { Actions, Note } from './actions.js';
import { HandshakeAttempt } from './attempt.js';
import type { CandidateRule } from './candidates.js';
import {
  ATTEMPTS_PER_TARGET,
  ENDPOINTS_PER_ATTEMPT,
  GUESS_BURST_PER_ADDRESS,
  GUESS_BURST_PER_NODE,
  GUESS_REFILL_PER_ADDRESS,
  GUESS_REFILL_PER_NODE,
  INIT_REPEATS_MS,
  MAX_TARGETS,
  REMOVED_AGAIN_MS,
  RESOLVE_GIVE_UP_MS,
  STRANGER_INITS_OF_OWNER,
  STRANGER_INITS_PER_SECOND,
  STRANGER_INITS_TO_ENDPOINT,
  STRANGER_INITS_TRACKED,
  STRANGER_PAUSE_MS,
  STRANGER_ROUNDS,
} from './constants.js';
import { AnswerTimes } from './answer-times.js';
import type { HandshakeDone, LinkCrypto, Resume } from './crypto-port.js';
import { gapMs, makeTarget, type DialProblem, type DialTarget } from './dial-target.js';
import type { IndexPool } from './index-pool.js';
import type { TcpDial } from './tcp-dial.js';
import { TokenBucket, TokenBuckets } from '../base/token-bucket.js';

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

/** That this node was removed is one event, whoever says so (daemon/mesh-removals.ts). */
type DialTrouble = Exclude<DialProblem, 'removed'>;

const BUSY_AGAIN_MS = 500;
const OWN_ENDPOINTS_MAX = 256;
const GUESS_ADDRESSES_MAX = 4096;
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
  readonly #byIndex = new Map<number, { attempt: HandshakeAttempt; target: DialTarget }>();
  readonly #busy = new Map<string, number>();
  readonly #own = new Set<string>();
  readonly #guessesOfNode = new TokenBucket(GUESS_BURST_PER_NODE, GUESS_REFILL_PER_NODE);
  readonly #guesses = new TokenBuckets(
    () => new TokenBucket(GUESS_BURST_PER_ADDRESS, GUESS_REFILL_PER_ADDRESS),
    GUESS_ADDRESSES_MAX,
  );
  /** What a member that lists endpoints of its choice, and changes the list, can have sent there. */
  readonly #strangersOf = strangerBuckets(STRANGER_INITS_OF_OWNER);
  readonly #strangersAt = strangerBuckets(STRANGER_INITS_TO_ENDPOINT);
  readonly #answers = new AnswerTimes();
  #ticket = 0;

  constructor(components: DialerComponents) {
    this.#components = components;
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
    let next = this.#due.nextMs;
    for (const { attempt } of this.#byIndex.values()) next = Math.min(next, attempt.nextDeadlineMs);
    return next;
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
    target.strangerRounds = 0;
    target.strangersAtMs = 0;
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
      this.#trouble(contact, 'removed-peer', contact.endpoints[0], out);
    }
    this.#sweepAttempts();
  }

  /** It holds this node to be removed. */
  onTurnedAway(peer: PeerId, nowMs: number): void {
    for (const target of this.#targetsOf(peer)) {
      this.#pause(target, nowMs);
      target.problem = 'removed';
    }
    this.#sweepAttempts();
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
      target.strangerRounds = 0;
      target.strangersAtMs = 0;
      for (const attempt of target.attempts) attempt.abandon();
      this.#schedule(target);
    }
    this.#sweepAttempts();
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
    const found = this.#byIndex.get(retry.value.receiverIndex);
    for (const item of found?.attempt.onRetry(from, retry.value.cookie) ?? []) out.send(item);
  }

  /** Unauthenticated: worth a "probably", nothing more. */
  onReject(from: PathAddress, bytes: Uint8Array, out: Actions): void {
    const reject = parseReject(bytes);
    if (!reject.ok || reject.value.reason !== REJECT_OTHER_MESH) return;
    const found = this.#byIndex.get(reject.value.receiverIndex);
    if (!found || toHex(found.attempt.init.subarray(24, 40)) !== toHex(reject.value.sid)) return;
    found.attempt.onReject();
    this.#trouble(found.target, 'other-mesh', from, out);
  }

  onResp(
    receiverIndex: number,
    from: PathAddress,
    bytes: Uint8Array,
    nowMs: number,
    out: Actions,
  ): Dialled | undefined {
    const found = this.#byIndex.get(receiverIndex);
    if (!found) return undefined;
    const { attempt, target } = found;
    const outcome = attempt.onResp(from, bytes, nowMs);
    if (outcome.kind === 'ignored') return undefined;
    if (outcome.kind === 'refused') {
      this.#onRefused(target, outcome.reason, from, nowMs, out);
      this.#sweepAttempts();
      return undefined;
    }
    const { done } = outcome;
    if (isEndpoint(from)) this.#answers.note(nowMs - attempt.startedAtMs, nowMs);
    if (target.contact !== undefined) target.peer = done.peer.id;
    for (const other of target.attempts) if (other !== attempt) other.abandon();
    target.nextAtMs = Math.max(target.nextAtMs, attempt.nextDeadlineMs + BUSY_AGAIN_MS);
    this.#schedule(target);
    if (done.suite === 0) this.#trouble(target, 'no-common-cipher', from, out);
    this.#sweepAttempts();
    return { done, attempt, contact: target.contact };
  }

  /** The session of this index heard something authentic. */
  onConfirmed(localIndex: number): void {
    this.#byIndex.get(localIndex)?.attempt.onConfirmed();
    this.#sweepAttempts();
  }

  /** @returns sessions to drop: their FIN was never answered. */
  onDeadline(nowMs: number, out: Actions): number[] {
    const dropped: number[] = [];
    for (const { attempt } of this.#byIndex.values()) {
      for (const item of attempt.onDeadline(nowMs)) out.send(item);
      if (attempt.isFinished && attempt.state === 'expired') dropped.push(attempt.localIndex);
    }
    for (const [index, { attempt, target }] of this.#byIndex) {
      const isSilent = attempt.state === 'expired' && !attempt.wasAnswered;
      const isMissed = target.contact !== undefined || target.resume !== undefined;
      if (isSilent && isMissed && target.attemptsMade >= 2) {
        this.#trouble(target, 'silent', attempt.endpoints[0], out);
      }
      if (!attempt.isLive) this.#forget(index, attempt, target, nowMs);
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
        !this.#busy.has(formatPathAddress(address)) &&
        !this.#components.unfit(address) &&
        this.#strangersAt.has(formatPathAddress(address), nowMs) &&
        this.#strangersOf.has(target.key, nowMs),
    );
    const isTheirTurn = strangers.length > 0 && nowMs >= target.strangersAtMs;
    const asked = isTheirTurn
      ? strangers.filter((address) => this.#mayAskStranger(target, address, nowMs))
      : [];
    if (isTheirTurn && asked.length === 0 && certain.length === 0) {
      target.nextAtMs = nowMs + Math.max(1, this.#components.strangerProbes.waitMs(nowMs));
      return;
    }
    if (asked.length > 0) {
      target.strangerRounds += 1;
      if (target.strangerRounds >= STRANGER_ROUNDS)
        target.strangersAtMs = nowMs + STRANGER_PAUSE_MS;
      // Those the budget did not reach come first in the next round.
      target.vouched = [...target.vouched].sort(
        (a, b) => Number(asked.includes(a)) - Number(asked.includes(b)),
      );
    }
    this.#dial(target, [...certain, ...asked], nowMs, out, asked);
  }

  #mayAskStranger(target: DialTarget, address: PathAddress, nowMs: number): boolean {
    if (!this.#strangersOf.has(target.key, nowMs)) return false;
    if (!this.#components.strangerProbes.take(nowMs)) return false;
    this.#strangersOf.take(target.key, nowMs);
    this.#strangersAt.take(formatPathAddress(address), nowMs);
    return true;
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
      if (target.contact !== undefined) this.#trouble(target, 'unresolved', undefined, out);
      return;
    }
    const fit = endpoints.filter((endpoint) => !this.#components.unfit(endpoint));
    const others = fit.filter((endpoint) => !this.#own.has(formatPathAddress(endpoint)));
    if (others.length === 0) {
      this.#trouble(target, fit.length === 0 ? 'in-overlay' : 'self', endpoints[0], out);
      const isName = makeEndpoint(target.host, target.port) === undefined;
      target.nextAtMs = isName ? nowMs + SELF_NAME_AGAIN_MS : Number.POSITIVE_INFINITY;
      return;
    }
    if (target.contact !== undefined && this.#isMetOtherwise(target, others)) return;
    const allowed = this.#withGuesses(target, others, nowMs, out);
    if (!allowed) return;
    this.#openTcp(target, allowed, once, nowMs, out);
    const ways = [...allowed, ...this.#components.tcp.openTo(allowed)];
    const free = ways.filter((endpoint) => !this.#busy.has(formatPathAddress(endpoint)));
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
    target.attempts.push(attempt);
    this.#byIndex.set(localIndex, { attempt, target });
    for (const endpoint of endpoints) this.#busy.set(formatPathAddress(endpoint), localIndex);
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
    const allowed = endpoints.filter((endpoint) =>
      this.#guesses.has(this.#placeOf(endpoint), nowMs),
    );
    if (allowed.length > 0 && this.#guessesOfNode.has(nowMs)) return allowed;
    const waits = endpoints.map((endpoint) => this.#guesses.waitMs(this.#placeOf(endpoint), nowMs));
    const wait = Math.max(this.#guessesOfNode.waitMs(nowMs), Math.min(...waits));
    target.nextAtMs = nowMs + Math.max(BUSY_AGAIN_MS, wait);
    this.#trouble(target, 'paused', endpoints[0], out);
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
        this.#guesses.take(this.#placeOf(from), nowMs);
        this.#guessesOfNode.take(nowMs);
        this.#trouble(target, 'wrong-password', from, out);
        break;
      case 'identity':
        this.#markOwn(from);
        this.#trouble(target, 'self', from, out);
        break;
      case 'clone':
        this.#trouble(target, 'clone', from, out);
        break;
      case 'unexpected peer':
        this.#trouble(target, 'identity-mismatch', from, out);
        break;
      case 'version':
        this.#trouble(target, 'version-mismatch', from, out);
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

  #trouble(
    target: DialTarget,
    problem: DialTrouble,
    at: PathAddress | undefined,
    out: Actions,
  ): void {
    // "paused" and "wrong password" alternate for as long as the password is wrong: one event each.
    const isRepetition =
      target.problem === problem || (target.problem === 'paused' && problem === 'wrong-password');
    if (isRepetition) return;
    target.problem = problem;
    const where = target.contact ?? (at ? formatPathAddress(at) : target.host);
    const about = {
      ...(target.contact === undefined && target.peer ? { peer: target.peer } : {}),
      ...(at ? { endpoint: formatPathAddress(at) } : {}),
    };
    out.note({ ...problemNote(problem, where, target.peer), ...about });
  }

  #forget(index: number, attempt: HandshakeAttempt, target: DialTarget, nowMs: number): void {
    this.#byIndex.delete(index);
    target.attempts = target.attempts.filter((other) => other !== attempt);
    for (const endpoint of attempt.endpoints) {
      const text = formatPathAddress(endpoint);
      if (this.#busy.get(text) === index) this.#busy.delete(text);
    }
    // A confirmed one lives on as the index of its session.
    const isSession = attempt.state === 'confirmed' || attempt.isFinished;
    if (!isSession) this.#components.indexes.release(index, nowMs);
  }

  #sweepAttempts(): void {
    for (const [index, { attempt, target }] of this.#byIndex) {
      if (attempt.isLive) continue;
      this.#forget(index, attempt, target, attempt.startedAtMs);
    }
  }

  #removeTarget(key: string): boolean {
    const target = this.#targets.get(key);
    if (!target) return false;
    for (const attempt of target.attempts) attempt.abandon();
    this.#sweepAttempts();
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

function problemNote(problem: DialTrouble, where: string, peer: PeerId | undefined): Note {
  switch (problem) {
    case 'silent':
      return {
        level: 'warn',
        code: 'contact-silent',
        message: `No answer from ${where}`,
        cure: 'Check that overlayd runs there and that its UDP port is reachable. It is tried for ever.',
      };
    case 'unresolved':
      return {
        level: 'warn',
        code: 'contact-unresolved',
        message: `No address found for ${where}`,
        cure: 'Check the name and the resolver of this host. It is looked up again at every attempt.',
      };
    case 'wrong-password':
      return {
        level: 'warn',
        code: 'wrong-password',
        message: `${where} has another password than this node`,
        cure: 'Start both nodes with the same --password and the same --mesh.',
      };
    case 'paused':
      return {
        level: 'warn',
        code: 'dial-paused',
        message: `Dialling ${where} is slowed down: its password was wrong too often`,
        cure: 'Start both nodes with the same --password and the same --mesh.',
      };
    case 'other-mesh':
      return {
        level: 'warn',
        code: 'other-mesh',
        message: `${where} probably belongs to another mesh`,
        cure: 'Give both nodes the same --mesh name.',
      };
    case 'identity-mismatch':
      return {
        level: 'warn',
        code: 'identity-mismatch',
        message: `Another node than ${peer ? shortPeerId(peer) : 'expected'} answers at ${where}`,
        cure: 'Nothing to do when that machine was set up anew; otherwise find out who answers there.',
      };
    case 'version-mismatch':
      return {
        level: 'warn',
        code: 'version-mismatch',
        message: `${where} speaks another protocol version`,
        cure: 'Run compatible versions of overlayd on both nodes.',
      };
    case 'no-common-cipher':
      return {
        level: 'warn',
        code: 'no-common-cipher',
        message: `${where} shares no cipher with this node`,
        cure: 'Let the --cipher lists of both nodes overlap.',
      };
    case 'self':
      return {
        level: 'info',
        code: 'contact-is-self',
        message: `${where} is this node itself and is not dialled again`,
      };
    case 'in-overlay':
      return {
        level: 'warn',
        code: 'contact-refused',
        message: `${where} is not dialled: its address lies inside the overlay, or is none of one host`,
        cure: 'Name an address of the underlay. If the underlay itself lies in the pool, choose another --ipalloc-range on all nodes.',
      };
    case 'removed-peer':
      return {
        level: 'warn',
        code: 'contact-refused',
        message: `${where} is not linked: the peer there was removed from the mesh`,
        cure: "If it is to come back: 'overlayctl reset' on it and start it again, it then takes a new identity. Else forget this contact.",
      };
    case 'clone':
      return {
        level: 'error',
        code: 'clone-detected',
        message: `${where} runs with the identity of this node`,
        cure: 'One of the two is a copy: stop it, remove its state directory and start it again.',
      };
  }
}

function strangerBuckets(burst: number): TokenBuckets {
  return new TokenBuckets(
    () => new TokenBucket(burst, STRANGER_INITS_PER_SECOND),
    STRANGER_INITS_TRACKED,
  );
}
