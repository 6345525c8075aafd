import type { EventDocument } from '../api/control.js';
import type { DataPlaneEvent, PeerSlot, TableEntry } from '../dataplane/dataplane.js';
import { Ethernet, type OwnRecord, type EthernetOptions } from '../ethernet/ethernet.js';
import { FLOOD_COPIES } from '../ethernet/constants.js';
import { FloodTree } from '../ethernet/flood-tree.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import {
  canonicalAddress,
  cidrHas,
  parseAddress,
  parseCidr,
  type IpAddress,
} from '../model/cidr.js';
import { DEFAULT_NETWORK_ID, type NetworkId } from '../model/network.js';
import { macOfPeer, type PeerId } from '../model/peer-id.js';
import { bodyOfRecord, keyOfRecord, type SignedRecord } from '../records/signed-record.js';
import type { AddressEntry } from '../wire/address-record.js';
import { networkOfKey } from '../wire/group-record.js';
import { macOfKey } from '../wire/mac-record.js';
import { decodeNameKey } from '../wire/name-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { MeshIpam } from './mesh-ipam.js';
import type { MeshNetworks } from './mesh-networks.js';
import { meshIpv6 } from './own-address.js';
import type { RecordRoom, SayRecord } from './record-room.js';

/*
 * The bridges of this host's networks between the data plane, the links and the records, one machine of ethernet/ for
 * each network that is open here. Of a network beside the default one it also keeps who else is on it in the tables:
 *
 *   records of kind network ─► members ─► membersSet, and the MACs of their bridges (fdbSet)
 */

const KINDS = [RECORD_KIND.GROUP, RECORD_KIND.LOCATION, RECORD_KIND.ADDRESS] as const;
type Kind = (typeof KINDS)[number];

export interface MeshEthernetComponents {
  readonly links: Links;
  /** Undefined: on that network anybody may have any address. */
  readonly ipamOf: (
    network: NetworkId,
  ) =>
    | Pick<MeshIpam, 'mayHave' | 'isTitled' | 'isGrantable' | 'titleRevision' | 'grantableRanges'>
    | undefined;
  /** Whom this node chose to have sessions with, in a large mesh. */
  readonly neighbours: () => readonly PeerId[];
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  readonly networks: Pick<MeshNetworks, 'members' | 'revision'>;
  /** What is said now, by anybody. */
  readonly recordsOf: (kind: number) => Iterable<SignedRecord>;
}

export interface MeshEthernetOptions {
  /** Members that a flood is copied to one by one. */
  readonly floodCopies?: number | undefined;
  readonly selfId: PeerId;
  readonly meshId: Uint8Array;
  readonly nowMs: number;
}

interface Open {
  readonly ethernet: Ethernet;
  /** Of other members, whose bridges' MACs are in the table; of the default network mesh-node.ts sets them. */
  readonly declared: Map<PeerId, PeerSlot>;
  /** As the data plane was told last. */
  members: string;
}

export class MeshEthernet {
  /** For the records: one a kind. */
  readonly rooms: readonly RecordRoom[];
  readonly #components: MeshEthernetComponents;
  readonly #selfId: PeerId;
  readonly #meshId: Uint8Array;
  readonly #open = new Map<NetworkId, Open>();
  /** Ports without lengths: all are said whenever one changes. */
  readonly #bare = new WeakMap<AddressEntry, AddressEntry>();
  #unsaid: OwnRecord[] = [];
  /** Takes what was set of closed networks out of the tables. */
  #unset: TableEntry[] = [];
  readonly #tree: FloodTree;
  #seen = '';
  #titleRevision = 0;
  #grantableRanges = '';

