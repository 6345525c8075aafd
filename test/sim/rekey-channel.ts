import assert from 'node:assert/strict';

import { toHex } from '../../src/base/bytes.js';
import type { Rng } from '../../src/base/rng.js';
import { makeRekeyCrypto } from '../../src/daemon/link-crypto.js';
import type { DirectionKey, TableEntry } from '../../src/dataplane/dataplane.js';
import { Rekey, type RekeyAction } from '../../src/link/rekey.js';

/*
 * Both ends of one session's rekeying, with the real keys, over a channel that loses, repeats and overtakes:
 *
 *     Rekey (initiator) ─ keys of one session ─┐   ┌─ keys of one session ─ Rekey (responder)
 *                                        ~ sealed in the newest tx phase ~
 *
 * The keys are held as the data plane holds them: two places for rx, chosen by the phase's last bit; the wire carries
 * the phase's low byte. There is no replay window: what is repeated arrives again. Every rule about keys is asserted
 * where a key moves, so that a broken one shows at its cause.
 */

export interface ChannelOptions {
  readonly rekeyAfterMs: number;
  /** Shares of what is sent. */
  readonly loss: number;
  readonly repeats: number;
  readonly delayMs: number;
  readonly jitterMs: number;
  /** How often each side's counters come near their limit; Infinity: never. */
  readonly limitEveryMs: number;
}

type Message = 'data' | 'keepalive' | 'ask' | 'rekey1' | 'rekey2';

interface Sealed {
  readonly wirePhase: number;
  readonly key: string;
  readonly message: Message;
  readonly body: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const DATA_EVERY_MS = 150;
const SESSION = 5;

class End {
  readonly rekey: Rekey;
  /** As the data plane: at the place of the phase's last bit. */
  readonly #rx: ({ phase: number; key: string; isConfirmed: boolean } | undefined)[] = [];
  readonly #everRx = new Map<number, string>();
  readonly #everTx = new Map<number, string>();
  tx = { phase: 0, key: '' };
  /** Of a phase that is over. Authentic or nothing: another key for a phase fails at once. */
  unreadable = 0;
  read = 0;

  constructor(rekey: Rekey, rx: string, tx: string) {
    this.rekey = rekey;
    this.#rx[0] = { phase: 0, key: rx, isConfirmed: false };
    this.tx = { phase: 0, key: tx };
    this.#everRx.set(0, rx);
    this.#everTx.set(0, tx);
  }

  /** Every phase this end ever had, oldest first, with its keys. */
  get history(): {
    readonly rx: ReadonlyMap<number, string>;
    readonly tx: ReadonlyMap<number, string>;
  } {
    return { rx: this.#everRx, tx: this.#everTx };
  }

  reads(phase: number): boolean {
    return this.#rx[phase & 1]?.phase === phase;
  }

  apply(entry: TableEntry): void {
    switch (entry.kind) {
      case 'sessionRxKey': {
        const { phase } = entry;
        assert.ok(!this.#everRx.has(phase), `rx of phase ${phase} is installed twice`);
        assert.ok(this.#everRx.has(phase - 1), `rx of phase ${phase} comes out of turn`);
        const place = this.#rx[phase & 1];
        assert.equal(place, undefined, `rx of phase ${phase} overwrites one in use`);
        assert.ok(this.tx.phase >= phase - 1, `rx of phase ${phase} while tx is two behind`);
        const key = textOf(entry.rx);
        this.#everRx.set(phase, key);
        this.#rx[phase & 1] = { phase, key, isConfirmed: false };
        break;
      }
      case 'sessionTxKey': {
        const { phase } = entry;
        assert.ok(!this.#everTx.has(phase), `tx of phase ${phase} is installed twice`);
        assert.equal(phase, this.tx.phase + 1, 'tx phases follow one another');
        assert.ok(this.reads(phase), `sends in phase ${phase} before it reads it`);
        this.tx = { phase, key: textOf(entry.tx) };
        this.#everTx.set(phase, this.tx.key);
        break;
      }
      case 'sessionRxRetire':
        assert.ok(this.reads(entry.phase), `rx of phase ${entry.phase} is retired in vain`);
        assert.ok(this.tx.phase > entry.phase, 'a phase in use is retired');
        this.#rx[entry.phase & 1] = undefined;
        break;
      default:
        assert.fail(`A rekey has no business with ${entry.kind}`);
    }
  }

  /** @returns whether it was read, and whether it is the first of its phase. */
  open(sealed: Sealed): 'first' | 'more' | 'unreadable' {
    const rx = this.#rx[sealed.wirePhase & 1];
    if (!rx || (rx.phase & 0xff) !== sealed.wirePhase) {
      this.unreadable += 1;
      return 'unreadable';
    }
    assert.equal(rx.key, sealed.key, `two keys for phase ${rx.phase}`);
    this.read += 1;
    if (rx.isConfirmed) return 'more';
    rx.isConfirmed = true;
    return 'first';
  }
}

export class RekeyChannel {
  readonly initiator: End;
  readonly responder: End;
  readonly #rng: Rng;
  #options: ChannelOptions;
  #nowMs = 0;
  /** By time; ties in the order of sending. */
  readonly #due: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(rng: Rng, options: ChannelOptions) {
    this.#rng = rng;
    this.#options = options;
    const make = (isInitiator: boolean) =>
      new Rekey(makeRekeyCrypto(rng), rng, new Uint8Array(64).fill(7), {
        session: SESSION,
        isInitiator,
        rekeyAfterMs: options.rekeyAfterMs,
        nowMs: 0,
      });
    this.initiator = new End(make(true), 'r>i 0', 'i>r 0');
    this.responder = new End(make(false), 'i>r 0', 'r>i 0');
    for (const end of [this.initiator, this.responder]) {
      this.#every(DATA_EVERY_MS, () => {
        this.#send(end, 'data');
      });
      if (options.limitEveryMs !== Number.POSITIVE_INFINITY) {
        this.#every(options.limitEveryMs, () => {
          this.#perform(end, end.rekey.onLimit(this.#nowMs));
        });
      }
    }
  }

