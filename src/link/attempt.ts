import type { SendItem } from '../dataplane/dataplane.js';
import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import type { HandshakeDone, InitiatorHandshake } from './crypto-port.js';
import {
  FIN_GIVE_UP_MS,
  FIN_REPEATS_MS,
  INIT_GIVE_UP_MS,
  INIT_REPEATS_MS,
  RESPS_PER_INIT,
  RETRIES_PER_INIT,
} from './constants.js';

/*
 * The initiator's side of one handshake (docs/protocol.md §2).
 *
 *             RESP good: FIN out, session installed
 *   asking ───────────────────────────────► finishing ──── something authentic came in ───► confirmed
 *     │  ▲                                      │
 *     │  └─ repeat INIT, RETRY (cookie)         └─ FIN repeated, 3 s ──► expired (session dropped)
 *     ├─ 5 s ──────────────────────────────────────────────────────────► expired
 *     └─ RESPs used up, or one that rules the peer out ────────────────► refused
 *
 * The same INIT goes to every candidate. One RESP is examined per address it was sent to and three in all: each
 * examination tells a stranger whether a password guess was right, so the secret behind INIT is erased after that.
 */

export type AttemptState = 'asking' | 'finishing' | 'confirmed' | 'refused' | 'expired';

export type RespOutcome =
  /** Not for us to examine: an address not asked, one too many, or too late. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'finished'; readonly done: HandshakeDone };

interface Candidate {
  readonly endpoint: PathAddress;
  /** Asked once and not again. */
  readonly isOnce: boolean;
  init: Uint8Array;
  isExamined: boolean;
}

export class HandshakeAttempt {
  readonly localIndex: number;
  readonly startedAtMs: number;
  /** The PeerId that has to answer; undefined: whoever does. */
  readonly expected: PeerId | undefined;
  /** Which of the responder's passwords is asked for: 0 its newest, 1 its other one. */
  readonly slot: number;
  readonly init: Uint8Array;
  readonly #handshake: InitiatorHandshake;
  readonly #candidates = new Map<string, Candidate>();
  #state: AttemptState = 'asking';
  #repeatsSent = 0;
  #retriesHonoured = 0;
  #respsExamined = 0;
  #wasRejected = false;
  #finishedAtMs = 0;
  #fin: Uint8Array | undefined;
  #finTo: PathAddress | undefined;

  constructor(
    handshake: InitiatorHandshake,
    options: {
      readonly localIndex: number;
      readonly endpoints: readonly PathAddress[];
      /** Among `endpoints`: those that get one INIT and no repetition. */
      readonly once?: readonly PathAddress[];
      readonly expected: PeerId | undefined;
      readonly slot: number;
      readonly nowMs: number;
    },
  ) {
    this.#handshake = handshake;
    this.init = handshake.init;
    this.localIndex = options.localIndex;
    this.startedAtMs = options.nowMs;
    this.expected = options.expected;
    this.slot = options.slot;
    const once = new Set(options.once?.map(formatPathAddress));
    for (const endpoint of options.endpoints) {
      const isOnce = once.has(formatPathAddress(endpoint));
      const candidate = { endpoint, isOnce, init: handshake.init, isExamined: false };
      this.#candidates.set(formatPathAddress(endpoint), candidate);
    }
  }

  get state(): AttemptState {
    return this.#state;
  }

  get isLive(): boolean {
    return this.#state === 'asking' || this.#state === 'finishing';
  }

  /** Its index became a session's, whatever came of that. */
  get isFinished(): boolean {
    return this.#finTo !== undefined;
  }

  /** Did anything but silence come back? */
  get wasAnswered(): boolean {
    return this.#respsExamined > 0 || this.#retriesHonoured > 0 || this.#wasRejected;
  }

