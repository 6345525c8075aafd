import ipaddr from 'ipaddr.js';

import { parseHostName } from '../model/host-name.js';
import { MAX_TARGETS_READ } from './constants.js';
import { addressOfReverseName, canonicalAddress } from './name.js';
import { addressTail, pointerTail, type RecordTail } from './records.js';
import { TYPE } from './query.js';

/*
 * The names of each network and what they stand for. One statement (a record of the mesh: somebody says that a name has
 * addresses) is a *source*; several sources may speak of one name, and what they say is joined.
 *
 *   source ──► network · name · addresses
 *                  │      └─► addresses of the name, counted by source          A, AAAA
 *                  │      └─► every parent of the name, counted                 exists, has no data (RFC 8020)
 *                  └────────► names of the address, counted by source           PTR
 */

/** What one source says. `name` is relative to the domain: `web`, `db.east`. */
export interface NameStatement {
  readonly network: number;
  readonly name: string;
  readonly addresses: readonly string[];
}

/** A name as `dns list` shows it: sorted, addresses of all sources together. */
export interface ListedName {
  readonly network: number;
  /** With the domain. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly sources: readonly string[];
}

export type Finding =
  /** Not ours to answer. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'noName'; readonly isInDomain: boolean }
  | { readonly kind: 'noData'; readonly isInDomain: boolean }
  /** At least one record, every owner the name asked for. To be shuffled in a copy. */
  | { readonly kind: 'records'; readonly tails: readonly RecordTail[] }
  /** The name exists and all types were asked for. */
  | { readonly kind: 'any' }
  /** The domain itself, asked for its SOA. */
  | { readonly kind: 'soa' };

const FOREIGN: Finding = { kind: 'foreign' };

interface Target {
  readonly tail: RecordTail;
  /** Sources that say so. */
  count: number;
}

class Network {
  /** Relative name → address → tail. */
  readonly addressesByName = new Map<string, Map<string, Target>>();
  /** Relative name → number of names right or further below it. */
  readonly below = new Map<string, number>();
  /** Address → full name → tail. */
  readonly namesByAddress = new Map<string, Map<string, Target>>();
  /** Ranges whose addresses are ours alone: nobody upstream is asked about them. */
  ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
}

export class Zone {
  readonly domain: string;
  readonly #networks = new Map<number, Network>();
  readonly #sources = new Map<string, NameStatement>();

  /** @param domain canonical (name.ts), not empty */
  constructor(domain: string) {
    this.domain = domain;
  }

  get size(): number {
    return this.#sources.size;
  }

  /**
   * Sets what a source says, in place of what it said before. Addresses that are none are left out. False: there is
   * none left, or the name is no host name or too long with the domain, so that the source now says nothing.
   */
  put(source: string, statement: NameStatement): boolean {
    this.delete(source);
    const name = parseHostName(statement.name);
    if (name === undefined || parseHostName(`${name}.${this.domain}`) === undefined) return false;
    const addresses = new Set<string>();
    for (const text of statement.addresses) {
      const address = canonicalAddress(text);
      if (address !== undefined) addresses.add(address);
    }
    if (addresses.size === 0) return false;
    const kept: NameStatement = { network: statement.network, name, addresses: [...addresses] };
    this.#sources.set(source, kept);
    this.#count(kept);
    return true;
  }

  delete(source: string): boolean {
    const statement = this.#sources.get(source);
    if (statement === undefined) return false;
    this.#sources.delete(source);
    this.#discount(statement);
    return true;
  }

  /** Ranges (cidr text) of a network's pools: a reverse name inside that has no name does not exist. */
  setRanges(network: number, cidrs: readonly string[]): void {
    const ranges = cidrs
      .filter((cidr) => ipaddr.isValidCIDR(cidr))
      .map((cidr) => ipaddr.parseCIDR(cidr));
    this.#network(network).ranges = ranges;
    this.#dropIfEmpty(network);
  }

  /** @param name canonical */
  find(networkId: number, name: string, type: number): Finding {
    const network = this.#networks.get(networkId);
    if (name === this.domain) {
      if (type === TYPE.any) return { kind: 'any' };
      return type === TYPE.soa ? { kind: 'soa' } : { kind: 'noData', isInDomain: true };
    }
    if (name.endsWith(`.${this.domain}`)) {
      return findName(network, name.slice(0, -this.domain.length - 1), type, true);
    }
    if (name.endsWith('.arpa')) return findReverse(network, name, type);
    // A short name means ours if there is one; else it may mean something upstream.
    if (name.includes('.') || name === '') return FOREIGN;
    const found = findName(network, name, type, false);
    return found.kind === 'noName' ? FOREIGN : found;
  }

