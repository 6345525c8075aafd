import { fail, ok, type Result } from '../base/result.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import { isBytes, isU32, ownBytes, unpackArray, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';

/*
 * Bodies of the messages that make and end ways through relays (docs/protocol.md §7):
 *
 *   RELAY_ALLOC  [request 8, origin 16, target 16, [via 16 …], label]
 *   RELAY_OK     [request 8, label]
 *   RELAY_FREE   [label]
 *   RELAY_GONE   [label, request 8 or nil, reason]
 */

/** Relays a way may have: ttl 4 is spent by then. */
export const MAX_RELAYS = 3;
const REQUEST_BYTES = 8;
const ID_BYTES = 16;
const MAX_REASON = 64;
const LIMITS: PackLimits = { bytes: 256, depth: 3, items: 16 };

export interface RelayAlloc {
  /** Chosen by the sender; repetitions have the same. */
  readonly request: Uint8Array;
  /** Who wants to talk, as the neighbour says; end-to-end handshakes prove it. */
  readonly origin: PeerId;
  readonly target: PeerId;
  /** Relays still to come after the receiver. */
  readonly via: readonly PeerId[];
  /** The sender receives under it. */
  readonly label: number;
}

export interface RelayOk {
  readonly request: Uint8Array;
  /** The sender receives under it. */
  readonly label: number;
}

export interface RelayGone {
  /** Of the sender: datagrams under it lead nowhere. 0: a request is refused. */
  readonly label: number;
  readonly request: Uint8Array | undefined;
  /** For people. */
  readonly reason: string;
}

export function encodeRelayAlloc(message: RelayAlloc): Uint8Array {
  const { request, origin, target, via, label } = message;
  return packMessage([
    request,
    peerIdBytes(origin),
    peerIdBytes(target),
    via.map(peerIdBytes),
    label,
  ]);
}

export function decodeRelayAlloc(body: Uint8Array): Result<RelayAlloc, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 5);
  if (!fields.ok) return fields;
  const [request, origin, target, via, label] = fields.value;
  if (!isBytes(request, REQUEST_BYTES) || !isBytes(origin, ID_BYTES)) return fail('fields');
  if (!isBytes(target, ID_BYTES) || !isLabel(label)) return fail('fields');
  if (!Array.isArray(via) || via.length > MAX_RELAYS) return fail('fields');
  const relays: PeerId[] = [];
  for (const relay of via as readonly unknown[]) {
    if (!isBytes(relay, ID_BYTES)) return fail('fields');
    relays.push(peerIdFromBytes(relay));
  }
  return ok({
    request: ownBytes(request),
    origin: peerIdFromBytes(origin),
    target: peerIdFromBytes(target),
    via: relays,
    label,
  });
}

export function encodeRelayOk(message: RelayOk): Uint8Array {
  return packMessage([message.request, message.label]);
}

export function decodeRelayOk(body: Uint8Array): Result<RelayOk, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 2);
  if (!fields.ok) return fields;
  const [request, label] = fields.value;
  if (!isBytes(request, REQUEST_BYTES) || !isLabel(label)) return fail('fields');
  return ok({ request: ownBytes(request), label });
}

export function encodeRelayFree(label: number): Uint8Array {
  return packMessage([label]);
}

export function decodeRelayFree(body: Uint8Array): Result<number, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 1);
  if (!fields.ok) return fields;
  const [label] = fields.value;
  return isLabel(label) ? ok(label) : fail('fields');
}

export function encodeRelayGone(message: RelayGone): Uint8Array {
  return packMessage([message.label, message.request ?? null, message.reason]);
}

export function decodeRelayGone(body: Uint8Array): Result<RelayGone, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 3);
  if (!fields.ok) return fields;
  const [label, request, reason] = fields.value;
  const isRequest = request === null || isBytes(request, REQUEST_BYTES);
  if (!isU32(label) || !isRequest || !isReason(reason)) return fail('fields');
  return ok({ label, request: request === null ? undefined : ownBytes(request), reason });
}

/** 0 is none. */
function isLabel(value: unknown): value is number {
  return isU32(value) && value !== 0;
}

/** Shown to people: printable ASCII only. */
function isReason(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_REASON && /^[\x20-\x7e]*$/.test(value);
}
