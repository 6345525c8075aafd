import { toHex } from '../base/bytes.js';
import type { Result } from '../base/result.js';
import type { Rng } from '../base/rng.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import {
  decodeRelayAlloc,
  decodeRelayFree,
  decodeRelayGone,
  decodeRelayOk,
  encodeRelayAlloc,
  encodeRelayFree,
  encodeRelayGone,
  encodeRelayOk,
  MAX_RELAYS,
  type RelayAlloc,
} from '../wire/relay.js';

/*
 * Ways through relays (docs/protocol.md §7). Each node on a way owns one label per neighbour on it:
 *
 *   origin [a] ── B [b1|b2] ── target [c]        b1: what comes from A goes on to C; b2: and back
 *
 *   asking ── RELAY_OK ──► up ── RELAY_GONE, RELAY_FREE, neighbour lost, idle 5 min ──► gone
 *      └── repeated at 250, 500, 1000, 2000 ms, then ──► gone
 *
 * A way's middle repeats nothing by itself: the origin's repetition travels through. A label dies with the session of
 * its neighbour, and takes the other half of its pair with it.
 */

/** Requests of one neighbour. */
const LABELS_PER_NEIGHBOUR = 64;
/** Labels of all neighbours; the data plane's table has twice as many places, for those that come and go at once. */
const LABELS_IN_ALL = 8192;
const ALLOCS_PER_SECOND = 20;
const REPEATS_MS = [250, 500, 1000, 2000] as const;
const GIVE_UP_MS = 4000;
const IDLE_MS = 300_000;
const IDLE_CHECK_MS = 10_000;

/** What the machine asks about neighbours. */
export interface NeighbourView {
  /** Frames and messages get there now, and not through another relay. */
  isNeighbour(peer: PeerId): boolean;
}

export type RelayAction =
  | {
      readonly kind: 'send';
      readonly peer: PeerId;
      readonly type: number;
      readonly body: Uint8Array;
    }
  /** Into the tables of the data plane; `peer` becomes its slot. */
  | {
      readonly kind: 'labelSet';
      readonly label: number;
      readonly peer: PeerId;
      readonly outLabel: number;
      readonly forward: number;
    }
  | { readonly kind: 'labelRemove'; readonly label: number }
  /** A way we asked for stands. */
  | { readonly kind: 'wayUp'; readonly way: Way }
  | { readonly kind: 'wayDown'; readonly way: Way; readonly reason: string }
  /** A way of `origin` to us stands, by the word of `via`, our neighbour on it; it ends under `label`. */
  | {
      readonly kind: 'arrivalUp';
      readonly origin: PeerId;
      readonly via: PeerId;
      readonly label: number;
    }
  | { readonly kind: 'arrivalGone'; readonly origin: PeerId; readonly label: number };

/** A way of ours to `target` through `via`, nearest relay first. */
export interface Way {
  readonly target: PeerId;
  readonly via: readonly PeerId[];
  /** Ours: the path's address. */
  readonly label: number;
}

interface Label {
  readonly label: number;
  readonly peer: PeerId;
  outLabel: number;
  /** Other half of the pair at a relay; 0: ends here. */
  forward: number;
  /** The data plane has it. */
  isTold: boolean;
  lastUsedMs: number;
  datagrams: bigint;
  /** Set where we are the origin. */
  way: Way | undefined;
  /** Who asked for it: a peer that was answered, by request. */
  readonly askedBy: string | undefined;
  /** Set where we are the target. */
  origin: PeerId | undefined;
}

/** A request of ours to a neighbour, for ourselves or for `upstream`. */
interface Ask {
  readonly request: Uint8Array;
  readonly label: Label;
  readonly alloc: RelayAlloc;
  readonly startedAtMs: number;
  sent: number;
  nextAtMs: number;
  readonly upstream:
    { readonly peer: PeerId; readonly request: Uint8Array; readonly label: Label } | undefined;
}

export interface RelaysOptions {
  readonly ownId: PeerId;
  /** Carries the traffic of others. */
  readonly isRelay: boolean;
}

export class Relays {
  readonly #rng: Rng;
  readonly #view: NeighbourView;
  readonly #options: RelaysOptions;
  readonly #labels = new Map<number, Label>();
  readonly #asks = new Map<string, Ask>();
  /** Requests answered or under way, by neighbour and request id, to our label towards the asker. */
  readonly #answered = new Map<string, number>();
  readonly #rates = new Map<PeerId, TokenBucket>();
  #idleCheckMs = 0;

  constructor(
    components: { readonly rng: Rng; readonly view: NeighbourView },
    options: RelaysOptions,
  ) {
    this.#rng = components.rng;
    this.#view = components.view;
    this.#options = options;
  }

