import type { Rng } from '../base/rng.js';
import type { DirectionKey, TableEntry } from '../dataplane/dataplane.js';
import type { RekeyAnswerer, RekeyAsker, RekeyCrypto } from './crypto-port.js';
import {
  OVERLAP_MS,
  REJECT_AFTER_MS,
  REKEY_JITTER,
  REKEY_REPEATS_MS,
  RENEW_AFTER_MS,
  RENEW_RESPONDER_AFTER_MS,
} from './constants.js';

/*
 * The phases of one session (docs/protocol.md §3). Only the session's initiator begins a phase.
 *
 *   initiator                                              responder
 *   steady ── 120 s ±10 %, or a limit ── REKEY1{p+1} ─────► rx(p+1) installed
 *   asking   (repeated, the same bytes)  ◄──── REKEY2{p+1}  answered   (repeated on each REKEY1, the same bytes)
 *   rx(p+1), tx(p+1) installed
 *   confirming ── keepalive in p+1 ──────────────────────► tx(p+1), on the first authentic packet of p+1
 *   steady   ◄─────────────────────────── keepalive in p+1  steady
 *
 * Each side drops rx(p) 15 s after it saw p+1 confirmed, or when p+2 comes: never more than two rx phases. Without a
 * new phase a new handshake runs beside from 150 s, and at 180 s the session ends.
 */

export type RekeyState = 'steady' | 'asking' | 'answered' | 'confirming';

export type RekeyAction =
  | { readonly kind: 'table'; readonly entry: TableEntry }
  | { readonly kind: 'rekey1'; readonly body: Uint8Array }
  | { readonly kind: 'rekey2'; readonly body: Uint8Array }
  /** Something empty in the newest phase, so that the other side sees it at once. */
  | { readonly kind: 'keepalive' }
  /** Only the session's initiator begins: ask it to. */
  | { readonly kind: 'ask' }
  /** Keys are old: dial this peer anew, beside the session. */
  | { readonly kind: 'renew' }
  /** Too old: the session ends now. */
  | { readonly kind: 'expire' };

export interface RekeyOptions {
  readonly session: number;
  readonly isInitiator: boolean;
  readonly rekeyAfterMs: number;
  readonly nowMs: number;
}

export class Rekey {
  readonly #asker: RekeyAsker | undefined;
  readonly #answerer: RekeyAnswerer | undefined;
  readonly #rng: Rng;
  readonly #options: RekeyOptions;
  #state: RekeyState = 'steady';
  #phase = 0;
  #keysAtMs: number;
  #beginAtMs = 0;
  #renewAtMs = 0;
  /** Keys of the phase we answered for, until the initiator is heard in it. */
  #next: { readonly phase: number; readonly tx: DirectionKey } | undefined;
  #repeats = 0;
  #nextRepeatMs = Number.POSITIVE_INFINITY;
  #retire: { phase: number; atMs: number } | undefined;

  constructor(crypto: RekeyCrypto, rng: Rng, rekeySecret: Uint8Array, options: RekeyOptions) {
    if (options.isInitiator) this.#asker = crypto.rekeyAsker(rekeySecret);
    else this.#answerer = crypto.rekeyAnswerer(rekeySecret);
    this.#rng = rng;
    this.#options = options;
    this.#keysAtMs = options.nowMs;
    this.#schedule(options.nowMs);
  }

  get phase(): number {
    return this.#phase;
  }

  get state(): RekeyState {
    return this.#state;
  }

  get nextDeadlineMs(): number {
    return Math.min(
      this.#state === 'steady' && this.#options.isInitiator
        ? this.#beginAtMs
        : Number.POSITIVE_INFINITY,
      this.#nextRepeatMs,
      this.#renewAtMs,
      this.#retire?.atMs ?? Number.POSITIVE_INFINITY,
      this.#keysAtMs + REJECT_AFTER_MS,
    );
  }

