import type { AttachmentReport, AttachRequest } from '../model/attachment.js';
import type { EventCode } from './event-codes.js';

/*
 * What the daemon answers to overlayctl and to scripts. The names of the documents' fields are frozen: a field may be
 * added, none is renamed or removed while SCHEMA_VERSION is 1. Absent knowledge is `null`, never a missing key or a
 * zero. `schemas.ts` holds the same shapes for the side that reads them.
 */

export const SCHEMA_VERSION = 1;

/** Life of the link to a peer or contact, as operators see it. */
export const LINK_STATES = [
  'connecting',
  'handshaking',
  'established',
  'idle',
  'retrying',
  'rejected',
] as const;
export type LinkState = (typeof LINK_STATES)[number];

export const PATH_KINDS = ['direct', 'relay', 'tcp'] as const;
export type PathKind = (typeof PATH_KINDS)[number];

/** `untried`: no PING sent yet · `probing`: asked, no answer so far · `working`: answers · `dead`: stopped answering. */
export const PATH_STATES = ['untried', 'probing', 'working', 'dead'] as const;
export type PathState = (typeof PATH_STATES)[number];

/** A standing condition that hurts until someone acts on `cure`. */
export interface WarningDocument {
  readonly code: string;
  readonly message: string;
  readonly cure: string;
}

/** An endpoint somebody told us to dial (`--peer`, `connect`): where dialling it stands. */
export interface ContactDocument {
  /** `host:port` or `[v6]:port`, the port always present. */
  readonly contact: string;
  readonly state: LinkState;
  /** Id of the peer that answered there. */
  readonly peer: string | null;
  /** Why there is no link, for people: "wrong password", "no answer", … */
  readonly reason: string | null;
}

export interface SelfDocument {
  /** 32 hex digits. */
  readonly id: string;
  readonly nickname: string;
  /** Own addresses with prefix length, on the default network. */
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly ifname: string;
  /** Bytes of IP packet on the overlay interface. */
  readonly mtu: number;
  /** UDP port really bound. */
  readonly port: number;
  readonly pid: number;
  readonly version: string;
}

/** Addresses of this host on the overlay, beside the node's own. */
export interface ExposuresDocument {
  /** With length. */
  readonly addresses: readonly string[];
  readonly masquerade: boolean;
  /** Relative to the domain. */
  readonly name: string | null;
}

/** What `status` says of the parts beside the node. */
export interface StatusSections {
  /** Targets on this host, by state. */
  readonly attachments: { readonly attached: number; readonly waiting: number };
  readonly ipam: {
    /** `waiting`: the heir of a peer that is gone needs an answer of `waitingFor` first. */
    readonly state: 'no pool' | 'ready' | 'waiting';
    readonly pools: readonly string[];
    /** Addresses in use on this host; `lost` of them are another's now. */
    readonly used: number;
    readonly lost: number;
    /** Ranges kept by this host. */
    readonly reserved: readonly string[];
    /** Addresses used on two hosts. */
    readonly clashes: number;
    /** Names of peers. */
    readonly waitingFor: readonly string[];
  };
  readonly dns: {
    readonly domain: string;
    /** Where targets of this host ask; empty: no server runs here. */
    readonly servers: readonly string[];
    /** Whom the server asks for all other names. */
    readonly upstreams: readonly string[];
    readonly ttlSeconds: number;
    /** In the mesh, of networks of this host. */
    readonly names: number;
  };
  readonly exposures: ExposuresDocument;
  readonly networks: {
    /** Of the mesh, the default one included. */
    readonly known: number;
    /** Names of those beside the default one that something on this host is on. */
    readonly used: readonly string[];
  };
}

type Sections<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** Sections are left out by a daemon that has no such part. */
export interface StatusDocument extends Sections<StatusSections> {
  readonly schema: typeof SCHEMA_VERSION;
  /** Sockets bound, bridge up, address set, API answering. */
  readonly ready: boolean;
  readonly self: SelfDocument;
  readonly mesh: string;
  /** There is no unencrypted mode. */
  readonly encryption: true;
  /** Nodes, this one included. `reachable`: now, by any path. */
  readonly peers: { readonly known: number; readonly reachable: number };
  /** Number of links in each state, zeros included; this node has none to itself. */
  readonly links: Readonly<Record<LinkState, number>>;
  readonly contacts: readonly ContactDocument[];
  readonly warnings: readonly WarningDocument[];
}

