import type {
  CipherSuite,
  DirectionKey,
  PeerSlot,
  SessionCounters,
  SessionIndex,
} from './dataplane.js';
import type { FakeFlood } from './fake-flood-tree.js';

/*
 * Sessions of the fake: nothing is encrypted, but a datagram opens only where its key and iv are the rx key of that
 * session and phase, and only once.
 */

/** What is inside a sealed datagram. */
export type FakeBody =
  | { readonly kind: 'frame'; readonly network: number; readonly frame: Uint8Array }
  | { readonly kind: 'control'; readonly type: number; readonly body: Uint8Array }
  | FakeFlood
  | { readonly kind: 'keepalive' }
  | { readonly kind: 'ping'; readonly path: number; readonly seq: number }
  | {
      readonly kind: 'pong';
      readonly path: number;
      readonly seq: number;
      readonly observed: string;
    };

export interface Sealed {
  readonly receiverIndex: SessionIndex;
  /** Low 8 bits. */
  readonly phase: number;
  readonly counter: number;
  readonly key: string;
  readonly body: FakeBody;
}

export type OpenOutcome =
  | {
      readonly kind: 'opened';
      /** Newer than everything before: its source is where the peer is now. */
      readonly isNewest: boolean;
      readonly isFirstOfPhase: boolean;
      readonly phase: number;
    }
  | { readonly kind: 'refused'; readonly reason: 'forged' | 'replayed' | 'unknown phase' };

interface RxPhase {
  readonly phase: number;
  readonly key: string;
  readonly seen: Set<number>;
}

export class FakeSession {
  readonly index: SessionIndex;
  readonly peer: PeerSlot;
  readonly remoteIndex: number;
  readonly suite: CipherSuite;
  #tx: { phase: number; key: string; counter: number };
  #rx: RxPhase[];
  #newestPhase = -1;
  #newestCounter = -1;
  #txPackets = 0n;
  #txBytes = 0n;
  #rxPackets = 0n;
  #rxBytes = 0n;
  #forged = 0n;
  #replayed = 0n;
  #lastRxMs = 0;

  constructor(
    entry: { session: SessionIndex; peer: PeerSlot; remoteIndex: number; suite: CipherSuite },
    rx: DirectionKey,
    tx: DirectionKey,
  ) {
    this.index = entry.session;
    this.peer = entry.peer;
    this.remoteIndex = entry.remoteIndex;
    this.suite = entry.suite;
    this.#tx = { phase: 0, key: keyText(tx), counter: 0 };
    this.#rx = [{ phase: 0, key: keyText(rx), seen: new Set() }];
  }

  get rxPhases(): readonly number[] {
    return this.#rx.map((rx) => rx.phase);
  }

  setRx(phase: number, key: DirectionKey): void {
    this.#rx.push({ phase, key: keyText(key), seen: new Set() });
    if (this.#rx.length > 2) this.#rx.shift();
  }

  setTx(phase: number, key: DirectionKey): void {
    this.#tx = { phase, key: keyText(key), counter: 0 };
  }

  retireRx(phase: number): void {
    this.#rx = this.#rx.filter((rx) => rx.phase !== phase);
  }

  seal(body: FakeBody, bytes: number): Sealed {
    this.#tx.counter += 1;
    this.#txPackets += 1n;
    this.#txBytes += BigInt(bytes);
    return {
      receiverIndex: this.remoteIndex,
      phase: this.#tx.phase & 0xff,
      counter: this.#tx.counter,
      key: this.#tx.key,
      body,
    };
  }

  open(sealed: Sealed, bytes: number, nowMs: number): OpenOutcome {
    const rx = this.#rx.find((phase) => (phase.phase & 0xff) === sealed.phase);
    if (!rx) return { kind: 'refused', reason: 'unknown phase' };
    if (rx.seen.has(sealed.counter)) {
      this.#replayed += 1n;
      return { kind: 'refused', reason: 'replayed' };
    }
    if (rx.key !== sealed.key) {
      this.#forged += 1n;
      return { kind: 'refused', reason: 'forged' };
    }
    const isFirstOfPhase = rx.seen.size === 0;
    rx.seen.add(sealed.counter);
    this.#rxPackets += 1n;
    this.#rxBytes += BigInt(bytes);
    this.#lastRxMs = nowMs;
    const isNewest =
      rx.phase > this.#newestPhase ||
      (rx.phase === this.#newestPhase && sealed.counter > this.#newestCounter);
    if (isNewest) {
      this.#newestPhase = rx.phase;
      this.#newestCounter = sealed.counter;
    }
    return { kind: 'opened', isNewest, isFirstOfPhase, phase: rx.phase };
  }

  counters(): SessionCounters {
    return {
      session: this.index,
      txPackets: this.#txPackets,
      txBytes: this.#txBytes,
      rxPackets: this.#rxPackets,
      rxBytes: this.#rxBytes,
      forged: this.#forged,
      replayed: this.#replayed,
      tapRefused: 0n,
      lastRxMs: this.#lastRxMs,
    };
  }
}

function keyText(key: DirectionKey): string {
  return Buffer.from(key.key).toString('hex') + Buffer.from(key.iv).toString('hex');
}
