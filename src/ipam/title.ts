import { fail, ok, type Result } from '../base/result.js';
import { concatBytes, fromHex, toHex } from '../base/bytes.js';
import {
  addressBytes,
  addressFromBytes,
  cidrAround,
  formatCidr,
  widthOf,
  type Cidr,
} from '../model/cidr.js';
import type { NetworkId } from '../model/network.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import { networkKey, networkOfKey } from '../wire/group-record.js';

/*
 * Who holds a block of a pool (docs/protocol.md §9). Little-endian, addresses most significant byte first:
 *
 *   0        1        2           3            4         10             11 zero   12
 *   format 1 family u8 pool bits u8 block bits u8 epoch u48 chain length u8 zero     request u32
 *   16        32          48          64           80           96
 *   pool 16   block 16    holder 16   grantor 16   witness 16   chain 16 each, at most 8
 *
 * An IPv4 block is in the first four of its bytes. `witness` is all zero when there was nobody to countersign. A title
 * is told to others only once it is countersigned, so whoever reads one in a record may count on it.
 */

/**
 * 32 lower-case hex digits: 26 drawn at random by the pool's founder, then the network's id, little-endian. Of a network
 * beside the default one only 14 are drawn; between them and the id stands when the network was created, so that pools
 * of an earlier network of that name are told from it.
 */
export type PoolId = string & { readonly __brand: 'PoolId' };

export interface Title {
  readonly pool: PoolId;
  /** Prefix length of the pool's range, which the block lies in. */
  readonly poolBits: number;
  readonly block: Cidr;
  /** Of two titles over an address the higher epoch wins. */
  readonly epoch: number;
  readonly holder: PeerId;
  readonly grantor: PeerId;
  /** Who has stored and countersigned it; undefined: the grantor had no heir. */
  readonly witness: PeerId | undefined;
  /** Earlier holders, the last one first in line as heir. */
  readonly chain: readonly PeerId[];
  /** The request it answers, the holder's own count; 0: none. */
  readonly request: number;
}

export const MAX_CHAIN = 8;
const HEADER_BYTES = 96;
const FORMAT = 1;
/** In the id of a pool. */
const CREATED_AT = 7;
const NOBODY = new Uint8Array(16);
/** Holds the title over a whole pool that was removed. No key has this id. */
export const NO_HOLDER = '0'.repeat(32) as PeerId;

export function makePoolId(bytes: Uint8Array): PoolId {
  if (bytes.length !== 16) throw new RangeError(`PoolId wants 16 bytes, got ${bytes.length}`);
  return toHex(bytes) as PoolId;
}

/** @param random 13 bytes. @param createdMs of a network beside the default one: six of them give way to it */
export function drawPoolId(random: Uint8Array, network: NetworkId, createdMs?: number): PoolId {
  const bytes = concatBytes(random, networkKey(network));
  if (createdMs !== undefined) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setUint32(CREATED_AT, createdMs % 2 ** 32, true);
    view.setUint16(CREATED_AT + 4, Math.floor(createdMs / 2 ** 32), true);
  }
  return makePoolId(bytes);
}

/** When the pool's network was created, if its founder said so; else anything. */
export function createdMsOfPool(pool: PoolId): number {
  const bytes = fromHex(pool);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(CREATED_AT, true) + view.getUint16(CREATED_AT + 4, true) * 2 ** 32;
}

/** Whose addresses a pool's are. */
export function networkOfPool(pool: PoolId): NetworkId {
  return networkOfKey(fromHex(pool).subarray(13)) ?? 0;
}

export function encodeTitle(title: Title): Uint8Array {
  const { block } = title;
  const out = new Uint8Array(HEADER_BYTES + 16 * title.chain.length);
  const view = new DataView(out.buffer);
  out.set([FORMAT, block.family, title.poolBits, block.bits]);
  view.setUint32(4, title.epoch % 2 ** 32, true);
  view.setUint16(8, Math.floor(title.epoch / 2 ** 32), true);
  out[10] = title.chain.length;
  view.setUint32(12, title.request, true);
  out.set(fromHex(title.pool), 16);
  out.set(addressBytes({ family: block.family, value: block.first }), 32);
  out.set(peerIdBytes(title.holder), 48);
  out.set(peerIdBytes(title.grantor), 64);
  if (title.witness) out.set(peerIdBytes(title.witness), 80);
  out.set(concatBytes(...title.chain.map(peerIdBytes)), HEADER_BYTES);
  return out;
}

