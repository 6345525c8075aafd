import { utf8Bytes } from '../base/bytes.js';
import type { DirectionKey } from '../dataplane/dataplane.js';
import { CONFIRM_BYTES, initTranscript, respThroughY } from '../wire/handshake.js';
import { hkdfExpand, hkdfExtract, hmacSha512, sha512 } from './hash.js';
import { wipe } from './sodium.js';

/*
 * What the transcript and the CPace key become (docs/protocol.md §2). Each stage binds everything sent before it:
 *
 *   INIT[0..472) RESP[0..48) ──► th1 ─┬─ Extract(th1, ISK) = prk1 ──► confirm_r, key of sealed_r
 *                confirm_r sealed_r ──┤
 *                FIN[0..12) ──► th2 ──┼─ Extract(th2, prk1) = prk2 ──► confirm_i, key of sealed_i
 *                confirm_i sealed_i ──┤
 *                              th3 ───┴─ Expand(prk2, … || th3)    ──► data keys, rekey_secret, pair_key
 */

/** A transcript hash and the secret extracted with it. */
export interface Stage {
  readonly th: Uint8Array;
  /** Secret: wiped by whoever holds the stage. */
  readonly prk: Uint8Array;
}

/** Which end of the handshake a confirmation, a sealed payload or a signature comes from. */
export type Role = 'initiator' | 'responder';

export interface SessionKeys {
  readonly initiatorToResponder: DirectionKey;
  readonly responderToInitiator: DirectionKey;
  readonly rekeySecret: Uint8Array /*64*/;
  readonly pairKey: Uint8Array /*32*/;
}

export const KEY_BYTES = 32;
export const IV_BYTES = 24;
export const REKEY_SECRET_BYTES = 64;

const LABELS = {
  confirm: { initiator: utf8Bytes('confirm i'), responder: utf8Bytes('confirm r') },
  id: { initiator: utf8Bytes('id i'), responder: utf8Bytes('id r') },
  data: utf8Bytes('data'),
  pair: utf8Bytes('pair'),
} as const;

/** th1, prk1. `resp`: at least RESP up to and with Y. */
export function firstStage(isk: Uint8Array, init: Uint8Array, resp: Uint8Array): Stage {
  const th = sha512(initTranscript(init), respThroughY(resp));
  return { th, prk: hkdfExtract(th, isk) };
}

/** th2, prk2. `finHead`: FIN[0..12). */
export function secondStage(
  first: Stage,
  confirm: Uint8Array,
  sealed: Uint8Array,
  finHead: Uint8Array,
): Stage {
  const th = sha512(first.th, confirm, sealed, finHead);
  return { th, prk: hkdfExtract(th, first.prk) };
}

/** Proof that `role` knows the password and saw this transcript. */
export function confirmation(stage: Stage, role: Role): Uint8Array {
  const key = hkdfExpand(stage.prk, [LABELS.confirm[role]], 64);
  const mac = hmacSha512(key, stage.th);
  wipe(key);
  return mac.slice(0, CONFIRM_BYTES);
}

/** Key that seals `role`'s payload, exactly once, with the zero nonce. */
export function payloadKey(stage: Stage, role: Role): Uint8Array {
  return hkdfExpand(stage.prk, [LABELS.id[role]], KEY_BYTES);
}

/** Everything a session starts with. `confirm` and `sealed` are the FIN's. */
export function sessionKeys(second: Stage, confirm: Uint8Array, sealed: Uint8Array): SessionKeys {
  const th3 = sha512(second.th, confirm, sealed);
  return {
    ...expandDataKeys(second.prk, [LABELS.data, th3]),
    pairKey: hkdfExpand(second.prk, [LABELS.pair, th3], KEY_BYTES),
  };
}

/** Keys and ivs of both directions and the next rekey secret, in wire order; handshake and rekey share it. */
export function expandDataKeys(
  prk: Uint8Array,
  info: readonly Uint8Array[],
): Omit<SessionKeys, 'pairKey'> {
  const okm = hkdfExpand(prk, info, 2 * (KEY_BYTES + IV_BYTES) + REKEY_SECRET_BYTES);
  let offset = 0;
  const take = (length: number) => okm.slice(offset, (offset += length));
  const keys = {
    initiatorToResponder: { key: take(KEY_BYTES), iv: take(IV_BYTES) },
    responderToInitiator: { key: take(KEY_BYTES), iv: take(IV_BYTES) },
    rekeySecret: take(REKEY_SECRET_BYTES),
  };
  wipe(okm);
  return keys;
}
