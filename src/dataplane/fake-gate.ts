import { createHash } from 'node:crypto';

import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';

/*
 * What the data plane does with strangers' datagrams before the control plane sees them: framing, version, mesh,
 * cookie, rates (docs/protocol.md §1, §2). Simplified in two ways: a resumption hint counts when it is known, its MAC is
 * not computed; buckets are plain counters that refill on a second's tick.
 */

const INIT = 1;
const RETRY = 4;
const REJECT = 5;
const HANDSHAKE_BYTES = 512;
const HINT_BYTES = 64;
const COOKIE_AT = 496;
const RESUME_AT = 472;
const INITS_PER_SECOND = 200;
const SOURCE_BURST = 5;
const SOURCE_REFILL_PER_SECOND = 0.2;
const NODE_BURST = 64;
const NODE_REFILL_PER_SECOND = 8;

export type GateVerdict =
  | { readonly kind: 'pass'; readonly hasCookie: boolean; readonly isResumed: boolean }
  | { readonly kind: 'answer'; readonly bytes: Uint8Array; readonly isOtherMesh: boolean }
  | { readonly kind: 'drop'; readonly reason: string };

export class FakeGate {
  readonly #meshId: Uint8Array;
  readonly #secret: Uint8Array;
  readonly #hints = new Set<string>();
  readonly #sources = new Map<string, number>();
  #node = NODE_BURST;
  #refilledMs = 0;
  #second = 0;
  #initsInSecond = 0;

  constructor(meshId: Uint8Array, secret: Uint8Array) {
    this.#meshId = meshId;
    this.#secret = secret;
  }

  addHint(hint: Uint8Array): void {
    this.#hints.add(hex(hint));
  }

  removeHint(hint: Uint8Array): void {
    this.#hints.delete(hex(hint));
  }

  returnToken(from: PathAddress): void {
    this.#sources.delete(sourceOf(from));
  }

  judge(from: PathAddress, bytes: Uint8Array, nowMs: number): GateVerdict {
    const type = bytes[0] ?? 0;
    const size = type >= RETRY ? HINT_BYTES : HANDSHAKE_BYTES;
    if (type < INIT || type > REJECT || bytes.length !== size) return drop('malformed');
    // A later one says what it can speak at most, and keeps our fields.
    if (type === INIT && bytes[1] === 0) return drop('version');
    if (type !== INIT) return { kind: 'pass', hasCookie: false, isResumed: false };
    return this.#judgeInit(from, bytes, nowMs);
  }

  #judgeInit(from: PathAddress, bytes: Uint8Array, nowMs: number): GateVerdict {
    this.#refill(nowMs);
    const sender = bytes.subarray(4, 8);
    if (hex(bytes.subarray(8, 24)) !== hex(this.#meshId)) {
      const answer = hint(REJECT, sender);
      answer.set(bytes.subarray(24, 40), 8);
      answer[24] = 1;
      return { kind: 'answer', bytes: answer, isOtherMesh: true };
    }
    this.#initsInSecond += 1;
    if (this.#initsInSecond > INITS_PER_SECOND) return drop('init rate');
    const isResumed = this.#hints.has(hex(bytes.subarray(RESUME_AT, RESUME_AT + 8)));
    const cookie = this.#cookie(from, sender);
    const hasCookie = hex(bytes.subarray(COOKIE_AT)) === hex(cookie);
    if (isResumed) return { kind: 'pass', hasCookie, isResumed };
    const source = this.#sources.get(sourceOf(from)) ?? SOURCE_BURST;
    if (!hasCookie) {
      if (this.#node < NODE_BURST / 2 || source < SOURCE_BURST) {
        const answer = hint(RETRY, sender);
        answer.set(cookie, 8);
        return { kind: 'answer', bytes: answer, isOtherMesh: false };
      }
      this.#sources.set(sourceOf(from), source - 1);
      return { kind: 'pass', hasCookie, isResumed };
    }
    if (source < 1 || this.#node < 1) return drop('guess tokens');
    this.#sources.set(sourceOf(from), source - 1);
    this.#node -= 1;
    return { kind: 'pass', hasCookie, isResumed };
  }

  #refill(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#initsInSecond = 0;
    this.#second = second;
    const seconds = (nowMs - this.#refilledMs) / 1000;
    this.#refilledMs = nowMs;
    this.#node = Math.min(NODE_BURST, this.#node + seconds * NODE_REFILL_PER_SECOND);
    for (const [source, tokens] of this.#sources) {
      const now = tokens + seconds * SOURCE_REFILL_PER_SECOND;
      if (now >= SOURCE_BURST) this.#sources.delete(source);
      else this.#sources.set(source, now);
    }
  }

  #cookie(from: PathAddress, sender: Uint8Array): Uint8Array {
    const hash = createHash('sha256')
      .update(this.#secret)
      .update(formatPathAddress(from))
      .update(sender);
    return new Uint8Array(hash.digest().subarray(0, 16));
  }
}

function hint(type: number, receiver: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HINT_BYTES);
  bytes[0] = type;
  bytes[1] = 1;
  bytes.set(receiver, 4);
  return bytes;
}

/** What counts as one source: an address, or a label. */
function sourceOf(from: PathAddress): string {
  return isEndpoint(from) ? from.address : formatPathAddress(from);
}

function drop(reason: string): GateVerdict {
  return { kind: 'drop', reason };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
