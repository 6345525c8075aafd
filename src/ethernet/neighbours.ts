import type { TableEntry } from '../dataplane/dataplane.js';
import type { Mac } from '../model/mac.js';
import { macOfPeer, type PeerId } from '../model/peer-id.js';
import type { AddressEntry } from '../wire/address-record.js';
import { MAX_ADDRESSES, MAX_ADDRESSES_PER_PEER } from './constants.js';

/*
 * Who has which address, as records say it; ARP and neighbour discovery are answered from that (docs/protocol.md §10).
 *
 *   peer records      a node's own addresses, at the MAC of its bridge
 *   address records   what is attached there, by pages
 *
 * An address is answered for when all who may have it say the same MAC of it, and it is not on this host. About any
 * other everybody is asked, as without records, and whoever has it answers.
 *
 * An address that can be one owner's only, by a title or by its own bits, is guarded: frames of others from there are
 * dropped, and so for those of this host.
 *
 * Nearly all of it are nodes' own addresses, two of each member: those are kept small.
 */

export interface NeighboursOptions {
  readonly network: number;
  readonly selfId: PeerId;
  /** A node's own MAC, that no other may name. */
  readonly isReserved: (mac: Mac) => boolean;
  /** Addresses of pools are their title's holder's (docs/protocol.md §9). */
  readonly mayHave: (peer: PeerId, address: string) => boolean;
  /** Whether that is one peer only. */
  readonly isOneOwners: (address: string) => boolean;
  /** Whether titles have a say in that. */
  readonly isGrantable: (address: string) => boolean;
}

interface Claim {
  readonly peer: PeerId;
  /** A page of its address records, or its peer record. */
  readonly slot: 'node' | number;
  readonly mac: Mac;
}