  /** The default network is open from the start. */
  constructor(components: MeshEthernetComponents, options: MeshEthernetOptions) {
    this.#components = components;
    this.#selfId = options.selfId;
    this.#meshId = options.meshId;
    const { selfId, floodCopies = FLOOD_COPIES } = options;
    this.#tree = new FloodTree({ selfId, limit: floodCopies });
    this.rooms = KINDS.map((kind) => this.#makeRoom(kind));
    this.#make(DEFAULT_NETWORK_ID, options.nowMs);
  }

  get nextDeadlineMs(): number {
    if (this.#titleRevision !== this.#titleRevisionNow) return 0;
    let next = Number.POSITIVE_INFINITY;
    for (const { ethernet } of this.#open.values()) next = Math.min(next, ethernet.nextDeadlineMs);
    return next;
  }

  /** The data plane has it open. */
  open(network: NetworkId, nowMs: number): void {
    const ethernet = this.#make(network, nowMs);
    for (const kind of KINDS) {
      for (const record of this.#components.recordsOf(kind)) {
        const key = keyOfRecord(record);
        if (networkOf(kind, key) !== network || record.owner === this.#selfId) continue;
        ethernet.onRecord(record.owner, kind, key, bodyOfRecord(record));
      }
    }
  }

  /** The data plane closes it: what we said of it is withdrawn, and what we set there goes. */
  close(network: NetworkId): void {
    const open = this.#open.get(network);
    if (!open) return;
    this.#open.delete(network);
    for (const entry of open.ethernet.clear()) this.#unset.push(entry);
    for (const id of open.declared.keys()) {
      this.#unset.push({ kind: 'fdbRemove', network, mac: macOfPeer(id) });
    }
    this.#unset.push({ kind: 'membersSet', network, peers: [] });
    this.#unsaid = this.#unsaid.filter(({ kind, key }) => networkOf(kind, key) !== network);
    for (const kind of KINDS) {
      for (const record of this.#components.recordsOf(kind)) {
        const key = keyOfRecord(record);
        if (record.owner !== this.#selfId || networkOf(kind, key) !== network) continue;
        this.#unsaid.push({ kind, key, body: undefined });
      }
    }
  }

  /**
   * What is attached to this host, and exposed on its bridge; addresses with or without length. Nothing happens while
   * the network is not open.
   */
  setPorts(network: NetworkId, ports: readonly AddressEntry[]): void {
    this.#open.get(network)?.ethernet.setPorts(ports.map((port) => this.#bareOf(port)));
  }

  #bareOf(port: AddressEntry): AddressEntry {
    const known = this.#bare.get(port);
    if (known) return known;
    const bare = { mac: port.mac, addresses: bareAddresses(port.addresses) };
    this.#bare.set(port, bare);
    return bare;
  }

  /** This node's own addresses on the default network, cidr texts. */
  setOwnAddresses(cidrs: readonly string[]): void {
    this.#default?.setOwnAddresses(bareAddresses(cidrs));
  }

  /** A member said its own addresses, cidr texts; undefined: it is gone. */
  onMember(peer: PeerId, cidrs: readonly string[] | undefined): void {
    this.#tree.setMember(peer, cidrs !== undefined);
    this.#default?.setNodeAddresses(peer, bareAddresses(cidrs ?? []));
  }

  /** Floods of the default network go from neighbour to neighbour: a session with everybody is not wanted. */
  get hasTree(): boolean {
    return this.#tree.isOn;
  }

  /** Who says to have an address of the default network, text without length, and may. */
  holderOf(address: string): PeerId | undefined {
    return this.#default?.holderOf(address);
  }

  onEvent(event: DataPlaneEvent, nowMs: number): void {
    if (event.kind !== 'membership' && event.kind !== 'macClaim') return;
    this.#open.get(event.network)?.ethernet.onEvent(event, nowMs);
  }

  /** Once a turn. */
  onDeadline(nowMs: number, out: Actions): void {
    for (const entry of this.#unset) out.table(entry);
    this.#unset = [];
    this.#follow(out);
    const titleRevision = this.#titleRevisionNow;
    if (titleRevision !== this.#titleRevision) {
      const ranges = this.#grantableRangesNow;
      const areSame = ranges === this.#grantableRanges;
      this.#grantableRanges = ranges;
      for (const { ethernet } of this.#open.values()) ethernet.onTitles(areSame);
    }
    this.#titleRevision = titleRevision;
    for (const { ethernet } of this.#open.values()) {
      if (nowMs < ethernet.nextDeadlineMs) continue;
      const { entries, sends, records, events } = ethernet.onDeadline(nowMs);
      for (const entry of entries) out.table(entry);
      for (const item of sends) out.send(item);
      for (const event of events) this.#components.emit(event);
      this.#unsaid.push(...records);
    }
  }

  /** Who can be sent to, and who is on which network. */
  #follow(out: Actions): void {
    const { links, networks } = this.#components;
    const seen = `${links.revision}/${networks.revision}/${this.#tree.isOn}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    const reachable = links.peers.filter((peer) => peer.isReachable);
    for (const [network, open] of this.#open) {
      if (network === DEFAULT_NETWORK_ID) {
        open.ethernet.setPeers(reachable);
        const chosen = new Set(this.#components.neighbours());
        for (const entry of this.#tree.update(reachable, chosen)) out.table(entry);
        continue;
      }
      const members = new Set(networks.members(network));
      open.ethernet.setPeers(reachable.filter(({ id }) => members.has(id)));
      this.#setMembers(network, open, members, out);
    }
  }

  /** Those without a link, too: a flood they did not get makes them dialled. */
  #setMembers(network: NetworkId, open: Open, members: ReadonlySet<PeerId>, out: Actions): void {
    const slots = new Map<PeerId, PeerSlot>();
    for (const id of members) {
      const slot = this.#components.links.slotOf(id);
      if (slot !== undefined) slots.set(id, slot);
    }
    for (const [id, slot] of open.declared) {
      if (slots.get(id) === slot) continue;
      open.declared.delete(id);
      out.table({ kind: 'fdbRemove', network, mac: macOfPeer(id) });
    }
    for (const [id, slot] of slots) {
      if (open.declared.has(id)) continue;
      open.declared.set(id, slot);
      out.table({ kind: 'fdbSet', network, mac: macOfPeer(id), peer: slot });
    }
    const peers = [...slots.values()].sort((a, b) => a - b);
    if (peers.join() === open.members) return;
    open.members = peers.join();
    out.table({ kind: 'membersSet', network, peers });
  }

  #make(network: NetworkId, nowMs: number): Ethernet {
    const ethernet = new Ethernet({
      ...{ network, selfId: this.#selfId, nowMs },
      ...this.#makeRules(network),
    });
    this.#open.set(network, { ethernet, declared: new Map(), members: '' });
    this.#seen = '';
    return ethernet;
  }

  get #default(): Ethernet | undefined {
    return this.#open.get(DEFAULT_NETWORK_ID)?.ethernet;
  }

  /** Of the titles of all networks that are open. */
  get #titleRevisionNow(): number {
    let sum = 0;
    for (const network of this.#open.keys()) {
      sum += this.#components.ipamOf(network)?.titleRevision ?? 0;
    }
    return sum;
  }

  get #grantableRangesNow(): string {
    const open = [...this.#open.keys()];
    return open
      .map((network) => `${network} ${this.#components.ipamOf(network)?.grantableRanges ?? ''}`)
      .join(';');
  }

  /**
   * Addresses of pools are their title's holder's. On the default network an address of the nodes' IPv6 /64 is the node's
   * whose id it follows from. Nobody else may use either.
   */
  #makeRules(network: NetworkId): Pick<EthernetOptions, 'mayHave' | 'isGrantable' | 'isOneOwners'> {
    const isDefault = network === DEFAULT_NETWORK_ID;
    const nodes = isDefault ? parseCidr(meshIpv6(this.#selfId, this.#meshId), 'cut') : undefined;
    const isNodes = (address: IpAddress): boolean => nodes !== undefined && cidrHas(nodes, address);
    return {
      mayHave: (peer, text) => {
        const address = parseAddress(text);
        if (!address || this.#components.ipamOf(network)?.mayHave(peer, address) === false) {
          return false;
        }
        return !isNodes(address) || meshIpv6(peer, this.#meshId).split('/')[0] === text;
      },
      isGrantable: (text) => {
        const address = parseAddress(text);
        return !!address && this.#components.ipamOf(network)?.isGrantable(address) === true;
      },
      isOneOwners: (text) => {
        const address = parseAddress(text);
        if (!address) return false;
        return isNodes(address) || this.#components.ipamOf(network)?.isTitled(address) === true;
      },
    };
  }

  #makeRoom(kind: Kind): RecordRoom {
    const hasUnsaid = (): boolean => this.#unsaid.some((record) => record.kind === kind);
    return {
      kind,
      onWork: () => undefined,
      onChange: ({ owner, key, record }) => {
        this.#onRecord(owner, kind, key, record);
      },
      get nextDeadlineMs() {
        return hasUnsaid() ? 0 : Number.POSITIVE_INFINITY;
      },
      onDeadline: (_nowMs: number, say: SayRecord) => {
        for (const record of this.#unsaid) {
          if (record.kind === kind) say(kind, record.key, record.body);
        }
        this.#unsaid = this.#unsaid.filter((record) => record.kind !== kind);
      },
    };
  }

  #onRecord(owner: PeerId, kind: Kind, key: Uint8Array, record: SignedRecord | undefined): void {
    const network = networkOf(kind, key);
    const open = network === undefined ? undefined : this.#open.get(network);
    if (open) open.ethernet.onRecord(owner, kind, key, record && bodyOfRecord(record));
    // Of an earlier run of ours, which had something on that network.
    else if (owner === this.#selfId && record) this.#unsaid.push({ kind, key, body: undefined });
  }
}

function networkOf(kind: number, key: Uint8Array): NetworkId | undefined {
  if (kind === RECORD_KIND.GROUP) return networkOfKey(key);
  return kind === RECORD_KIND.ADDRESS ? decodeNameKey(key)?.network : macOfKey(key)?.network;
}

/** Canonical, without length; what is none is left out. */
function bareAddresses(cidrs: readonly string[]): readonly string[] {
  return cidrs.flatMap((cidr) => canonicalAddress(cidr.split('/')[0] ?? '') ?? []);
}