export interface PeerDocument {
  readonly id: string;
  readonly nickname: string;
  /** This node: listed first, `state` established, path fields null, byte counts over all peers. */
  readonly self: boolean;
  readonly state: LinkState;
  readonly path: PathKind | null;
  readonly endpoint: string | null;
  readonly addresses: readonly string[];
  /** aes256gcm, chacha20poly1305 or xsalsa20poly1305. */
  readonly cipher: string | null;
  readonly rttMs: number | null;
  /** 0 … 100. */
  readonly lossPct: number | null;
  /** Largest UDP payload of the active path, bytes. */
  readonly pmtu: number | null;
  /** Why the link is not established. */
  readonly reason: string | null;
  readonly txBytes: number;
  readonly rxBytes: number;
}

export interface PeersDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly peers: readonly PeerDocument[];
}

/** How frames to a peer travel now. */
export interface RouteDocument {
  readonly peer: string;
  readonly nickname: string;
  readonly path: PathKind;
  /** Ids of the relays, in order; empty when direct. */
  readonly via: readonly string[];
  readonly rttMs: number | null;
  readonly lossPct: number | null;
  readonly mtu: number;
  /** Milliseconds-like, lower is better (docs/protocol.md §6). */
  readonly cost: number | null;
}

export interface RoutesDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly routes: readonly RouteDocument[];
}

export interface PathCandidateDocument {
  readonly kind: PathKind;
  readonly endpoint: string;
  readonly state: PathState;
  readonly rttMs: number | null;
  readonly lossPct: number | null;
  readonly mtu: number | null;
  readonly cost: number | null;
  /** What the cost is made of, by name: srttMs, rttvarMs, lossFactor, surchargeMs, … */
  readonly terms: Readonly<Record<string, number>>;
}

export interface PathSwitchDocument {
  /** ISO 8601. */
  readonly at: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly reason: string;
}

export interface PathsDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly peer: string;
  readonly nickname: string;
  /** Index into `candidates` of the path in use. */
  readonly active: number | null;
  readonly candidates: readonly PathCandidateDocument[];
  readonly lastSwitch: PathSwitchDocument | null;
}

export interface EventDocument {
  /** Grows by one with each event since the daemon started. */
  readonly seq: number;
  /** ISO 8601. */
  readonly at: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly code: EventCode;
  /** One sentence for people. */
  readonly message: string;
  /** Id of the peer it is about. */
  readonly peer?: string;
  /** What it was called then; absent before it said so. */
  readonly nickname?: string;
  readonly endpoint?: string;
  readonly cure?: string;
  /** Said that many times within a minute, the last time at `at`; absent: once. */
  readonly count?: number;
}

export interface FdbEntryDocument {
  readonly network: number;
  readonly mac: string;
  readonly peer: string;
  readonly declared: boolean;
  readonly ageSeconds: number;
}

export interface DataPlaneDocument {
  readonly port: number;
  readonly localAddresses: readonly string[];
  /** Fastest first. */
  readonly suites: readonly {
    readonly name: string;
    readonly provider: string;
    readonly nsPerPacket: number;
  }[];
  readonly offloads: readonly string[];
  readonly queuePairs: number;
}

/** The documents of `ps`, `ipam status`, `dns list` and `network list`, and what is exposed. */
export interface ReportSections {
  readonly attachments: AttachmentsDocument['attachments'];
  readonly ipam: Omit<IpamDocument, 'schema'>;
  readonly dns: Omit<DnsNamesDocument, 'schema'>;
  readonly exposures: ExposuresDocument;
  readonly networks: NetworksDocument['networks'];
}

/** All of it in one document, to attach to a bug report. Holds addresses and names, no keys and no password. */
export interface ReportDocument extends Sections<ReportSections> {
  readonly schema: typeof SCHEMA_VERSION;
  readonly at: string;
  readonly status: StatusDocument;
  readonly peers: PeersDocument['peers'];
  readonly routes: RoutesDocument['routes'];
  readonly paths: readonly PathsDocument[];
  readonly dataplane: DataPlaneDocument;
  readonly counters: Readonly<Record<string, number>>;
  /** Frames and datagrams dropped, by reason; reasons that never fired may be left out. */
  readonly drops: Readonly<Record<string, number>>;
  readonly fdb: readonly FdbEntryDocument[];
  readonly events: readonly EventDocument[];
}

export interface ConnectOutcome {
  /** The contacts as stored, in the order given: how `StatusDocument.contacts` will name them. */
  readonly contacts: readonly string[];
}

export interface ForgetOutcome {
  readonly removed: readonly string[];
  readonly unknown: readonly string[];
}

export interface RemovalOutcome {
  readonly peer: string;
  readonly nickname: string;
  /**
   * `removed`: in force here, elsewhere once the peer was silent there for a minute. `waiting`: signed, but the peer lives
   * or was heard of; in force when it falls silent, or when another member says so too.
   */
  readonly state: 'removed' | 'waiting';
}

export interface AttachmentsDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly attachments: readonly AttachmentReport[];
  /** The host itself, on each network that it is exposed on; a daemon of an older version leaves it out. */
  readonly exposures?: readonly HostExposureDocument[] | undefined;
}

