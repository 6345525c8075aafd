import { utf8Bytes } from '../base/bytes.js';
import { fail, ok, type Result } from '../base/result.js';
import type { Rng } from '../base/rng.js';
import type { DirectionKey } from '../dataplane/dataplane.js';
import {
  decodeRekey1,
  decodeRekey2,
  encodeRekey1,
  encodeRekey2,
  MAX_PHASE,
  X25519_BYTES,
} from '../wire/control.js';
import { hkdfExtract, sha512 } from './hash.js';
import { expandDataKeys, type Role } from './key-schedule.js';
import { attempt, equalSecrets, sodium, wipe } from './sodium.js';

/*
 * Fresh keys inside a session (docs/protocol.md §3). Only the session's initiator asks; either message may be lost,
 * repeated or overtaken, and still no phase ever gets two keys:
 *
 *   RekeyInitiator                                RekeyResponder
 *   request() ── REKEY1{phase+1, x_i} ──►         onRequest(): new keys, installs rx; keeps the answer's bytes
 *       │  (same bytes until answered)
 *   onReply() ◄── REKEY2{phase+1, x_r, H(REKEY1)}  (same bytes for the same request)
 *   new keys, sends in the new phase ──────────►  first authentic packet of the phase: switches tx
 *
 * The responder moves on when it answers, the initiator when it is answered. A request two phases ahead cannot exist,
 * since it needs the answer to the one before. Timing and repetition are link's.
 */

/** Keys of one phase, seen from this end. They belong to the caller, who wipes them once installed. */
export interface RekeyKeys {
  readonly phase: number;
  readonly tx: DirectionKey;
  readonly rx: DirectionKey;
}

/**
 * `stale`: for a phase that is over, or unasked for; drop it. `changed`: same phase, other bytes: the peer is broken or
 * restored from a snapshot; drop it. `low order`: the DH came out as zero; close the session.
 */
export type RekeyRefusal = 'malformed' | 'stale' | 'changed' | 'ahead' | 'low order';

const LABEL = utf8Bytes('rekey');

/** The session initiator's half. Starts with the handshake's rekey secret, which it takes over and wipes. */
export class RekeyInitiator {
  /** Undefined once erased. */
  #secret: Uint8Array | undefined;
  #phase: number;
  #pending: { readonly x: Uint8Array; readonly request: Uint8Array } | undefined;

  constructor(rekeySecret: Uint8Array, phase = 0) {
    this.#secret = rekeySecret;
    this.#phase = phase;
  }

  /** Phase of the newest keys. */
  get phase(): number {
    return this.#phase;
  }

  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  /** REKEY1 for the next phase: the same bytes until it is answered. */
  request(rng: Rng): Uint8Array {
    if (!this.#secret) throw new Error('Rekey state is erased');
    if (!this.#pending) {
      const x = rng.bytes(X25519_BYTES);
      const request = encodeRekey1({
        phase: nextPhase(this.#phase),
        x: sodium.crypto_scalarmult_base(x),
      });
      this.#pending = { x, request };
    }
    return this.#pending.request;
  }

  onReply(reply: Uint8Array): Result<RekeyKeys, RekeyRefusal> {
    const parsed = decodeRekey2(reply);
    if (!parsed.ok) return fail('malformed');
    const { phase, x, request } = parsed.value;
    if (phase <= this.#phase || !this.#pending || !this.#secret) return fail('stale');
    if (phase !== this.#phase + 1) return fail('ahead');
    if (!equalSecrets(request, sha512(this.#pending.request))) return fail('changed');
    const next = derive(this.#secret, this.#pending.x, x, this.#pending.request, reply, phase);
    if (!next) return fail('low order');
    this.erase();
    this.#secret = next.rekeySecret;
    this.#phase = phase;
    return ok(keysOf('initiator', phase, next));
  }

  /** Wipes what is secret. Idempotent. */
  erase(): void {
    wipe(this.#secret, this.#pending?.x);
    this.#secret = undefined;
    this.#pending = undefined;
  }
}

/** The session responder's half. Starts with the handshake's rekey secret, which it takes over and wipes. */
export class RekeyResponder {
  /** Undefined once erased. */
  #secret: Uint8Array | undefined;
  #phase: number;
  #answered: { readonly request: Uint8Array; readonly reply: Uint8Array } | undefined;

  constructor(rekeySecret: Uint8Array, phase = 0) {
    this.#secret = rekeySecret;
    this.#phase = phase;
  }

  /** Phase of the newest keys. */
  get phase(): number {
    return this.#phase;
  }

  /** `reply` is sent each time; `keys` come once per phase, and their rx goes in before the reply goes out. */
  onRequest(
    request: Uint8Array,
    rng: Rng,
  ): Result<{ readonly reply: Uint8Array; readonly keys?: RekeyKeys }, RekeyRefusal> {
    const parsed = decodeRekey1(request);
    if (!parsed.ok) return fail('malformed');
    const { phase, x: peerX } = parsed.value;
    if (phase < this.#phase || !this.#secret) return fail('stale');
    if (phase === this.#phase) {
      if (!this.#answered) return fail('stale');
      const isSame = Buffer.compare(request, this.#answered.request) === 0;
      return isSame ? ok({ reply: this.#answered.reply }) : fail('changed');
    }
    if (phase !== this.#phase + 1) return fail('ahead');
    const x = rng.bytes(X25519_BYTES);
    const reply = encodeRekey2({
      phase,
      x: sodium.crypto_scalarmult_base(x),
      request: sha512(request),
    });
    const next = derive(this.#secret, x, peerX, request, reply, phase);
    wipe(x);
    if (!next) return fail('low order');
    this.erase();
    this.#secret = next.rekeySecret;
    this.#phase = phase;
    this.#answered = { request: request.slice(), reply };
    return ok({ reply, keys: keysOf('responder', phase, next) });
  }

  /** Wipes what is secret. Idempotent. */
  erase(): void {
    wipe(this.#secret);
    this.#secret = undefined;
  }
}

/** Expand(Extract(rekey_secret, DH || H(REKEY1) || H(REKEY2)), "rekey" || phase u32); undefined if the DH is all zero. */
function derive(
  rekeySecret: Uint8Array,
  x: Uint8Array,
  peerX: Uint8Array,
  request: Uint8Array,
  reply: Uint8Array,
  phase: number,
) {
  // libsodium refuses, by throwing, a product that is all zero.
  const dh = attempt(() => sodium.crypto_scalarmult(x, peerX));
  if (!dh) return undefined;
  const prk = hkdfExtract(rekeySecret, dh, sha512(request), sha512(reply));
  const phaseBytes = new Uint8Array(4);
  new DataView(phaseBytes.buffer).setUint32(0, phase, true);
  const keys = expandDataKeys(prk, [LABEL, phaseBytes]);
  wipe(dh, prk);
  return keys;
}

function keysOf(
  role: Role,
  phase: number,
  keys: { initiatorToResponder: DirectionKey; responderToInitiator: DirectionKey },
): RekeyKeys {
  const { initiatorToResponder, responderToInitiator } = keys;
  return role === 'initiator'
    ? { phase, tx: initiatorToResponder, rx: responderToInitiator }
    : { phase, tx: responderToInitiator, rx: initiatorToResponder };
}

/** 2³² phases are 16 000 years of rekeys. */
function nextPhase(phase: number): number {
  if (phase >= MAX_PHASE) throw new RangeError('Rekey phases are used up');
  return phase + 1;
}
