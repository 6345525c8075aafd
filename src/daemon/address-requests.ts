import type { IpamDocument } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import { DEFAULT_NETWORK } from '../crypto/mesh.js';
import type { IpamActions, Outcome, Refusal } from '../ipam/actions.js';
import type { Ipam, Want } from '../ipam/ipam.js';
import { intersect, subtract } from '../ipam/space.js';
import {
  canonicalAddress,
  cidrHas,
  cidrsEqual,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  parseAddress,
  parseCidr,
  type AddressRange,
  type IpAddress,
} from '../model/cidr.js';
import type { NetworkDefinition } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { NoAddresses } from '../workload/no-addresses.js';
import type { AddressSource, OwnedAddresses } from '../workload/ports.js';
import {
  heldElsewhere,
  inNoPool,
  mustBeUsablePool,
  mustParsePool,
  mustParseRange,
  noSuchPool,
  notASubnet,
  nothingLeft,
  refusedError,
  stillInUse,
  type PoolHolders,
  type Purpose,
} from './address-answers.js';
import { ipamDocument } from './ipam-document.js';

/*
 * What this host asks of a network's address management: its workloads for addresses, its operator for reservations and
 * pools. Texts come in and are judged here; the machine (mesh-ipam.ts) is asked in the loop; what it refuses becomes an
 * error that says who is in the way (address-answers.ts).
 */

/** Addresses without length, canonical, by owner. */
export type KeptAddresses = ReadonlyMap<string, ReadonlySet<string>>;

/** The machine in the loop. */
export interface AddressMachine {
  /** Undefined before the start. */
  readonly ipam: Ipam | undefined;
  /** Answered within 2 s, though other nodes are asked. */
  request(owner: string, want: Want): Promise<Outcome>;
  /** In the loop. Refused before the start; rejects with what `act` throws. */
  run(act: (ipam: Ipam, actions: IpamActions, nowMs: number) => void): Promise<Refusal | undefined>;
  /** As AddressSource says; before the start: at the start. */
  keep(owned: KeptAddresses): void;
  release(owner: string, address: IpAddress): void;
}

export interface AddressRequestsComponents {
  /** How people call a peer. */
  readonly nameOf: (peer: PeerId) => string;
  /** Own addresses of nodes, of this one too. */
  readonly nodeAddresses: () => readonly string[];
  /** Who has an address on this host, as people call it. */
  readonly userOf: (network: string, address: string) => string | undefined;
  /** Refuses a range that cannot be a pool on this host, beside the pools there are. @throws OVL_POOL_OVERLAP */
  readonly admitPool: (range: string, pools: readonly string[]) => Promise<void>;
}

export interface AddressRequestsOptions {
  readonly self: PeerId;
  /** Where addresses come from unless asked otherwise; undefined: from any pool. */
  readonly defaultSubnet?: string | undefined;
  /** Whose addresses these are; undefined: the default one's. */
  readonly network?: NetworkDefinition;
}

export class AddressRequests implements AddressSource {
  readonly #machine: AddressMachine;
  readonly #components: AddressRequestsComponents;
  readonly #options: AddressRequestsOptions;

  constructor(
    machine: AddressMachine,
    components: AddressRequestsComponents,
    options: AddressRequestsOptions,
  ) {
    this.#machine = machine;
    this.#components = components;
    this.#options = options;
  }