/** Addresses of the host itself on a network. */
export interface HostExposureDocument extends ExposuresDocument {
  readonly network: string;
  /** The network's bridge. */
  readonly ifname: string;
}

/** Addresses that a command was about; with length but for those of `dns`. */
export interface AddressesOutcome {
  readonly addresses: readonly string[];
}

export interface ExposeBody {
  readonly addresses: readonly string[];
  /** By default the network `default`. */
  readonly network?: string | undefined;
  readonly masquerade?: boolean | undefined;
  readonly name?: string | undefined;
}

/** Targets on this host. */
export interface WorkloadControl {
  attachments(): AttachmentsDocument;
  /** @throws OVL_TARGET_UNKNOWN, OVL_TARGET_CONFLICT, OVL_ADDRESS_…, with nothing changed */
  attach(request: AttachRequest): Promise<AddressesOutcome>;
  /** Gives the host itself addresses. @throws OVL_ADDRESS_…, OVL_NAME_INVALID, with nothing changed */
  expose(body: ExposeBody): Promise<AddressesOutcome>;
  /** No addresses: all. @throws OVL_ADDRESS_INVALID */
  hide(addresses: readonly string[], network?: string): Promise<AddressesOutcome>;
  /** No addresses: all. No network: on all that it is on. @throws OVL_ADDRESS_INVALID, OVL_AMBIGUOUS */
  detach(target: string, addresses: readonly string[], network?: string): Promise<AddressesOutcome>;
}

/** A name in the mesh. */
export interface DnsNameDocument {
  /** With the domain. */
  readonly name: string;
  readonly network: string;
  readonly addresses: readonly string[];
  /** Ids of those who say so. */
  readonly peers: readonly string[];
}

export interface DnsNamesDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly domain: string;
  /** Where targets of this host ask; empty: no server runs here. */
  readonly servers: readonly string[];
  /** Whom the server asks for all other names. */
  readonly upstreams: readonly string[];
  readonly names: readonly DnsNameDocument[];
}

export interface DnsLookupDocument {
  readonly schema: typeof SCHEMA_VERSION;
  /** Addresses of the name; of an address its names. */
  readonly answers: readonly string[];
}

/** Names on the networks of the mesh. Without a network those of the default one are meant. */
export interface DnsControl {
  /** No network: of all. @throws OVL_NOT_FOUND */
  dnsNames(network?: string): DnsNamesDocument;
  /** No network: the default one, and where it has no such name the next. @throws OVL_NOT_FOUND */
  dnsLookup(nameOrAddress: string, network?: string): DnsLookupDocument;
  /** @returns the addresses asked for. @throws OVL_NAME_INVALID, OVL_ADDRESS_INVALID, OVL_NOT_FOUND */
  dnsAdd(name: string, addresses: readonly string[], network?: string): Promise<AddressesOutcome>;
  /** No addresses: all. @returns those that went. @throws OVL_NAME_INVALID, OVL_ADDRESS_INVALID, OVL_NOT_FOUND */
  dnsRemove(
    name: string,
    addresses: readonly string[],
    network?: string,
  ): Promise<AddressesOutcome>;
}

export interface IpamHolderDocument {
  readonly id: string;
  readonly nickname: string;
  readonly self: boolean;
  /** Addresses of the pool that it holds. */
  readonly addresses: number;
  /** Aligned blocks that these are. */
  readonly blocks: number;
  /** Removed, or silent for a whole lease: its heir takes over. */
  readonly gone: boolean;
  /** Names of those who have not said yet that they know. */
  readonly waitingFor: readonly string[];
}

export interface IpamPoolDocument {
  readonly range: string;
  /** Whose addresses these are: ranges of two networks may overlap. */
  readonly network: string;
  readonly id: string;
  readonly titles: number;
  readonly holders: readonly IpamHolderDocument[];
}

export interface IpamDocument {
  readonly schema: typeof SCHEMA_VERSION;
  readonly pools: readonly IpamPoolDocument[];
  /** In use on this host; `owner` is an attachment's id. Not active: the address is another's now. */
  readonly used: readonly {
    readonly address: string;
    readonly network: string;
    readonly owner: string;
    readonly active: boolean;
  }[];
  readonly reserved: readonly string[];
  /** Used on two hosts; `holder` keeps it. Names of peers. */
  readonly clashes: readonly {
    readonly address: string;
    readonly network: string;
    readonly holder: string;
    readonly loser: string;
  }[];
}

/**
 * Address management of the mesh, as far as operators touch it. Without a network the default one is meant; each throws
 * OVL_NOT_FOUND for one that there is not.
 */
