import ipaddr from 'ipaddr.js';

/** IPv4 or IPv6. */
export type Family = 4 | 6;

/** One address as a number, so that ranges of either family are arithmetic. */
export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
}

declare const brand: unique symbol;

/** An aligned range of addresses: `first` has zeros behind the first `bits` bits. Made here only. */
export interface Cidr {
  readonly family: Family;
  readonly first: bigint;
  /** Prefix length, 0 to 32 or 128. */
  readonly bits: number;
  readonly [brand]: 'Cidr';
}

/** 32 or 128. */
export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The longest text of an address, IPv4-mapped. */
const MAX_ADDRESS_TEXT = 45;
/** A member's addresses are looked at again and again: each record, title and link asks. */
const PARSED_KEPT = 4096;
const PARSED = new Map<string, Parsed>();

interface Parsed {
  readonly address: IpAddress | undefined;
  /** Undefined until asked for. */
  text: string | undefined;
}

/** Four-part decimal or IPv6 without a zone; an IPv4-mapped address is IPv4. */
export function parseAddress(text: string): IpAddress | undefined {
  return parsed(text).address;
}

/** The canonical text (RFC 5952) of an address however written; undefined: it is none. */
export function canonicalAddress(text: string): string | undefined {
  const known = parsed(text);
  if (!known.address) return undefined;
  return (known.text ??= formatAddress(known.address));
}

function parsed(text: string): Parsed {
  const before = PARSED.get(text);
  if (before) return before;
  const now: Parsed = { address: parse(text), text: undefined };
  if (text.length > MAX_ADDRESS_TEXT) return now;
  if (PARSED.size >= PARSED_KEPT) PARSED.clear();
  PARSED.set(text, now);
  return now;
}

function parse(text: string): IpAddress | undefined {
  if (text.includes('%')) return undefined;
  if (!text.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined;
  if (!ipaddr.isValid(text)) return undefined;
  const address = ipaddr.process(text);
  return {
    family: address.kind() === 'ipv4' ? 4 : 6,
    value: address.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
  };
}

/** Canonical text (RFC 5952). */
export function formatAddress(address: IpAddress): string {
  const whole = ipaddr.fromByteArray([...addressBytes(address)]);
  return whole.kind() === 'ipv6' ? (whole as ipaddr.IPv6).toRFC5952String() : whole.toString();
}

/** 4 or 16 bytes, most significant first. */
export function addressBytes({ family, value }: IpAddress): Uint8Array {
  const out = new Uint8Array(widthOf(family) / 8);
  for (let at = out.length - 1, rest = value; at >= 0; at--, rest >>= 8n) {
    out[at] = Number(rest & 0xffn);
  }
  return out;
}

export function addressFromBytes(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** The range of `bits` around an address. @throws RangeError for a length or a value the family does not have. */
export function cidrAround({ family, value }: IpAddress, bits: number): Cidr {
  const width = widthOf(family);
  if (!Number.isInteger(bits) || bits < 0 || bits > width || value < 0n || value >> BigInt(width)) {
    throw new RangeError(`No range of IPv${family}: ${value}/${bits}`);
  }
  const shift = BigInt(width - bits);
  return { family, first: (value >> shift) << shift, bits } as Cidr;
}

/** Parses `a.b.c.d/len` or `v6/len`. Bits behind the prefix must be zero, unless `hostBits` says they may be lost. */
export function parseCidr(text: string, hostBits: 'refused' | 'cut' = 'refused'): Cidr | undefined {
  const own = parseInterfaceAddress(text);
  if (!own) return undefined;
  const cidr = cidrAround(own.address, own.bits);
  return hostBits === 'cut' || cidr.first === own.address.value ? cidr : undefined;
}

/** An address with its subnet's prefix length, as `ip` shows it. */
export function parseInterfaceAddress(
  text: string,
): { readonly address: IpAddress; readonly bits: number } | undefined {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const address = parseAddress(match?.[1] ?? '');
  const bits = Number(match?.[2]);
  if (!address || bits > widthOf(address.family)) return undefined;
  return { address, bits };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress({ family: cidr.family, value: cidr.first })}/${cidr.bits}`;
}

/** Number of addresses. */
export function sizeOfCidr({ family, bits }: Cidr): bigint {
  return 1n << BigInt(widthOf(family) - bits);
}

/** The last address, as a number. */
export function lastOfCidr(cidr: Cidr): bigint {
  return cidr.first + sizeOfCidr(cidr) - 1n;
}

export function cidrHas(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.family !== address.family) return false;
  return address.value >= cidr.first && address.value <= lastOfCidr(cidr);
}

/** Every address of `inner` is one of `outer`. */
export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return outer.bits <= inner.bits && cidrHas(outer, { family: inner.family, value: inner.first });
}

/** Aligned ranges overlap only when one contains the other. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return cidrContains(a, b) || cidrContains(b, a);
}

export function cidrsEqual(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.first === b.first && a.bits === b.bits;
}

/** Addresses `first` to `last`, both included. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** `a`, `a-b` or a cidr. */
export function parseRange(text: string): AddressRange | undefined {
  const cidr = parseCidr(text);
  if (cidr) return { family: cidr.family, first: cidr.first, last: lastOfCidr(cidr) };
  const [from = '', to = from, ...more] = text.split('-');
  const [first, last] = [parseAddress(from), parseAddress(to)];
  if (!first || first.family !== last?.family || more.length > 0) return undefined;
  return first.value <= last.value
    ? { family: first.family, first: first.value, last: last.value }
    : undefined;
}

/** As short as it goes: one address, a cidr, or both ends. */
export function formatRange({ family, first, last }: AddressRange): string {
  const [cidr, ...more] = cidrsOfRange(family, first, last);
  if (cidr && more.length === 0 && first !== last) return formatCidr(cidr);
  const text = formatAddress({ family, value: first });
  return first === last ? text : `${text}-${formatAddress({ family, value: last })}`;
}

/** The fewest aligned ranges that are exactly `first` to `last`, both included, in order. */
export function cidrsOfRange(family: Family, first: bigint, last: bigint): Cidr[] {
  const width = widthOf(family);
  const out: Cidr[] = [];
  let at = first;
  while (at <= last) {
    let bits = width;
    while (bits > 0) {
      const size = 1n << BigInt(width - bits + 1);
      if (at % size !== 0n || at + size - 1n > last) break;
      bits -= 1;
    }
    const cidr = cidrAround({ family, value: at }, bits);
    out.push(cidr);
    at += sizeOfCidr(cidr);
  }
  return out;
}