const texts = new WeakMap<Title, string>();

/** The encoding in hex: what tells one title from another. */
export function titleText(title: Title): string {
  let text = texts.get(title);
  if (text === undefined) {
    text = toHex(encodeTitle(title));
    texts.set(title, text);
  }
  return text;
}

/** One title has one encoding: bits behind the block and doubled heirs are refused. */
export function decodeTitle(bytes: Uint8Array): Result<Title, 'malformed'> {
  if (bytes.length < HEADER_BYTES || bytes[0] !== FORMAT || bytes[11] !== 0)
    return fail('malformed');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint8(1);
  const poolBits = view.getUint8(2);
  const bits = view.getUint8(3);
  const length = view.getUint8(10);
  if (family !== 4 && family !== 6) return fail('malformed');
  if (poolBits > bits || bits > widthOf(family)) return fail('malformed');
  if (length > MAX_CHAIN || bytes.length !== HEADER_BYTES + 16 * length) return fail('malformed');
  const addressEnd = 32 + widthOf(family) / 8;
  if (bytes.subarray(addressEnd, 48).some((byte) => byte !== 0)) return fail('malformed');
  const value = addressFromBytes(bytes.subarray(32, addressEnd));
  const block = cidrAround({ family, value }, bits);
  if (block.first !== value) return fail('malformed');
  const id = (at: number): PeerId => peerIdFromBytes(bytes.subarray(at, at + 16));
  const chain = Array.from({ length }, (_, at) => id(HEADER_BYTES + 16 * at));
  const holder = id(48);
  if (new Set([...chain, holder]).size !== length + 1) return fail('malformed');
  const isWitnessed = bytes.subarray(80, 96).some((byte, at) => byte !== NOBODY[at]);
  return ok({
    pool: makePoolId(bytes.subarray(16, 32)),
    poolBits,
    block,
    epoch: view.getUint32(4, true) + view.getUint16(8, true) * 2 ** 32,
    holder,
    grantor: id(64),
    witness: isWitnessed ? id(80) : undefined,
    chain,
    request: view.getUint32(12, true),
  });
}

/** The record's key: pool, then block. A record of a higher version takes the place of one with the same key. */
export function titleRecordKey({ pool, block }: Title): Uint8Array {
  const address = new Uint8Array(16);
  address.set(addressBytes({ family: block.family, value: block.first }));
  return concatBytes(fromHex(pool), address, new Uint8Array([block.family, block.bits]));
}

/** The record's version: epochs begin with 0, versions with 1. */
export function titleRecordVersion({ epoch }: Title): number {
  return epoch + 1;
}

/** The range of the title's pool. */
export function rangeOf({ block, poolBits }: Title): Cidr {
  return cidrAround({ family: block.family, value: block.first }, poolBits);
}

/** The last earlier holder that is not gone: from the title alone, never from who is in view (rule 3). */
export function heirInChain(title: Title, isGone: (peer: PeerId) => boolean): PeerId | undefined {
  return title.chain.findLast((peer) => peer !== title.holder && !isGone(peer));
}

/**
 * The chain after `from` hands a block to `to`. An earlier holder who gets it back has the heirs it had; the first in
 * the chain had none, so the giver is its heir.
 */
export function chainAfter(chain: readonly PeerId[], from: PeerId, to: PeerId): readonly PeerId[] {
  if (from === to) return chain;
  const place = chain.indexOf(to);
  if (place === 0) return [from];
  return place > 0 ? chain.slice(0, place) : [...chain, from].slice(-MAX_CHAIN);
}

/** Total order over titles of one pool where they overlap; positive: `a` wins. The same on every node. */
export function compareTitles(a: Title, b: Title): number {
  if (a === b) return 0;
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.block.bits !== b.block.bits) return a.block.bits - b.block.bits;
  const [left, right] = [titleText(a), titleText(b)];
  return left === right ? 0 : left < right ? 1 : -1;
}

/** For logs and people. */
export function describeTitle({ block, holder, epoch }: Title): string {
  return `${formatCidr(block)} of ${holder.slice(0, 8)}, epoch ${epoch}`;
}
