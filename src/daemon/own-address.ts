import { createHash } from 'node:crypto';

import ipaddr from 'ipaddr.js';

import { concatBytes, utf8Bytes } from '../base/bytes.js';
import { peerIdBytes, type PeerId } from '../model/peer-id.js';

/*
 * The node's own addresses on the default network.
 *
 * IPv4, by identity: in the last 1/16 of the pool, which is never granted to anybody (docs/protocol.md §9 rule 8), at
 * BLAKE2b(PeerId || attempt) mod its size. Two nodes may hash to one address; then the one with the larger PeerId
 * takes its next attempt, and keeps that for good. IPv6: a /64 that follows from the mesh, interface id from the PeerId;
 * 62 random bits do not clash.
 */

export type AddressMode = 'auto' | 'none' | { readonly cidr: string };

export interface OwnAddressOptions {
  readonly id: PeerId;
  readonly meshId: Uint8Array;
  readonly mode: AddressMode;
  /** Cidr text. */
  readonly pool: string;
  /** What an earlier run ended with. */
  readonly stored: string | undefined;
}

const ATTEMPTS = 64;

export class OwnAddress {
  readonly #options: OwnAddressOptions;
  #attempt = 0;
  #v4: string | undefined;

  constructor(options: OwnAddressOptions) {
    this.#options = options;
    const { mode, stored } = options;
    if (mode === 'none') return;
    if (mode !== 'auto') this.#v4 = mode.cidr;
    else if (stored !== undefined && isIdentityAddress(options.pool, stored)) this.#v4 = stored;
    else this.#v4 = identityAddress(options.id, 0, options.pool);
  }

  /** The address that may clash, without prefix length; undefined: none. */
  get address(): string | undefined {
    return this.#v4?.split('/')[0];
  }

  /** With prefix length. */
  get cidr(): string | undefined {
    return this.#v4;
  }

  get cidrs(): readonly string[] {
    if (this.#v4 === undefined) return [];
    return [this.#v4, meshIpv6(this.#options.id, this.#options.meshId)];
  }

  get canMove(): boolean {
    return this.#options.mode === 'auto';
  }

  /** Somebody else uses our address: is it us who moves? A node that is no peer cannot be argued with. */
  mustMove(other: PeerId | undefined): boolean {
    return this.canMove && (other === undefined || this.#options.id > other);
  }

  /** The next candidate that is not `taken`. */
  move(taken: ReadonlySet<string>): void {
    for (let tries = 0; tries < ATTEMPTS; tries++) {
      this.#attempt += 1;
      const next = identityAddress(this.#options.id, this.#attempt, this.#options.pool);
      if (next === undefined || next === this.#v4 || taken.has(next.split('/')[0] ?? '')) continue;
      this.#v4 = next;
      return;
    }
  }
}

/** Undefined for a pool too small to have a last 1/16 with a host in it. */
export function identityAddress(id: PeerId, attempt: number, pool: string): string | undefined {
  const range = lastSixteenth(pool);
  if (!range) return undefined;
  const { base, size, prefix } = range;
  const hash = blake2b(concatBytes(peerIdBytes(id), new Uint8Array([attempt & 0xff])));
  const draw = new DataView(hash.buffer, hash.byteOffset).getUint32(0, true);
  // The last address of the pool is its broadcast; the first of this part is like any other, but looks like a net.
  const host = 1 + (draw % (size - 2));
  return `${textOf(base + host)}/${prefix}`;
}

/** Of each mesh: asked for by every member that is heard of. */
const ULA_PREFIXES = new WeakMap<Uint8Array, Uint8Array>();

function ulaPrefix(meshId: Uint8Array): Uint8Array {
  let prefix = ULA_PREFIXES.get(meshId);
  if (!prefix) {
    prefix = blake2b(concatBytes(utf8Bytes('overlayd/1 ula'), meshId)).subarray(0, 7);
    ULA_PREFIXES.set(meshId, prefix);
  }
  return prefix;
}

/** A /64 of fd00::/8 from the mesh and an interface id from the PeerId, local bit set. */
export function meshIpv6(id: PeerId, meshId: Uint8Array): string {
  const prefix = ulaPrefix(meshId);
  const host = peerIdBytes(id).subarray(8, 16);
  host[0] = (host[0] ?? 0) & 0xfd;
  const bytes = concatBytes(new Uint8Array([0xfd]), prefix, host);
  return `${(ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6).toRFC5952String()}/64`;
}

function isIdentityAddress(pool: string, cidr: string): boolean {
  const range = lastSixteenth(pool);
  const [address, prefix] = cidr.split('/');
  if (!range || address === undefined || !ipaddr.IPv4.isValidFourPartDecimal(address)) return false;
  const offset = numberOf(address) - range.base;
  return Number(prefix) === range.prefix && offset > 0 && offset < range.size - 1;
}

function lastSixteenth(
  pool: string,
): { readonly base: number; readonly size: number; readonly prefix: number } | undefined {
  const [address, prefixText] = pool.split('/');
  const prefix = Number(prefixText);
  if (address === undefined || !ipaddr.IPv4.isValidFourPartDecimal(address)) return undefined;
  const poolSize = 2 ** (32 - prefix);
  const size = poolSize / 16;
  if (!Number.isInteger(prefix) || size < 4) return undefined;
  const start = Math.floor(numberOf(address) / poolSize) * poolSize;
  return { base: start + poolSize - size, size, prefix };
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

function blake2b(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('blake2b512').update(bytes).digest());
}