  /** From here on everything arrives, once and in order. */
  heal(): void {
    this.#options = { ...this.#options, loss: 0, repeats: 0, jitterMs: 0 };
  }

  /** Both steady in the same phase, reading what the other sends. */
  get isConverged(): boolean {
    const { initiator: i, responder: r } = this;
    return (
      i.rekey.state === 'steady' &&
      r.rekey.state === 'steady' &&
      i.tx.phase === r.tx.phase &&
      i.rekey.phase === r.rekey.phase
    );
  }

  /** @returns whether it was done within `forMs`. */
  runUntil(isDone: () => boolean, forMs: number): boolean {
    const endMs = this.#nowMs + forMs;
    while (!isDone()) {
      const ends = [this.initiator, this.responder];
      const first = ends.reduce((a, b) =>
        b.rekey.nextDeadlineMs < a.rekey.nextDeadlineMs ? b : a,
      );
      const deadlineMs = first.rekey.nextDeadlineMs;
      const next = this.#due[0];
      const atMs = Math.max(this.#nowMs, Math.min(deadlineMs, next?.atMs ?? deadlineMs));
      if (atMs > endMs) {
        this.#nowMs = endMs;
        return isDone();
      }
      this.#nowMs = atMs;
      if (next && next.atMs <= deadlineMs) {
        this.#due.shift();
        next.run();
      } else {
        this.#perform(first, first.rekey.onDeadline(atMs));
        assert.ok(first.rekey.nextDeadlineMs > atMs, 'a deadline stays due');
      }
    }
    return true;
  }

  #every(meanMs: number, what: () => void): void {
    const next = (): void => {
      this.#at(meanMs * (0.5 + this.#rng.fraction()), () => {
        what();
        next();
      });
    };
    next();
  }

  #at(delayMs: number, run: () => void): void {
    const atMs = this.#nowMs + delayMs;
    let index = this.#due.length;
    while (index > 0 && (this.#due[index - 1]?.atMs ?? 0) > atMs) index -= 1;
    this.#due.splice(index, 0, { atMs, run });
  }

  #perform(end: End, actions: readonly RekeyAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'table':
          end.apply(action.entry);
          break;
        case 'rekey1':
        case 'rekey2':
          this.#send(end, action.kind, action.body);
          break;
        case 'keepalive':
        case 'ask':
          this.#send(end, action.kind);
          break;
        default:
          assert.fail(`${action.kind} after ${this.#nowMs} ms`);
      }
    }
  }

  #send(from: End, message: Message, body: Uint8Array = NOTHING): void {
    const { phase, key } = from.tx;
    const sealed = { wirePhase: phase & 0xff, key, message, body };
    const to = from === this.initiator ? this.responder : this.initiator;
    const { loss, repeats, delayMs, jitterMs } = this.#options;
    if (this.#rng.fraction() < loss) return;
    const copies = this.#rng.fraction() < repeats ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#at(delayMs + this.#rng.fraction() * jitterMs, () => {
        this.#arrive(to, sealed);
      });
    }
  }

  #arrive(at: End, sealed: Sealed): void {
    const opened = at.open(sealed);
    if (opened === 'unreadable') return;
    const now = this.#nowMs;
    if (opened === 'first') this.#perform(at, at.rekey.onPhaseConfirmed(sealed.wirePhase, now));
    if (sealed.message === 'ask') this.#perform(at, at.rekey.onLimit(now));
    if (sealed.message === 'rekey1') this.#perform(at, at.rekey.onRekey1(sealed.body));
    if (sealed.message === 'rekey2') this.#perform(at, at.rekey.onRekey2(sealed.body, now));
  }
}

function textOf({ key, iv }: DirectionKey): string {
  return `${toHex(key)} ${toHex(iv)}`;
}