  get #ipam(): Ipam | undefined {
    return this.#machine.ipam;
  }

  get #network(): string {
    return this.#options.network?.name ?? DEFAULT_NETWORK;
  }

  // ── for what is attached and exposed ─────────────────────────────────────────────────────────────────────────────

  async give(owner: string, subnet: string | undefined): Promise<string> {
    const { network } = this.#options;
    if (network?.subnets.length === 0 && this.#ipam && this.pools.length === 0) {
      return new NoAddresses(network.name).give(owner, subnet);
    }
    const text = subnet ?? this.#options.defaultSubnet;
    const cidr = text === undefined ? undefined : parseCidr(text, 'cut');
    if (text !== undefined && !cidr) throw notASubnet(text);
    const outcome = await this.#machine.request(owner, { kind: 'any', subnet: cidr });
    if (outcome.ok) return `${formatAddress(outcome.address)}/${outcome.bits}`;
    throw this.#refused('give', text ?? '', outcome.refusal);
  }

  async claim(owner: string, cidr: string): Promise<void> {
    const address = parseAddress(cidr.split('/')[0] ?? '');
    if (!address) return;
    const outcome = await this.#machine.request(owner, { kind: 'address', address });
    if (outcome.ok || outcome.refusal.code === 'outside') return;
    throw this.#refused('give', cidr, outcome.refusal);
  }

  release(owner: string, cidr: string): void {
    const address = parseAddress(cidr.split('/')[0] ?? '');
    if (address) this.#machine.release(owner, address);
  }

  keep(owned: OwnedAddresses): void {
    const addressesOf = (cidrs: readonly string[]): ReadonlySet<string> =>
      new Set(cidrs.flatMap((cidr) => canonicalAddress(cidr.split('/')[0] ?? '') ?? []));
    this.#machine.keep(new Map([...owned].map(([owner, cidrs]) => [owner, addressesOf(cidrs)])));
  }

  // ── for operators ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ranges of the pools there are, cidr texts. */
  get pools(): readonly string[] {
    return (this.#ipam?.ledger.pools() ?? []).map(({ range }) => formatCidr(range));
  }

  document(): IpamDocument {
    const [{ self }, { nameOf }] = [this.#options, this.#components];
    return ipamDocument(this.#ipam, { self, network: this.#network, nameOf });
  }

  /**
   * Keeps addresses from being handed out, by anybody: `a`, `a-b` or a cidr, without those that are excepted.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE, with nothing changed
   */
  async reserve(text: string, except: readonly string[]): Promise<void> {
    const { family, ...whole } = mustParseRange(text);
    const holes = except.map((other) => mustParseRange(other));
    const left = subtract(
      [whole],
      holes.filter((hole) => hole.family === family),
    );
    if (left.length === 0) throw nothingLeft(text, holes);
    const ranges = left.map((range) => ({ family, ...range }));
    const outcome = await this.#machine.request('', { kind: 'reserve', ranges });
    if (!outcome.ok) throw this.#refused('reserve', text, outcome.refusal);
  }

  /**
   * Takes back what is reserved of a range. No error when nothing was, as long as nothing else stands where it would.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE where it is in use here, OVL_ADDRESS_UNAVAILABLE where it is others'
   */
  async unreserve(text: string): Promise<void> {
    const range = mustParseRange(text);
    await this.#run((ipam, actions, nowMs) => {
      if (!ipam.reserved().some((other) => haveCommon(other, range))) {
        this.#mustBeFree(text, range, ipam);
      }
      ipam.unreserve(range, nowMs, actions);
    });
  }

  #mustBeFree(text: string, range: AddressRange, ipam: Ipam): void {
    const { nameOf, nodeAddresses } = this.#components;
    const { first } = range;
    const isOne = first === range.last;
    const address = { family: range.family, value: first };
    const used = ipam.used().find((each) => isIn(range, each.address));
    const own = isOne ? this.#userOf(formatAddress(address)) : undefined;
    if (used) throw stillInUse(text, used.address, this.#userOf(formatAddress(used.address)));
    if (own !== undefined) throw stillInUse(text, address, own);
    const isNode = (cidr: string): boolean => {
      const node = parseAddress(cidr.split('/')[0] ?? '');
      return node?.family === address.family && node.value === first;
    };
    if (isOne && nodeAddresses().some(isNode)) throw stillInUse(text, address, 'a node as its own');
    const { ledger } = ipam;
    const spans = ledger
      .pools()
      .flatMap((pool) =>
        pool.range.family === range.family
          ? ledger.spans(pool.id).filter((span) => intersect(span, range) !== undefined)
          : [],
      );
    const [head] = spans;
    if (!head) throw inNoPool(text);
    if (spans.some(({ title }) => title.holder === this.#options.self)) return;
    throw heldElsewhere(text, nameOf(head.title.holder));
  }

  /** One more pool. @throws OVL_ADDRESS_INVALID for a range that overlaps another, OVL_POOL_OVERLAP */
  async addPool(text: string): Promise<void> {
    const range = mustParsePool(text);
    const { pools } = this;
    if (pools.includes(formatCidr(range))) return;
    mustBeUsablePool(text, range);
    await this.#components.admitPool(formatCidr(range), pools);
    await this.#run((ipam, actions, nowMs) => {
      const other = ipam.addPool(range, nowMs, actions);
      if (!other || cidrsEqual(other.range, range)) return;
      const cure = 'Choose a range beside it.';
      const message = `${text} overlaps the pool ${formatCidr(other.range)}`;
      throw new OverlayError('OVL_ADDRESS_INVALID', message, { value: text, cure });
    });
  }

  /**
   * Ends a pool. No error when there is none.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE naming an address that is, OVL_ADDRESS_UNAVAILABLE
   */
  async removePool(text: string): Promise<void> {
    const pool = mustParsePool(text);
    const node = this.#components.nodeAddresses().find((cidr) => {
      const address = parseAddress(cidr.split('/')[0] ?? '');
      return address !== undefined && cidrHas(pool, address);
    });
    const ranges = this.#ipam?.ledger.pools().map(({ range }) => range) ?? [];
    const isPool = ranges.some((range) => cidrsEqual(range, pool));
    const near = ranges.find((range) => cidrsOverlap(range, pool));
    if (!isPool && near) throw noSuchPool(text, near);
    if (isPool && node !== undefined) {
      throw new OverlayError(
        'OVL_ADDRESS_IN_USE',
        `The pool ${text} cannot be removed: ${node} is a node's own address`,
        { value: text, cure: 'Start that node with another --ipalloc-range or --address first.' },
      );
    }
    const outcome = await this.#machine.request('', { kind: 'end', pool });
    if (!outcome.ok) throw this.#refused('end', text, outcome.refusal);
  }

  /** @throws OVL_ADDRESS_UNAVAILABLE before the start; what `act` throws */
  async #run(act: (ipam: Ipam, actions: IpamActions, nowMs: number) => void): Promise<void> {
    const refusal = await this.#machine.run(act);
    if (refusal) throw this.#refused('give', '', refusal);
  }

  #refused(purpose: Purpose, value: string, refusal: Refusal): OverlayError {
    const { peer, address } = refusal;
    const isUs = peer === this.#options.self;
    return refusedError(purpose, value, refusal, {
      peer: peer && !isUs ? ` (${this.#components.nameOf(peer)})` : '',
      user: address && this.#userOf(address),
      pools: refusal.code === 'full' ? this.#holdersAround(value) : [],
    });
  }

  /** Of the pools that an address of `text` could come from; of all when it names none. */
  #holdersAround(text: string): readonly PoolHolders[] {
    const wanted = parseCidr(text, 'cut');
    const pools = this.#ipam?.pools() ?? [];
    return pools
      .filter(({ pool }) => !wanted || cidrsOverlap(pool.range, wanted))
      .map(({ pool, holders }) => ({
        range: pool.range,
        holders: holders.map(({ peer, addresses }) => {
          const isUs = peer === this.#options.self;
          return { name: isUs ? 'this node' : this.#components.nameOf(peer), addresses };
        }),
      }));
  }

  #userOf(address: string): string | undefined {
    return this.#components.userOf(this.#network, address);
  }
}

function isIn({ family, first, last }: AddressRange, address: IpAddress): boolean {
  return address.family === family && first <= address.value && address.value <= last;
}

function haveCommon(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && intersect(a, b) !== undefined;
}