  /** All names of one network, or of all, by network and name. */
  list(network?: number): readonly ListedName[] {
    const listed = new Map<
      string,
      { network: number; name: string; addresses: Set<string>; sources: string[] }
    >();
    for (const [source, statement] of this.#sources) {
      if (network !== undefined && statement.network !== network) continue;
      const key = `${statement.network}/${statement.name}`;
      let entry = listed.get(key);
      if (entry === undefined) {
        const name = `${statement.name}.${this.domain}`;
        entry = { network: statement.network, name, addresses: new Set(), sources: [] };
        listed.set(key, entry);
      }
      for (const address of statement.addresses) entry.addresses.add(address);
      entry.sources.push(source);
    }
    return [...listed.values()]
      .map((entry) => ({
        ...entry,
        addresses: [...entry.addresses].sort(byAddress),
        sources: entry.sources.sort(),
      }))
      .sort((a, b) => a.network - b.network || (a.name < b.name ? -1 : 1));
  }

  #network(id: number): Network {
    let network = this.#networks.get(id);
    if (network === undefined) {
      network = new Network();
      this.#networks.set(id, network);
    }
    return network;
  }

  #count(statement: NameStatement): void {
    const network = this.#network(statement.network);
    const fullName = `${statement.name}.${this.domain}`;
    const addresses = entryOf(network.addressesByName, statement.name);
    for (const address of statement.addresses) {
      countIn(addresses, address, () => addressTail(address));
      countIn(entryOf(network.namesByAddress, address), fullName, () => pointerTail(fullName));
    }
    for (const parent of parentsOf(statement.name)) {
      network.below.set(parent, (network.below.get(parent) ?? 0) + 1);
    }
  }

  #discount(statement: NameStatement): void {
    const network = this.#network(statement.network);
    const fullName = `${statement.name}.${this.domain}`;
    for (const address of statement.addresses) {
      discountIn(network.addressesByName, statement.name, address);
      discountIn(network.namesByAddress, address, fullName);
    }
    for (const parent of parentsOf(statement.name)) {
      const count = (network.below.get(parent) ?? 0) - 1;
      if (count > 0) network.below.set(parent, count);
      else network.below.delete(parent);
    }
    this.#dropIfEmpty(statement.network);
  }

  #dropIfEmpty(id: number): void {
    const network = this.#networks.get(id);
    if (network?.addressesByName.size === 0 && network.ranges.length === 0)
      this.#networks.delete(id);
  }
}

function findName(
  network: Network | undefined,
  name: string,
  type: number,
  isInDomain: boolean,
): Finding {
  const targets = network?.addressesByName.get(name);
  if (targets === undefined) {
    const kind = network?.below.has(name) === true ? 'noData' : 'noName';
    return { kind, isInDomain };
  }
  if (type === TYPE.any) return { kind: 'any' };
  const tails: RecordTail[] = [];
  if (type === TYPE.a || type === TYPE.aaaa) {
    for (const [address, { tail }] of first(targets)) {
      if (address.includes(':') === (type === TYPE.aaaa)) tails.push(tail);
    }
  }
  return tails.length > 0 ? { kind: 'records', tails } : { kind: 'noData', isInDomain };
}

function findReverse(network: Network | undefined, name: string, type: number): Finding {
  const address = addressOfReverseName(name);
  if (network === undefined || address === undefined) return FOREIGN;
  const targets = network.namesByAddress.get(address);
  if (targets === undefined) {
    return isInRanges(address, network.ranges) ? { kind: 'noName', isInDomain: false } : FOREIGN;
  }
  if (type === TYPE.any) return { kind: 'any' };
  if (type !== TYPE.ptr) return { kind: 'noData', isInDomain: false };
  return { kind: 'records', tails: Array.from(first(targets), ([, { tail }]) => tail) };
}

function* first(targets: ReadonlyMap<string, Target>): Generator<readonly [string, Target]> {
  let left = MAX_TARGETS_READ;
  for (const target of targets) {
    if (left === 0) return;
    left -= 1;
    yield target;
  }
}

function isInRanges(address: string, ranges: Network['ranges']): boolean {
  const parsed = ipaddr.parse(address);
  return ranges.some((range) => range[0].kind() === parsed.kind() && parsed.match(range));
}

/** `a.b.c` → `b.c`, `c`. */
function parentsOf(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(1).map((_, index) => labels.slice(index + 1).join('.'));
}

function entryOf(map: Map<string, Map<string, Target>>, key: string): Map<string, Target> {
  let entry = map.get(key);
  if (entry === undefined) {
    entry = new Map();
    map.set(key, entry);
  }
  return entry;
}

function countIn(targets: Map<string, Target>, key: string, makeTail: () => RecordTail): void {
  const target = targets.get(key);
  if (target === undefined) targets.set(key, { tail: makeTail(), count: 1 });
  else target.count += 1;
}

function discountIn(map: Map<string, Map<string, Target>>, key: string, inner: string): void {
  const targets = map.get(key);
  const target = targets?.get(inner);
  if (targets === undefined || target === undefined) return;
  target.count -= 1;
  if (target.count === 0) targets.delete(inner);
  if (targets.size === 0) map.delete(key);
}

/** IPv4 first, then by number. */
function byAddress(a: string, b: string): number {
  const [left, right] = [ipaddr.parse(a).toByteArray(), ipaddr.parse(b).toByteArray()];
  return left.length - right.length || Buffer.compare(Buffer.from(left), Buffer.from(right));
}