  /** A counter nears its limit, or the responder asks for another reason. Lost askings are made good by the clock. */
  onLimit(nowMs: number): RekeyAction[] {
    if (!this.#options.isInitiator) return [{ kind: 'ask' }];
    return this.#state === 'steady' ? this.#begin(nowMs) : [];
  }

  onRekey1(message: Uint8Array): RekeyAction[] {
    const answered = this.#answerer?.onRequest(message);
    if (!answered) return [];
    if (!answered.ok) return answered.reason === 'low order' ? [{ kind: 'expire' }] : [];
    const { reply, keys } = answered.value;
    if (!keys) return [{ kind: 'rekey2', body: reply }];
    const { phase, tx, rx } = keys;
    this.#next = { phase, tx };
    this.#state = 'answered';
    return [
      ...this.#retireNow(),
      this.#table({ kind: 'sessionRxKey', session: this.#options.session, phase, rx }),
      { kind: 'rekey2', body: reply },
    ];
  }

  onRekey2(message: Uint8Array, nowMs: number): RekeyAction[] {
    if (this.#state !== 'asking' || !this.#asker) return [];
    const result = this.#asker.onReply(message);
    if (!result.ok) return result.reason === 'low order' ? [{ kind: 'expire' }] : [];
    const { session } = this.#options;
    const { phase, rx, tx } = result.value;
    const retired = this.#retireNow();
    this.#enter(phase, nowMs);
    this.#state = 'confirming';
    this.#startRepeats(nowMs);
    return [
      ...retired,
      this.#table({ kind: 'sessionRxKey', session, phase, rx }),
      this.#table({ kind: 'sessionTxKey', session, phase, tx }),
      { kind: 'keepalive' },
    ];
  }

  /** The first authentic packet of a phase came in. */
  onPhaseConfirmed(wirePhase: number, nowMs: number): RekeyAction[] {
    if (this.#next && isPhase(wirePhase, this.#next.phase)) {
      const { tx, phase } = this.#next;
      this.#next = undefined;
      this.#enter(phase, nowMs);
      this.#state = 'steady';
      this.#retire = { phase: phase - 1, atMs: nowMs + OVERLAP_MS };
      return [
        this.#table({ kind: 'sessionTxKey', session: this.#options.session, phase, tx }),
        { kind: 'keepalive' },
      ];
    }
    if (this.#state === 'confirming' && isPhase(wirePhase, this.#phase)) {
      this.#state = 'steady';
      this.#nextRepeatMs = Number.POSITIVE_INFINITY;
      this.#retire = { phase: this.#phase - 1, atMs: nowMs + OVERLAP_MS };
    }
    return [];
  }

  onDeadline(nowMs: number): RekeyAction[] {
    if (nowMs >= this.#keysAtMs + REJECT_AFTER_MS) return [{ kind: 'expire' }];
    const actions: RekeyAction[] = [];
    if (this.#retire && nowMs >= this.#retire.atMs) actions.push(...this.#retireNow());
    if (nowMs >= this.#renewAtMs) {
      this.#renewAtMs = nowMs + RENEW_RESPONDER_AFTER_MS - RENEW_AFTER_MS;
      actions.push({ kind: 'renew' });
    }
    if (this.#state === 'steady' && this.#options.isInitiator && nowMs >= this.#beginAtMs) {
      actions.push(...this.#begin(nowMs));
    } else if (nowMs >= this.#nextRepeatMs) {
      this.#repeats += 1;
      this.#armRepeat(nowMs);
      if (this.#state === 'asking' && this.#asker) {
        actions.push({ kind: 'rekey1', body: this.#asker.request() });
      } else if (this.#state === 'confirming') {
        actions.push({ kind: 'keepalive' });
      }
    }
    return actions;
  }

  erase(): void {
    this.#asker?.erase();
    this.#answerer?.erase();
  }

  #begin(nowMs: number): RekeyAction[] {
    if (!this.#asker) return [];
    this.#state = 'asking';
    this.#startRepeats(nowMs);
    return [{ kind: 'rekey1', body: this.#asker.request() }];
  }

  #enter(phase: number, nowMs: number): void {
    this.#phase = phase;
    this.#keysAtMs = nowMs;
    this.#schedule(nowMs);
  }

  #schedule(nowMs: number): void {
    const jitter = 1 + (this.#rng.fraction() * 2 - 1) * REKEY_JITTER;
    this.#beginAtMs = nowMs + Math.round(this.#options.rekeyAfterMs * jitter);
    this.#renewAtMs =
      nowMs + (this.#options.isInitiator ? RENEW_AFTER_MS : RENEW_RESPONDER_AFTER_MS);
  }

  #startRepeats(nowMs: number): void {
    this.#repeats = 0;
    this.#armRepeat(nowMs);
  }

  #armRepeat(nowMs: number): void {
    const last = REKEY_REPEATS_MS.length - 1;
    const wait = REKEY_REPEATS_MS[Math.min(this.#repeats, last)] ?? 0;
    this.#nextRepeatMs = nowMs + wait;
  }

  #retireNow(): RekeyAction[] {
    if (!this.#retire) return [];
    const { phase } = this.#retire;
    this.#retire = undefined;
    return [this.#table({ kind: 'sessionRxRetire', session: this.#options.session, phase })];
  }

  #table(entry: TableEntry): RekeyAction {
    return { kind: 'table', entry };
  }
}

function isPhase(wirePhase: number, phase: number): boolean {
  return (wirePhase & 0xff) === (phase & 0xff);
}