interface PeerStatements {
  readonly slots: Map<number, readonly AddressEntry[]>;
  count: number;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  /** Own addresses of nodes, as far as there was room for them. */
  readonly #nodes = new Map<PeerId, readonly string[]>();
  readonly #byPeer = new Map<PeerId, PeerStatements>();
  readonly #claims = new Map<string, Claim | readonly Claim[]>();
  readonly #dirty = new Set<string>();
  /** In the data plane's table: those that are guarded there, and the others. */
  readonly #guarded = new Map<string, Mac>();
  readonly #applied = new Map<string, Mac>();
  /** Those that titles have a say in, of what was looked at: the nodes' own, nearly all, are not. */
  readonly #grantable = new Set<string>();
  #own: ReadonlyMap<string, Mac> = new Map();

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Addresses of this host, without length. */
  setOwn(entries: readonly AddressEntry[]): void {
    const own = new Map<string, Mac>();
    for (const { mac, addresses } of entries) {
      for (const address of addresses) own.set(address, mac);
    }
    for (const address of [...this.#own.keys(), ...own.keys()]) {
      if (this.#own.get(address) !== own.get(address)) this.#dirty.add(address);
    }
    this.#own = own;
  }

  /** A node's own addresses, without length, at its bridge's MAC. */
  setNode(peer: PeerId, mac: Mac, addresses: readonly string[]): void {
    const before = this.#nodes.get(peer) ?? [];
    // Most records of a member say the same of its addresses again.
    if (before.length === addresses.length && before.every((one, at) => one === addresses[at])) {
      return;
    }
    for (const address of before) this.#withdraw(address, peer, 'node');
    const claim: Claim = { peer, slot: 'node', mac };
    const taken = addresses.filter((address) => this.#state(address, claim));
    if (taken.length > 0) this.#nodes.set(peer, taken);
    else this.#nodes.delete(peer);
  }

  /** A page of the peer's, as it is now; undefined: there is none. */
  setPage(peer: PeerId, slot: number, entries: readonly AddressEntry[] | undefined): void {
    const none: PeerStatements = { slots: new Map(), count: 0 };
    const statements = this.#byPeer.get(peer) ?? none;
    for (const { addresses } of statements.slots.get(slot) ?? []) {
      for (const address of addresses) this.#withdraw(address, peer, slot);
      statements.count -= addresses.length;
    }
    statements.slots.delete(slot);
    const taken: AddressEntry[] = [];
    for (const { mac, addresses } of entries ?? []) {
      if (this.#options.isReserved(mac) && mac !== macOfPeer(peer)) continue;
      const room = MAX_ADDRESSES_PER_PEER - statements.count;
      const claim: Claim = { peer, slot, mac };
      const fit = addresses.slice(0, room).filter((address) => this.#state(address, claim));
      statements.count += fit.length;
      if (fit.length > 0) taken.push({ mac, addresses: fit });
    }
    if (taken.length > 0) statements.slots.set(slot, taken);
    if (statements.slots.size > 0) this.#byPeer.set(peer, statements);
    else this.#byPeer.delete(peer);
  }

  /** MACs, others than its own, that the peer's records name. */
  macsOf(peer: PeerId): ReadonlySet<Mac> {
    const macs = new Set<Mac>();
    for (const entries of this.#byPeer.get(peer)?.slots.values() ?? []) {
      for (const { mac } of entries) if (!this.#options.isReserved(mac)) macs.add(mac);
    }
    return macs;
  }

  /** The one who says to have an address and may; undefined: nobody, or several. */
  holderOf(address: string): PeerId | undefined {
    const [first, second] = this.#valid(address);
    return second === undefined ? first?.peer : undefined;
  }

  /** Titles changed: who may have an address is looked at again where titles have a say. */
  touchGrantable(): void {
    for (const address of this.#grantable) this.#dirty.add(address);
  }

  /** Titles have a say elsewhere now. */
  touchAll(): void {
    for (const address of this.#claims.keys()) this.#dirty.add(address);
    for (const address of this.#own.keys()) this.#dirty.add(address);
  }

  /** What takes all of it out of the table. */
  clear(): TableEntry[] {
    const { network } = this.#options;
    const addresses = [...this.#applied.keys(), ...this.#guarded.keys()];
    this.#applied.clear();
    this.#guarded.clear();
    return addresses.map((address) => ({ kind: 'neighbourRemove', network, address }));
  }

  /** What must change in the table. */
  update(): TableEntry[] {
    const { network } = this.#options;
    const entries: TableEntry[] = [];
    for (const address of this.#dirty) {
      const isKnown = this.#claims.has(address) || this.#own.has(address);
      if (isKnown && this.#options.isGrantable(address)) this.#grantable.add(address);
      else this.#grantable.delete(address);
      const mac = this.#macOf(address);
      const isGuarded = mac !== undefined && this.#options.isOneOwners(address);
      const [now, other] = isGuarded
        ? [this.#guarded, this.#applied]
        : [this.#applied, this.#guarded];
      const wasOther = other.delete(address);
      if (!wasOther && mac === now.get(address)) continue;
      if (mac === undefined) {
        now.delete(address);
        entries.push({ kind: 'neighbourRemove', network, address });
      } else {
        now.set(address, mac);
        entries.push({ kind: 'neighbourSet', network, address, mac, isGuarded });
      }
    }
    this.#dirty.clear();
    return entries;
  }

  #macOf(address: string): Mac | undefined {
    const own = this.#own.get(address);
    if (own !== undefined) {
      // Nobody is answered for this host; it is there to be guarded.
      const { selfId, mayHave, isOneOwners } = this.#options;
      return isOneOwners(address) && mayHave(selfId, address) ? own : undefined;
    }
    const [first, ...others] = this.#valid(address);
    return others.every(({ mac }) => mac === first?.mac) ? first?.mac : undefined;
  }

  #valid(address: string): readonly Claim[] {
    return this.#claimsOf(address).filter(({ peer }) => this.#options.mayHave(peer, address));
  }

  /** False: there is no room for it. */
  #state(address: string, claim: Claim): boolean {
    const before = this.#claimsOf(address);
    if (before.length === 0 && this.#claims.size >= MAX_ADDRESSES) return false;
    this.#claims.set(address, before.length === 0 ? claim : [...before, claim]);
    this.#dirty.add(address);
    return true;
  }

  #claimsOf(address: string): readonly Claim[] {
    const claims = this.#claims.get(address) ?? [];
    return 'peer' in claims ? [claims] : claims;
  }

  #withdraw(address: string, peer: PeerId, slot: Claim['slot']): void {
    const before = this.#claimsOf(address);
    const kept = before.filter((claim) => claim.peer !== peer || claim.slot !== slot);
    const [first, second] = kept;
    if (!first) this.#claims.delete(address);
    else this.#claims.set(address, second ? kept : first);
    this.#dirty.add(address);
  }
}