  get endpoints(): readonly PathAddress[] {
    return [...this.#candidates.values()].map((candidate) => candidate.endpoint);
  }

  get lastInitAtMs(): number {
    return this.startedAtMs + (INIT_REPEATS_MS.at(-1) ?? 0);
  }

  get nextDeadlineMs(): number {
    if (this.#state === 'asking') {
      const repeat = INIT_REPEATS_MS[this.#repeatsSent];
      return this.startedAtMs + (repeat ?? INIT_GIVE_UP_MS);
    }
    if (this.#state === 'finishing') {
      const repeat = FIN_REPEATS_MS[this.#repeatsSent];
      return this.#finishedAtMs + (repeat ?? FIN_GIVE_UP_MS);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The first INIT to every candidate. */
  start(): SendItem[] {
    return this.#initToAll(false);
  }

  /** A RETRY carries a cookie that is good for this address only. */
  onRetry(from: PathAddress, cookie: Uint8Array): SendItem[] {
    const candidate = this.#candidates.get(formatPathAddress(from));
    if (this.#state !== 'asking' || !candidate || candidate.isExamined) return [];
    if (this.#retriesHonoured >= RETRIES_PER_INIT) return [];
    this.#retriesHonoured += 1;
    candidate.init = this.#handshake.initWithCookie(cookie);
    return [{ kind: 'datagram', to: candidate.endpoint, bytes: candidate.init }];
  }

  /** Anyone can write a REJECT: it is remembered as a sign of life and ends nothing. */
  onReject(): void {
    this.#wasRejected = true;
  }

  onResp(from: PathAddress, bytes: Uint8Array, nowMs: number): RespOutcome {
    const candidate = this.#candidates.get(formatPathAddress(from));
    if (this.#state !== 'asking' || !candidate || candidate.isExamined) return { kind: 'ignored' };
    candidate.isExamined = true;
    this.#respsExamined += 1;
    const result = this.#handshake.onResp(bytes, from, this.expected);
    if (result.ok) {
      this.#state = 'finishing';
      this.#finishedAtMs = nowMs;
      this.#repeatsSent = 0;
      this.#fin = result.value.fin;
      this.#finTo = from;
      this.#handshake.erase();
      return { kind: 'finished', done: result.value.done };
    }
    const isUsedUp =
      this.#respsExamined >= RESPS_PER_INIT ||
      [...this.#candidates.values()].every((other) => other.isExamined);
    if (isUsedUp) this.#end('refused');
    return { kind: 'refused', reason: result.reason };
  }

  /** FIN once more; the first one too. */
  finDatagram(): SendItem[] {
    if (this.#state !== 'finishing' || !this.#fin || !this.#finTo) return [];
    return [{ kind: 'datagram', to: this.#finTo, bytes: this.#fin }];
  }

  /** Something authentic came in on the session: the responder has it too. */
  onConfirmed(): void {
    if (this.#state === 'finishing') this.#end('confirmed');
  }

  /** Nobody waits for this any more: the peer was reached otherwise. A FIN under way goes on. */
  abandon(): void {
    if (this.#state === 'asking') this.#end('expired');
  }

  onDeadline(nowMs: number): SendItem[] {
    if (!this.isLive || nowMs < this.nextDeadlineMs) return [];
    const repeats = this.#state === 'asking' ? INIT_REPEATS_MS : FIN_REPEATS_MS;
    if (this.#repeatsSent >= repeats.length) {
      this.#end('expired');
      return [];
    }
    this.#repeatsSent += 1;
    return this.#state === 'asking' ? this.#initToAll(true) : this.finDatagram();
  }

  #initToAll(isRepetition: boolean): SendItem[] {
    return [...this.#candidates.values()]
      .filter((candidate) => !candidate.isExamined && !(isRepetition && candidate.isOnce))
      .map(({ endpoint, init }) => ({ kind: 'datagram', to: endpoint, bytes: init }));
  }

  #end(state: AttemptState): void {
    if (this.#state === 'asking') this.#handshake.erase();
    this.#state = state;
    this.#fin = undefined;
  }
}
