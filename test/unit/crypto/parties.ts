import assert from 'node:assert/strict';
import { seededRng, type Rng } from '../../../src/base/rng.js';
import {
  respondToInit,
  startInitiator,
  type HandshakeDone,
  type InitiatorHandshake,
  type InitiatorSecret,
  type LocalParty,
  type ResponderHandshake,
} from '../../../src/crypto/handshake.js';
import { generateIdentity } from '../../../src/crypto/identity.js';
import { meshIdOf } from '../../../src/crypto/mesh.js';
import { makeEndpoint, type Endpoint } from '../../../src/model/endpoint.js';

export const PRS = new Uint8Array(32).fill(1);
export const OTHER_PRS = new Uint8Array(32).fill(2);
export const INITIATOR_INDEX = 0x01020304;
export const RESPONDER_INDEX = 0x0a0b0c0d;

export function endpoint(address: string, port: number): Endpoint {
  const made = makeEndpoint(address, port);
  assert(made);
  return made;
}

/** Where each end sees the other's datagrams come from. */
export const FROM_INITIATOR = endpoint('192.0.2.1', 6783);
export const FROM_RESPONDER = endpoint('2001:db8::2', 6784);

export function party(rng: Rng, over: Partial<LocalParty> = {}): LocalParty {
  return {
    identity: generateIdentity(rng),
    meshId: meshIdOf('default'),
    instance: rng.bytes(8),
    suites: [2, 1, 4],
    maxDatagramBytes: 1472,
    capabilities: 5,
    ...over,
  };
}

export interface Two {
  readonly rng: Rng;
  readonly anna: LocalParty;
  readonly ben: LocalParty;
}

/** Anna dials Ben. */
export function twoParties(
  seed = 1,
  anna: Partial<LocalParty> = {},
  ben: Partial<LocalParty> = {},
): Two {
  const rng = seededRng(seed);
  return { rng, anna: party(rng, anna), ben: party(rng, ben) };
}

export function dial(two: Two, secret: Partial<InitiatorSecret> = {}): InitiatorHandshake {
  return startInitiator(two.anna, { prs: PRS, slot: 0, ...secret }, INITIATOR_INDEX, two.rng);
}

export function answer(
  two: Two,
  init: Uint8Array,
  secrets: { newest: Uint8Array; other?: Uint8Array } = { newest: PRS },
): ResponderHandshake {
  const answered = respondToInit(two.ben, secrets, init, RESPONDER_INDEX, FROM_INITIATOR, two.rng);
  assert(answered.ok, answered.ok ? '' : answered.reason);
  return answered.value;
}

/** A whole handshake that must succeed. */
export function complete(two: Two): { initiator: HandshakeDone; responder: HandshakeDone } {
  const dialled = dial(two);
  const answered = answer(two, dialled.init);
  const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
  assert(replied.ok, replied.ok ? '' : replied.reason);
  const finished = answered.onFin(replied.value.fin);
  assert(finished.ok, finished.ok ? '' : finished.reason);
  return { initiator: replied.value.done, responder: finished.value };
}

/** A copy with some bits of one byte changed. */
export function flipped(bytes: Uint8Array, at: number, mask = 0x01): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}

export function reasonOf(result: { ok: true } | { ok: false; reason: string }): string {
  return result.ok ? 'ok' : result.reason;
}