  get ways(): readonly Way[] {
    const ways: Way[] = [];
    for (const { way, outLabel } of this.#labels.values())
      if (way && outLabel !== 0) ways.push(way);
    return ways;
  }

  /** Pairs of others that go through this node. */
  get carried(): number {
    let halves = 0;
    for (const { forward } of this.#labels.values()) if (forward !== 0) halves += 1;
    return halves / 2;
  }

  get nextDeadlineMs(): number {
    let next = this.#labels.size > 0 ? this.#idleCheckMs : Number.POSITIVE_INFINITY;
    for (const ask of this.#asks.values()) next = Math.min(next, ask.nextAtMs);
    return next;
  }

  /** Our way under this label, when it is one. */
  wayOf(label: number): Way | undefined {
    return this.#labels.get(label)?.way;
  }

  /** Does anything of ours, or of others, go through this neighbour or come from it? */
  isUsing(peer: PeerId): boolean {
    for (const label of this.#labels.values()) if (label.peer === peer) return true;
    return false;
  }

  /** The neighbour from which datagrams come under this label. */
  neighbourOf(label: number): PeerId | undefined {
    return this.#labels.get(label)?.peer;
  }

  /**
   * Asks for a way; `wayUp` or `wayDown` follows. One that is asked for or stands already is not asked for twice.
   * @returns its label; undefined: not asked for.
   */
  request(
    target: PeerId,
    via: readonly PeerId[],
    nowMs: number,
    out: RelayAction[],
  ): number | undefined {
    const [first, ...rest] = via;
    if (first === undefined || via.length > MAX_RELAYS) return undefined;
    if (!this.#view.isNeighbour(first) || this.#labels.size >= LABELS_IN_ALL) return undefined;
    const key = via.join();
    for (const { way } of this.#labels.values()) {
      if (way?.target === target && way.via.join() === key) return undefined;
    }
    const label = this.#addLabel(first, undefined, nowMs, out);
    label.way = { target, via, label: label.label };
    const alloc = { origin: this.#options.ownId, target, via: rest, label: label.label };
    this.#ask(label, alloc, undefined, nowMs, out);
    return label.label;
  }

  /** Ends a way of ours. */
  free(label: number, nowMs: number, out: RelayAction[]): void {
    const known = this.#labels.get(label);
    if (known?.way) this.#drop(known, 'not needed', 'tell', nowMs, out);
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, nowMs: number, out: RelayAction[]): void {
    switch (type) {
      case CONTROL.RELAY_ALLOC:
        take(decodeRelayAlloc(body), (alloc) => {
          this.#onAlloc(peer, alloc, nowMs, out);
        });
        break;
      case CONTROL.RELAY_OK:
        take(decodeRelayOk(body), ({ request, label }) => {
          this.#onOk(peer, request, label, nowMs, out);
        });
        break;
      case CONTROL.RELAY_FREE:
        take(decodeRelayFree(body), (label) => {
          const known = this.#labels.get(label);
          if (known?.peer === peer)
            this.#drop(known, 'the other end let it go', 'pass', nowMs, out);
        });
        break;
      case CONTROL.RELAY_GONE:
        take(decodeRelayGone(body), ({ label, request, reason }) => {
          this.#onGone(peer, label, request, reason, nowMs, out);
        });
        break;
      default:
        break;
    }
  }

  /** A neighbour cannot be reached directly any more, or is another process now: its labels mean nothing to it. */
  onNeighbourLost(peer: PeerId, nowMs: number, out: RelayAction[]): void {
    for (const label of [...this.#labels.values()]) {
      if (label.peer === peer && this.#labels.has(label.label)) {
        this.#drop(label, 'the relay is not reachable', 'pass', nowMs, out);
      }
    }
    this.#rates.delete(peer);
  }

  /** The data plane got a datagram under a label nobody has. */
  onUnknownLabel(peer: PeerId, label: number, out: RelayAction[]): void {
    const body = encodeRelayGone({ label, request: undefined, reason: 'unknown label' });
    out.push({ kind: 'send', peer, type: CONTROL.RELAY_GONE, body });
  }

  onDeadline(nowMs: number, received: () => ReadonlyMap<number, bigint>, out: RelayAction[]): void {
    for (const [key, ask] of this.#asks) {
      if (nowMs < ask.nextAtMs) continue;
      if (nowMs >= ask.startedAtMs + GIVE_UP_MS) {
        this.#asks.delete(key);
        this.#drop(ask.label, 'no answer', 'pass', nowMs, out);
      } else this.#sendAsk(ask, nowMs, out);
    }
    if (nowMs >= this.#idleCheckMs && this.#labels.size > 0) this.#dropIdle(nowMs, received(), out);
  }

  #dropIdle(nowMs: number, received: ReadonlyMap<number, bigint>, out: RelayAction[]): void {
    this.#idleCheckMs = nowMs + IDLE_CHECK_MS;
    for (const label of this.#labels.values()) {
      const datagrams = received.get(label.label) ?? 0n;
      if (datagrams !== label.datagrams) label.lastUsedMs = nowMs;
      label.datagrams = datagrams;
    }
    for (const label of [...this.#labels.values()]) {
      const other = this.#labels.get(label.forward);
      const lastMs = Math.max(label.lastUsedMs, other?.lastUsedMs ?? 0);
      if (nowMs - lastMs >= IDLE_MS && this.#labels.has(label.label)) {
        this.#drop(label, 'idle', 'tell', nowMs, out);
      }
    }
  }

  #onAlloc(peer: PeerId, alloc: RelayAlloc, nowMs: number, out: RelayAction[]): void {
    const key = askKey(peer, alloc.request);
    const before = this.#labels.get(this.#answered.get(key) ?? 0);
    if (before) {
      // A repetition: the answer again, when there is one.
      if (this.#isComplete(before)) this.#answer(peer, alloc.request, before.label, out);
      return;
    }
    const refusal = this.#refusalOf(peer, alloc, nowMs);
    if (refusal !== undefined) {
      const body = encodeRelayGone({ label: 0, request: alloc.request, reason: refusal });
      out.push({ kind: 'send', peer, type: CONTROL.RELAY_GONE, body });
      return;
    }
    const label = this.#addLabel(peer, key, nowMs, out);
    label.outLabel = alloc.label;
    this.#answered.set(key, label.label);
    if (alloc.target === this.#options.ownId) {
      label.origin = alloc.origin;
      this.#tell(label, out);
      this.#answer(peer, alloc.request, label.label, out);
      out.push({ kind: 'arrivalUp', origin: alloc.origin, via: peer, label: label.label });
      return;
    }
    const [next = alloc.target, ...rest] = alloc.via;
    const ahead = this.#addLabel(next, undefined, nowMs, out);
    label.forward = ahead.label;
    ahead.forward = label.label;
    const { origin, target } = alloc;
    const upstream = { peer, request: alloc.request, label };
    this.#ask(ahead, { origin, target, via: rest, label: ahead.label }, upstream, nowMs, out);
  }

  #refusalOf(peer: PeerId, alloc: RelayAlloc, nowMs: number): string | undefined {
    const { ownId, isRelay } = this.#options;
    let rate = this.#rates.get(peer);
    if (!rate)
      this.#rates.set(peer, (rate = new TokenBucket(ALLOCS_PER_SECOND, ALLOCS_PER_SECOND)));
    if (!rate.take(nowMs)) return 'too many requests';
    if (alloc.origin === ownId) return 'that is a loop';
    if (!this.#view.isNeighbour(peer)) return 'you are not reached directly from here';
    let count = 0;
    for (const label of this.#labels.values()) if (label.peer === peer && label.askedBy) count += 1;
    const isFull = this.#labels.size + 2 > LABELS_IN_ALL;
    if (isFull || count >= LABELS_PER_NEIGHBOUR) return 'too many labels';
    if (alloc.target === ownId) return undefined;
    if (!isRelay) return 'this node does not relay';
    const next = alloc.via[0] ?? alloc.target;
    if (next === peer || next === ownId) return 'that is a loop';
    return this.#view.isNeighbour(next) ? undefined : 'the next node is not reachable from here';
  }

  #onOk(
    peer: PeerId,
    request: Uint8Array,
    outLabel: number,
    nowMs: number,
    out: RelayAction[],
  ): void {
    const key = askKey(peer, request);
    const ask = this.#asks.get(key);
    if (!ask) return;
    this.#asks.delete(key);
    const { label, upstream } = ask;
    label.outLabel = outLabel;
    label.lastUsedMs = nowMs;
    if (upstream) {
      // Both halves in one batch: each names the other.
      this.#tell(upstream.label, out);
      this.#tell(label, out);
      this.#answer(upstream.peer, upstream.request, upstream.label.label, out);
      return;
    }
    this.#tell(label, out);
    if (label.way) out.push({ kind: 'wayUp', way: label.way });
  }

  #onGone(
    peer: PeerId,
    theirLabel: number,
    request: Uint8Array | undefined,
    reason: string,
    nowMs: number,
    out: RelayAction[],
  ): void {
    const ask = request && this.#asks.get(askKey(peer, request));
    if (ask) {
      this.#asks.delete(askKey(peer, ask.request));
      this.#drop(ask.label, reason, 'pass', nowMs, out);
      return;
    }
    if (theirLabel === 0) return;
    for (const label of this.#labels.values()) {
      if (label.peer !== peer || label.outLabel !== theirLabel) continue;
      this.#drop(label, reason, 'pass', nowMs, out);
      return;
    }
  }

  #addLabel(peer: PeerId, askedBy: string | undefined, nowMs: number, out: RelayAction[]): Label {
    let value = 0;
    while (value === 0 || this.#labels.has(value)) {
      const bytes = this.#rng.bytes(4);
      value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    }
    if (this.#labels.size === 0) this.#idleCheckMs = nowMs + IDLE_CHECK_MS;
    const label: Label = {
      label: value,
      peer,
      outLabel: 0,
      forward: 0,
      isTold: false,
      lastUsedMs: nowMs,
      datagrams: 0n,
      way: undefined,
      askedBy,
      origin: undefined,
    };
    this.#labels.set(value, label);
    // What is on its way before the answer must not look unknown.
    if (askedBy === undefined) this.#tell(label, out);
    return label;
  }

  #tell(told: Label, out: RelayAction[]): void {
    const { label, peer, outLabel, forward } = told;
    told.isTold = true;
    const known = this.#labels.get(forward);
    const isWhole = known !== undefined && known.outLabel !== 0 && outLabel !== 0;
    out.push({ kind: 'labelSet', label, peer, outLabel, forward: isWhole ? forward : 0 });
  }

  #isComplete(label: Label): boolean {
    if (label.forward === 0) return true;
    return (this.#labels.get(label.forward)?.outLabel ?? 0) !== 0;
  }

  #ask(
    label: Label,
    about: Omit<RelayAlloc, 'request'>,
    upstream: Ask['upstream'],
    nowMs: number,
    out: RelayAction[],
  ): void {
    const request = this.#rng.bytes(8);
    const alloc = { ...about, request };
    const ask = { request, label, alloc, startedAtMs: nowMs, sent: 0, nextAtMs: nowMs, upstream };
    this.#asks.set(askKey(label.peer, request), ask);
    this.#sendAsk(ask, nowMs, out);
  }

  #sendAsk(ask: Ask, nowMs: number, out: RelayAction[]): void {
    const wait = REPEATS_MS[ask.sent] ?? GIVE_UP_MS;
    ask.sent += 1;
    ask.nextAtMs = Math.min(nowMs + wait, ask.startedAtMs + GIVE_UP_MS);
    const body = encodeRelayAlloc(ask.alloc);
    out.push({ kind: 'send', peer: ask.label.peer, type: CONTROL.RELAY_ALLOC, body });
  }

  #answer(peer: PeerId, request: Uint8Array, label: number, out: RelayAction[]): void {
    const body = encodeRelayOk({ request, label });
    out.push({ kind: 'send', peer, type: CONTROL.RELAY_OK, body });
  }

  /**
   * Takes a label and its other half away. 'tell': the neighbour of this one is told too; 'pass': it said so itself or
   * is gone, only the other half's is.
   */
  #drop(
    label: Label,
    reason: string,
    how: 'tell' | 'pass',
    nowMs: number,
    out: RelayAction[],
  ): void {
    const other = this.#labels.get(label.forward);
    this.#remove(label, out);
    if (how === 'tell') this.#sayFree(label, out);
    const { way, origin } = label;
    if (way) out.push({ kind: 'wayDown', way, reason });
    if (origin !== undefined) out.push({ kind: 'arrivalGone', origin, label: label.label });
    if (!other) return;
    this.#remove(other, out);
    if (label.outLabel === 0 && other.askedBy !== undefined) {
      // Its request was never answered: refused with the reason.
      const request = Buffer.from(other.askedBy.split(' ')[1] ?? '', 'hex');
      const body = encodeRelayGone({ label: 0, request, reason: printable(reason) });
      out.push({ kind: 'send', peer: other.peer, type: CONTROL.RELAY_GONE, body });
    } else this.#sayFree(other, out);
  }

  #sayFree(label: Label, out: RelayAction[]): void {
    if (label.outLabel === 0 || !this.#view.isNeighbour(label.peer)) return;
    const body = encodeRelayFree(label.outLabel);
    out.push({ kind: 'send', peer: label.peer, type: CONTROL.RELAY_FREE, body });
  }

  #remove(label: Label, out: RelayAction[]): void {
    this.#labels.delete(label.label);
    if (label.askedBy !== undefined) this.#answered.delete(label.askedBy);
    for (const [key, ask] of this.#asks) if (ask.label === label) this.#asks.delete(key);
    if (label.isTold) out.push({ kind: 'labelRemove', label: label.label });
  }
}

function askKey(peer: PeerId, request: Uint8Array): string {
  return `${peer} ${toHex(request)}`;
}

/** Text that came from a neighbour, cut to what the next one accepts. */
function printable(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 64);
}

function take<T>(result: Result<T>, use: (value: T) => void): void {
  if (result.ok) use(result.value);
}
