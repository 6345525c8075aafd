import { fromHex } from '../base/bytes.js';
import { fail, ok, type Result } from '../base/result.js';
import { addressBytes, addressFromBytes, cidrAround, widthOf, type Cidr } from '../model/cidr.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import { packMessage, unpackMessage, type PackLimits } from '../wire/message-pack.js';
import type { IpamMessage, RefuseReason } from './actions.js';
import { decodeTitle, encodeTitle, makePoolId } from './title.js';

/*
 * Bodies of the control messages about addresses (docs/protocol.md §4), arrays in MessagePack:
 *
 *   IPAM_HELLO        [has a pool]
 *   IPAM_ASK          [request u32, pool 16, family 4 | 6, address 4 | 16, prefix length, wanted length, is a hold]
 *   IPAM_GRANT        [title], as in its record
 *   IPAM_REFUSE       [request u32, reason 0 to 4, peer 16 or empty]
 *   IPAM_GONE         [peer 16, digest, is the last resort]
 *   IPAM_GONE_ANSWER  [peer 16, digest, verdict 0 to 2]
 */

const LIMITS: PackLimits = { bytes: 512, depth: 2, items: 10 };
const REASONS: readonly RefuseReason[] = ['full', 'waiting', 'in use', 'busy', 'not mine'];
const VERDICTS = ['yes', 'differs', 'alive'] as const;
const MAX_DIGEST = 64;
const MAX_U32 = 0xffff_ffff;

export interface EncodedMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

export function encodeIpamMessage(message: IpamMessage): EncodedMessage {
  switch (message.kind) {
    case 'hello':
      return { type: CONTROL.IPAM_HELLO, body: packMessage([message.hasPool]) };
    case 'ask': {
      const { request, pool, within, bits, isHold } = message;
      const address = addressBytes({ family: within.family, value: within.first });
      const fields = [request, fromHex(pool), within.family, address, within.bits, bits, isHold];
      return { type: CONTROL.IPAM_ASK, body: packMessage(fields) };
    }
    case 'grant':
      return { type: CONTROL.IPAM_GRANT, body: packMessage([encodeTitle(message.title)]) };
    case 'refuse': {
      const { request, reason, peer } = message;
      const who = peer ? peerIdBytes(peer) : new Uint8Array(0);
      return {
        type: CONTROL.IPAM_REFUSE,
        body: packMessage([request, REASONS.indexOf(reason), who]),
      };
    }
    case 'gone': {
      const { peer, digest, isLastResort } = message;
      const body = packMessage([peerIdBytes(peer), digest, isLastResort]);
      return { type: CONTROL.IPAM_GONE, body };
    }
    case 'goneAnswer': {
      const { peer, digest, verdict } = message;
      const body = packMessage([peerIdBytes(peer), digest, VERDICTS.indexOf(verdict)]);
      return { type: CONTROL.IPAM_GONE_ANSWER, body };
    }
  }
}

export function decodeIpamMessage(type: number, body: Uint8Array): Result<IpamMessage, 'fields'> {
  const unpacked = unpackMessage(body, LIMITS);
  if (!unpacked.ok || !Array.isArray(unpacked.value)) return fail('fields');
  const message = messageOf(type, unpacked.value as readonly unknown[]);
  return message ? ok(message) : fail('fields');
}

function messageOf(type: number, fields: readonly unknown[]): IpamMessage | undefined {
  const [a, b, c] = fields;
  switch (type) {
    case CONTROL.IPAM_HELLO:
      return fields.length === 1 && typeof a === 'boolean'
        ? { kind: 'hello', hasPool: a }
        : undefined;
    case CONTROL.IPAM_ASK:
      return askOf(fields);
    case CONTROL.IPAM_GRANT: {
      const title = fields.length === 1 && a instanceof Uint8Array ? decodeTitle(a) : undefined;
      return title?.ok ? { kind: 'grant', title: title.value } : undefined;
    }
    case CONTROL.IPAM_REFUSE: {
      const reason = isNumber(b, REASONS.length - 1) ? REASONS[b] : undefined;
      if (fields.length !== 3 || !isNumber(a, MAX_U32) || !reason) return undefined;
      if (!(c instanceof Uint8Array) || (c.length !== 0 && c.length !== 16)) return undefined;
      const peer = c.length === 16 ? peerIdFromBytes(c) : undefined;
      return { kind: 'refuse', request: a, reason, peer };
    }
    case CONTROL.IPAM_GONE: {
      const peer = peerOf(a);
      if (fields.length !== 3 || !peer || !isDigest(b) || typeof c !== 'boolean') return undefined;
      return { kind: 'gone', peer, digest: b, isLastResort: c };
    }
    case CONTROL.IPAM_GONE_ANSWER: {
      const peer = peerOf(a);
      const verdict = isNumber(c, VERDICTS.length - 1) ? VERDICTS[c] : undefined;
      if (fields.length !== 3 || !peer || !isDigest(b) || !verdict) return undefined;
      return { kind: 'goneAnswer', peer, digest: b, verdict };
    }
    default:
      return undefined;
  }
}

function askOf(fields: readonly unknown[]): IpamMessage | undefined {
  const [request, pool, family, address, length, bits, isHold] = fields;
  if (fields.length !== 7 || !isNumber(request, MAX_U32) || request === 0) return undefined;
  if (!(pool instanceof Uint8Array) || pool.length !== 16) return undefined;
  if (!(address instanceof Uint8Array) || typeof isHold !== 'boolean') return undefined;
  if (family !== 4 && family !== 6) return undefined;
  const width = widthOf(family);
  if (address.length !== width / 8 || !isNumber(length, width) || !isNumber(bits, width)) {
    return undefined;
  }
  const within: Cidr = cidrAround({ family, value: addressFromBytes(address) }, length);
  if (bits < length) return undefined;
  return { kind: 'ask', request, pool: makePoolId(new Uint8Array(pool)), within, bits, isHold };
}

function isNumber(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_DIGEST;
}

function peerOf(value: unknown): PeerId | undefined {
  return value instanceof Uint8Array && value.length === 16 ? peerIdFromBytes(value) : undefined;
}
