import ipaddr from 'ipaddr.js';
import { fail, ok, type Result } from '../base/result.js';
import { isBytes, isU32, ownBytes, unpackArray, unpackMap, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';

/*
 * Bodies of control messages (docs/protocol.md §4). They come from authenticated members, which is no reason to
 * trust them: each is limited in size, depth and count, then checked field by field. Map keys that are not known are
 * skipped, so that a newer node may say more; arrays have exactly their fields.
 *
 *   CLOSE      {reason: string}
 *   REKEY1     [phase, x 32]
 *   REKEY2     [phase, x 32, H(REKEY1 body) 64]
 *   PEER_INFO  {nickname: string, addresses: [cidr …], version: string}
 */

export const CLOSE_REASONS = [
  'shutdown',
  'no common cipher',
  'replaced',
  'removed',
  'idle',
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export interface Rekey1 {
  /** The phase asked for: current + 1. */
  readonly phase: number;
  /** X25519 public key of the session's initiator. */
  readonly x: Uint8Array;
}

export interface Rekey2 extends Rekey1 {
  /** SHA-512 of the REKEY1 body that is answered. */
  readonly request: Uint8Array;
}

/** What people see of a peer, until signed records carry it. */
export interface PeerInfo {
  readonly nickname: string;
  /** Own addresses on the default network, as cidr text. */
  readonly addresses: readonly string[];
  readonly version: string;
  /** The sender's own statement (src/crypto/presence.ts). */
  readonly presence?: Uint8Array;
  /** That of another process with the receiver's identity. */
  readonly met?: Uint8Array;
  /** The sender can do without this session. */
  readonly idle?: boolean;
}

export const X25519_BYTES = 32;
export const REQUEST_HASH_BYTES = 64;
export const MAX_PHASE = 0xffff_ffff;
const MAX_NICKNAME = 63;
export const MAX_ADDRESSES = 8;
const MAX_VERSION = 32;
const PRESENCE_BYTES = 80;

const CLOSE_LIMITS: PackLimits = { bytes: 256, depth: 2, items: 16 };
const REKEY_LIMITS: PackLimits = { bytes: 160, depth: 2, items: 8 };
const PEER_INFO_LIMITS: PackLimits = { bytes: 2048, depth: 4, items: 64 };

export function encodeClose(reason: CloseReason): Uint8Array {
  return packMessage({ reason });
}

/** The reason, for people. A CLOSE that cannot be read closes all the same: it was authentic. */
export function decodeClose(body: Uint8Array): Result<CloseReason, BodyRefusal> {
  const map = unpackMap(body, CLOSE_LIMITS);
  if (!map.ok) return map;
  const reason = CLOSE_REASONS.find((known) => known === map.value.get('reason'));
  return reason ? ok(reason) : fail('fields');
}

export function encodeRekey1(message: Rekey1): Uint8Array {
  return packMessage([message.phase, message.x]);
}

export function decodeRekey1(body: Uint8Array): Result<Rekey1, BodyRefusal> {
  const fields = unpackArray(body, REKEY_LIMITS, 2);
  if (!fields.ok) return fields;
  const [phase, x] = fields.value;
  if (!isPhase(phase) || !isBytes(x, X25519_BYTES)) return fail('fields');
  return ok({ phase, x: ownBytes(x) });
}

export function encodeRekey2(message: Rekey2): Uint8Array {
  return packMessage([message.phase, message.x, message.request]);
}

export function decodeRekey2(body: Uint8Array): Result<Rekey2, BodyRefusal> {
  const fields = unpackArray(body, REKEY_LIMITS, 3);
  if (!fields.ok) return fields;
  const [phase, x, request] = fields.value;
  if (!isPhase(phase) || !isBytes(x, X25519_BYTES) || !isBytes(request, REQUEST_HASH_BYTES)) {
    return fail('fields');
  }
  return ok({ phase, x: ownBytes(x), request: ownBytes(request) });
}

/** @throws RangeError for what `decodePeerInfo` would refuse: the caller checks its configuration first (`isNickname`). */
export function encodePeerInfo(info: PeerInfo): Uint8Array {
  if (!isPeerInfo(info)) throw new RangeError('PEER_INFO has a field that peers would refuse');
  const { nickname, addresses, version, presence, met, idle } = info;
  const statements = { ...(presence && { presence }), ...(met && { met }), ...(idle && { idle }) };
  return packMessage({ nickname, addresses, version, ...statements });
}

export function decodePeerInfo(body: Uint8Array): Result<PeerInfo, BodyRefusal> {
  const map = unpackMap(body, PEER_INFO_LIMITS);
  if (!map.ok) return map;
  const info = {
    nickname: map.value.get('nickname'),
    addresses: map.value.get('addresses'),
    version: map.value.get('version'),
    ...statementOf(map.value, 'presence'),
    ...statementOf(map.value, 'met'),
    ...(map.value.get('idle') === true && { idle: true }),
  };
  return isPeerInfo(info) ? ok(info) : fail('fields');
}

function statementOf(map: ReadonlyMap<unknown, unknown>, key: 'presence' | 'met'): object {
  const value = map.get(key);
  return isBytes(value) ? { [key]: ownBytes(value) } : value === undefined ? {} : { [key]: value };
}

/** A label that can be shown anywhere: 1 to 63 characters, none that moves a cursor, breaks a line or turns text around. */
export function isNickname(text: string): boolean {
  return (
    text.length >= 1 &&
    text.length <= MAX_NICKNAME &&
    text === text.trim() &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)
  );
}

function isPeerInfo(info: { [Key in keyof PeerInfo]: unknown }): info is PeerInfo {
  const { nickname, addresses, version, presence, met } = info;
  return (
    (presence === undefined || isBytes(presence, PRESENCE_BYTES)) &&
    (met === undefined || isBytes(met, PRESENCE_BYTES)) &&
    typeof nickname === 'string' &&
    isNickname(nickname) &&
    isAddressList(addresses) &&
    isVersionText(version)
  );
}

/** Own addresses of a node, as cidr text. */
export function isAddressList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_ADDRESSES && value.every(isCidr);
}

/** What people read of a node's version: printable ASCII without blanks. */
export function isVersionText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_VERSION && /^[\x21-\x7e]*$/.test(value);
}

/** Four-part decimal or IPv6 without a zone, with a prefix length. */
function isCidr(value: unknown): boolean {
  // ipaddr.js alone would also take octal and short forms.
  return (
    typeof value === 'string' &&
    value.length <= 43 &&
    /^(\d+\.\d+\.\d+\.\d+|[0-9a-f:.]*:[0-9a-f:.]*)\/\d{1,3}$/.test(value) &&
    ipaddr.isValidCIDR(value)
  );
}

function isPhase(value: unknown): value is number {
  return isU32(value) && value >= 1;
}