export interface IpamControl {
  /** No network: of all. */
  ipam(network?: string): IpamDocument;
  /** Address, `a-b` or cidr, less what is excepted. @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE */
  reserveAddress(range: string, except: readonly string[], network?: string): Promise<void>;
  /**
   * No error when it was not reserved and is free here.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE where the space is another node's
   */
  releaseAddress(range: string, network?: string): Promise<void>;
  /** @throws OVL_ADDRESS_INVALID, OVL_POOL_OVERLAP */
  addPool(range: string, network?: string): Promise<void>;
  /** No error when there is none. @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE */
  removePool(range: string, network?: string): Promise<void>;
}

/** A network as this node knows it. */
export interface NetworkDocument {
  readonly name: string;
  /** 24 bits; 0: the default one. */
  readonly id: number;
  /** Cidr texts; of the default one the pool. None: any address will do. */
  readonly subnets: readonly string[];
  readonly mtu: number;
  /** The bridge on this host; null: nothing is on it here. */
  readonly ifname: string | null;
  /** Targets on this host. */
  readonly targets: readonly string[];
  /** Other nodes that have something on it; of the default one all members. */
  readonly peers: readonly { readonly id: string; readonly nickname: string }[];
}

export interface NetworksDocument {
  readonly schema: typeof SCHEMA_VERSION;
  /** The default one first, then by name. */
  readonly networks: readonly NetworkDocument[];
}

export interface NetworkBody {
  readonly name: string;
  readonly subnets?: readonly string[] | undefined;
  readonly mtu?: number | undefined;
}

/** Ethernet segments of the mesh. */
export interface NetworkControl {
  networks(): NetworksDocument;
  /** No error when it is there as asked for. @throws OVL_NAME_INVALID, OVL_ADDRESS_INVALID, OVL_NETWORK_CONFLICT */
  createNetwork(body: NetworkBody): Promise<NetworkDocument>;
  /** No error when there is none. @throws OVL_NETWORK_IN_USE */
  removeNetwork(name: string): Promise<void>;
}

/** What the API asks of the process. */
export type DaemonControl = NodeControl &
  WorkloadControl &
  DnsControl &
  IpamControl &
  NetworkControl;

/** What a measurement of the path to a peer may last and send. */
export interface BenchWish {
  /** Of each kind of load, 1 … 30. */
  readonly seconds: number;
  /** 10^6 bits a second at most, 1 … 10 000. */
  readonly mbps: number;
}

/** Where the load of an agreed measurement goes. overlayctl makes it. */
export interface BenchPlaceDocument extends BenchWish {
  readonly schema: typeof SCHEMA_VERSION;
  readonly peer: string;
  readonly nickname: string;
  /** The path in use when it was agreed. */
  readonly path: PathKind | null;
  /** Own overlay address to send from, and the peer's. */
  readonly from: string;
  readonly address: string;
  readonly tcp: number;
  readonly udp: number;
  /** Hex, 16 bytes each: what the sender shows, and what the receiver shows in turn. Of this measurement alone. */
  readonly token: string;
  readonly proof: string;
}

/** What it asks of the node. Queries answer from a snapshot; commands go through the daemon's inbox. */
export interface NodeControl {
  status(): StatusDocument;
  peers(): PeersDocument;
  routes(): RoutesDocument;
  /** @throws OVL_NOT_FOUND, OVL_AMBIGUOUS (find-peer.ts) */
  paths(peer: string): PathsDocument;
  report(): ReportDocument;
  /** Stores the contacts and dials them. All or none. @throws OVL_ENDPOINT_INVALID */
  connect(contacts: readonly string[]): Promise<ConnectOutcome>;
  /** @throws OVL_ENDPOINT_INVALID */
  forget(contacts: readonly string[]): Promise<ForgetOutcome>;
  /**
   * Removes a peer from the mesh; one that lives only when `isForced` and named by its full id.
   * @throws OVL_NOT_FOUND, OVL_AMBIGUOUS, OVL_PEER_SELF, OVL_PEER_ALIVE
   */
  removePeer(peer: string, isForced: boolean): Promise<RemovalOutcome>;
  /**
   * Asks a peer whether it takes a load.
   * @throws OVL_NOT_FOUND, OVL_AMBIGUOUS, OVL_BENCH_REFUSED, OVL_BENCH_BUSY, OVL_BENCH_BROKEN, OVL_TIMEOUT
   */
  bench(peer: string, wish: BenchWish): Promise<BenchPlaceDocument>;
  /** Events with a higher `seq` than this, oldest first, from a ring of the last 1 000. */
  events(afterSeq: number): readonly EventDocument[];
  /** @returns the function that ends the subscription. */
  onEvent(callback: (event: EventDocument) => void): () => void;
  /** Removes interface, addresses, contacts and known peers; the identity only of a node that was removed. The daemon then stops. */
  reset(): Promise<void>;
}
