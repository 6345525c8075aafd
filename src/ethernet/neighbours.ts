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
 */

export interface NeighboursOptions {
  readonly network: number;
  /** A node's own MAC, that no other may name. */
  readonly isReserved: (mac: Mac) => boolean;
  /** Addresses of pools are their title's holder's (docs/protocol.md §9). */
  readonly mayHave: (peer: PeerId, address: string) => boolean;
}

/** A node's own, or a page of its address records. */
export type StatementSlot = 'node' | number;

interface Claim {
  readonly peer: PeerId;
  readonly slot: StatementSlot;
  readonly mac: Mac;
}

interface PeerStatements {
  readonly slots: Map<StatementSlot, readonly AddressEntry[]>;
  count: number;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #byPeer = new Map<PeerId, PeerStatements>();
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #dirty = new Set<string>();
  /** In the data plane's table. */
  readonly #applied = new Map<string, Mac>();
  #own: ReadonlySet<string> = new Set();

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Addresses of this host, without length. */
  setOwn(addresses: readonly string[]): void {
    const own = new Set(addresses);
    for (const address of [...this.#own, ...own]) {
      if (this.#own.has(address) !== own.has(address)) this.#dirty.add(address);
    }
    this.#own = own;
  }

  /** A node's own addresses, without length. */
  setNode(peer: PeerId, addresses: readonly string[]): void {
    const entry = { mac: macOfPeer(peer), addresses };
    this.setPage(peer, 'node', addresses.length > 0 ? [entry] : undefined);
  }

  /** A record of the peer, as it is now; undefined: there is none. */
  setPage(peer: PeerId, slot: StatementSlot, entries: readonly AddressEntry[] | undefined): void {
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

  /** Titles changed: who may have an address is looked at again. */
  touchAll(): void {
    for (const address of this.#claims.keys()) this.#dirty.add(address);
  }

  /** What takes all of it out of the table. */
  clear(): TableEntry[] {
    const { network } = this.#options;
    const addresses = [...this.#applied.keys()];
    this.#applied.clear();
    return addresses.map((address) => ({ kind: 'neighbourRemove', network, address }));
  }

  /** What must change in the table. */
  update(): TableEntry[] {
    const { network } = this.#options;
    const entries: TableEntry[] = [];
    for (const address of this.#dirty) {
      const mac = this.#macOf(address);
      if (mac === this.#applied.get(address)) continue;
      if (mac === undefined) {
        this.#applied.delete(address);
        entries.push({ kind: 'neighbourRemove', network, address });
      } else {
        this.#applied.set(address, mac);
        entries.push({ kind: 'neighbourSet', network, address, mac });
      }
    }
    this.#dirty.clear();
    return entries;
  }

  #macOf(address: string): Mac | undefined {
    if (this.#own.has(address)) return undefined;
    const [first, ...others] = this.#valid(address);
    return others.every(({ mac }) => mac === first?.mac) ? first?.mac : undefined;
  }

  #valid(address: string): readonly Claim[] {
    const claims = this.#claims.get(address) ?? [];
    return claims.filter(({ peer }) => this.#options.mayHave(peer, address));
  }

  /** False: there is no room for it. */
  #state(address: string, claim: Claim): boolean {
    const before = this.#claims.get(address);
    if (!before && this.#claims.size >= MAX_ADDRESSES) return false;
    this.#claims.set(address, before ? [...before, claim] : [claim]);
    this.#dirty.add(address);
    return true;
  }

  #withdraw(address: string, peer: PeerId, slot: StatementSlot): void {
    const before = this.#claims.get(address) ?? [];
    const kept = before.filter((claim) => claim.peer !== peer || claim.slot !== slot);
    if (kept.length > 0) this.#claims.set(address, kept);
    else this.#claims.delete(address);
    this.#dirty.add(address);
  }
}
