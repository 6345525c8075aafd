import type { Endpoint } from '../model/endpoint.js';
import type { Mac } from '../model/mac.js';
import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';

/*
 * The port to the data plane. Two implementations keep the promises below: native.ts (the addon) and fake.ts
 * (the simulator's); test/contract holds both to them.
 *
 * The control plane decides, the data plane moves bytes and keeps what must not wait for JavaScript: the gate for
 * strangers' datagrams, PING echo, path clocks, receiver reports. Calls carry batches; events are fetched by
 * `drain` after one wake-up. The data plane never calls up for a decision.
 */

/** Our receiver_index of a session: chosen by the control plane, non-zero u32, never reused within 60 s. */
export type SessionIndex = number;
/** Chosen by the control plane, 1 … 4096: the slot of a peer in the tables. */
export type PeerSlot = number;
/** Chosen by the control plane, non-zero u32, unique among live paths. */
export type PathId = number;

export type CipherSuite = 1 | 2 | 4;
export const SUITE_CHACHA20POLY1305 = 1;
export const SUITE_AES256GCM = 2;
export const SUITE_XSALSA20POLY1305 = 4;

export interface DataPlaneConfig {
  /** Name of the TAP to open (created, or adopted when it exists). */
  readonly tapName: string;
  /** MTU of the overlay interface, bytes of IP packet. */
  readonly mtuBytes: number;
  /** UDP port; 0 picks a free one (see `localPort`). */
  readonly port: number;
  /** Literal addresses to bind; empty: any, IPv4 and IPv6. */
  readonly bind: readonly string[];
  readonly meshId: Uint8Array;
  /** Suites offered, for the start-up measurement; the addon's own order of preference comes from `suites()`. */
  readonly suites: readonly CipherSuite[];
  /** Source MACs of frames from peers that are refused: the bridge's and TAP's own. */
  readonly ownMacs: readonly Mac[];
  /** Queue pairs; 0: chosen from the number of CPUs. */
  readonly queuePairs: number;
  /** Cidr texts of the overlay itself: datagrams from there are dropped (the tunnel inside itself). */
  readonly overlayPrefixes?: readonly string[];
}

/** The network that `open` serves, and that control messages belong to. */
export const DEFAULT_NETWORK = 0;
/** Networks open beside the default one. */
export const MAX_NETWORKS = 63;
/** Network ids have 24 bits on the wire. */
export const MAX_NETWORK_ID = 0xffffff;

export interface NetworkConfig {
  /** 1 … 2²⁴ − 1 */
  readonly network: number;
  /** Name of its TAP (created, or adopted when it exists); no other network's. */
  readonly tapName: string;
  /** MTU of its interface, bytes of IP packet. */
  readonly mtuBytes: number;
  /** Source MACs of frames from peers that are refused in it: its bridge's and TAP's own. */
  readonly ownMacs: readonly Mac[];
}

/** Key and iv of one direction in one phase. The data plane copies them; callers zero theirs after `apply`. */
export interface DirectionKey {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** A change of the tables. A batch is all or nothing. */
export type TableEntry =
  /** Session with rx and tx keys of phase 0. Sending on it begins when a peer entry names it. */
  | {
      readonly kind: 'sessionInstall';
      readonly session: SessionIndex;
      readonly peer: PeerSlot;
      readonly remoteIndex: number;
      readonly suite: CipherSuite;
      readonly rx: DirectionKey;
      readonly tx: DirectionKey;
    }
  /** Also reads `phase` (the low 8 bits are on the wire); the phase before the current one is dropped when a third would exist. */
  | {
      readonly kind: 'sessionRxKey';
      readonly session: SessionIndex;
      readonly phase: number;
      readonly rx: DirectionKey;
    }
  /** Sends in `phase` from now on, counters from 0. */
  | {
      readonly kind: 'sessionTxKey';
      readonly session: SessionIndex;
      readonly phase: number;
      readonly tx: DirectionKey;
    }
  | { readonly kind: 'sessionRxRetire'; readonly session: SessionIndex; readonly phase: number }
  | { readonly kind: 'sessionRemove'; readonly session: SessionIndex }
  /** A peer that frames may be sent to: over which session and path. `session` 0 or `path` 0: known, not reachable now. */
  | {
      readonly kind: 'peerSet';
      readonly peer: PeerSlot;
      readonly id: PeerId;
      readonly session: SessionIndex;
      readonly path: PathId;
    }
  | { readonly kind: 'peerRemove'; readonly peer: PeerSlot }
  /**
   * A way to a peer. While it exists the path clock runs: PING at once, then every 200 ms while the path carried
   * frames in the last second, else every 15 s. Setting it again changes the endpoint or size and keeps the clock.
   * `session`: the one its PINGs are sealed with (0: silent). `datagramBytes`: largest UDP payload sent on it; on a
   * relayed path the 8 bytes of the RELAY header are part of it, as they are of a probe's size and of what answers it.
   */
  | {
      readonly kind: 'pathSet';
      readonly path: PathId;
      readonly peer: PeerSlot;
      readonly session: SessionIndex;
      readonly address: PathAddress;
      readonly datagramBytes: number;
    }
  | { readonly kind: 'pathRemove'; readonly path: PathId }
  /**
   * One of our labels (docs/protocol.md §7): RELAY datagrams under it are taken from addresses of `peer` only. `forward`
   * 0: it ends here, and the datagram inside is treated as one that came from the relayed address `label`. Else another
   * label of ours, set in the same batch or before: the datagram goes on to that label's peer under that label's
   * `outLabel`. Both ways: two labels of a relay name each other. `outLabel`: chosen by `peer`; 0: not known yet.
   */
  | {
      readonly kind: 'labelSet';
      readonly label: number;
      readonly peer: PeerSlot;
      readonly outLabel: number;
      readonly forward: number;
    }
  | { readonly kind: 'labelRemove'; readonly label: number }
  /**
   * A declared MAC, never learned over: frames that name it as source are refused from all but this peer. `peer` 0: a
   * port of this host, whose MAC no peer may use, and to which nothing is sent.
   */
  | {
      readonly kind: 'fdbSet';
      readonly network: number;
      readonly mac: Mac;
      readonly peer: PeerSlot;
    }
  | { readonly kind: 'fdbRemove'; readonly network: number; readonly mac: Mac }
  /**
   * Frames to this group MAC go to these peers and no others; without an entry they are flooded. At most 4096 entries,
   * more are left out. MACs of groups whose listeners do not report (native/core/multicast.h) are flooded whatever stands
   * here; so are tagged frames. MAC 00:00:00:00:00:00: who gets the reports themselves.
   */
  | {
      readonly kind: 'groupSet';
      readonly network: number;
      readonly mac: Mac;
      readonly peers: readonly PeerSlot[];
    }
  | { readonly kind: 'groupRemove'; readonly network: number; readonly mac: Mac }
  /**
   * Whom floods in this network go to: broadcasts, MACs nobody knows, groups without an entry. Without one, or with an
   * empty one: nobody. Network 0 has none, it is flooded to all peers. At most 4096 networks. Like all entries that name
   * a network it can be set before that is opened, and stays when it is closed.
   */
  | { readonly kind: 'membersSet'; readonly network: number; readonly peers: readonly PeerSlot[] }
  /**
   * The host with this IP address, text without a length, has this MAC: who asks everybody on our TAP is answered, and
   * nobody else is asked, while the MAC is declared at a peer that can be reached. One that cannot is `peerWanted`, and
   * the question goes to all. Probes, announcements, link-local addresses and tagged frames are not answered. At most
   * 65 536 entries, more are left out. `isGuarded`: no other peer may use the address while that one can be reached, or
   * while the MAC is of this host: untagged frames from there are dropped, and so are ARP and ND messages that say who
   * has it.
   */
  | {
      readonly kind: 'neighbourSet';
      readonly network: number;
      readonly address: string;
      readonly mac: Mac;
      readonly isGuarded: boolean;
    }
  | { readonly kind: 'neighbourRemove'; readonly network: number; readonly address: string }
  /**
   * Floods in the default network go to these peers only, who pass them on (docs/protocol.md §10); `origin` is this
   * node. Undefined: to all peers, directly. What others flood along the tree is taken and passed on to these peers; with
   * none it is dropped.
   */
  | {
      readonly kind: 'treeSet';
      readonly origin: PeerId | undefined;
      readonly peers: readonly PeerSlot[];
    }
  /** Lets INITs with this resumption hint pass the gate without a guess token (protocol §2). */
  | { readonly kind: 'resumeSet'; readonly hint: Uint8Array; readonly pairKey: Uint8Array }
  | { readonly kind: 'resumeRemove'; readonly hint: Uint8Array };

/** Something to send once, best effort. */
export type SendItem =
  /** Handshake datagram, as it is. */
  | { readonly kind: 'datagram'; readonly to: PathAddress; readonly bytes: Uint8Array }
  /** Control message, sealed; `path` 0: the peer's active path, else this one. `body` without type and length header. */
  | {
      readonly kind: 'control';
      readonly session: SessionIndex;
      readonly path: PathId;
      readonly type: number;
      readonly body: Uint8Array;
    }
  /** Empty authenticated datagram to an address that need not be a path yet. */
  | { readonly kind: 'keepalive'; readonly session: SessionIndex; readonly to: PathAddress }
  /** PING padded so that the UDP payload is `datagramBytes`; answered: `probeAnswered`. */
  | { readonly kind: 'probe'; readonly path: PathId; readonly datagramBytes: number }
  /** A whole Ethernet frame, untagged, for the bridge of this host. */
  | { readonly kind: 'tapFrame'; readonly network: number; readonly frame: Uint8Array }
  /** The network changed under the path: its clock PINGs at once, and a dead one from the shortest pause on. */
  | { readonly kind: 'kick'; readonly path: PathId }
  /** Gives a guess token back to the gate's bucket of this source (a valid FIN arrived). */
  | { readonly kind: 'returnToken'; readonly from: PathAddress }
  /** Opens a TCP connection (`connection` below 2³¹, not in use); `tcpOpened` or `tcpClosed` follows. */
  | { readonly kind: 'tcpConnect'; readonly connection: number; readonly to: Endpoint }
  | { readonly kind: 'tcpClose'; readonly connection: number };

export type DataPlaneEvent =
  /** Passed the gate (size, version, mesh, rates, cookie). `hasCookie`: the address was proven. `resumed`: the hint's MAC was right. */
  | {
      readonly kind: 'handshake';
      readonly from: PathAddress;
      readonly bytes: Uint8Array;
      readonly hasCookie: boolean;
      readonly resumed: boolean;
    }
  /** Somebody dialled with another mesh name; answered by REJECT natively. Rate limited. */
  | { readonly kind: 'otherMesh'; readonly from: PathAddress }
  /** Authenticated control message that is not native's own (PING, PONG, RR never come up). */
  | {
      readonly kind: 'control';
      readonly session: SessionIndex;
      readonly from: PathAddress;
      readonly type: number;
      readonly body: Uint8Array;
    }
  /** First authentic datagram of (session, phase). */
  | {
      readonly kind: 'phaseConfirmed';
      readonly session: SessionIndex;
      readonly phase: number;
      readonly from: PathAddress;
    }
  /** Authentic and newer than all before, but not from the endpoint of any path of this peer; once per endpoint and second. */
  | { readonly kind: 'endpointSeen'; readonly session: SessionIndex; readonly from: PathAddress }
  /** The path's clock changed its mind. Alive: something we sent on it was answered. Dead: three PINGs and 8 × srtt without one. */
  | { readonly kind: 'pathAlive'; readonly path: PathId; readonly rttUs: number }
  | { readonly kind: 'pathDead'; readonly path: PathId }
  | {
      readonly kind: 'probeAnswered';
      readonly path: PathId;
      readonly datagramBytes: number;
      readonly rttUs: number;
    }
  /**
   * The kernel refused the path's size (EMSGSIZE), or nothing above `datagramBytes` is known to arrive: reports show
   * nothing larger, or PINGs of the size in use, asked while large datagrams leave, stayed unanswered.
   */
  | { readonly kind: 'pathTooBig'; readonly path: PathId; readonly datagramBytes: number }
  /** How the peer sees us on this path, when it changes. */
  | { readonly kind: 'observed'; readonly path: PathId; readonly endpoint: Endpoint }
  /** tx counters of this session come near their limit (2³⁰ packets, 2⁴² bytes) or 2³⁶ forged tags: rekey. */
  | { readonly kind: 'sessionLimit'; readonly session: SessionIndex }
  /** A RELAY datagram from an address of this peer under a label that is not in the tables; once per label and second. */
  | { readonly kind: 'labelUnknown'; readonly peer: PeerSlot; readonly label: number }
  /**
   * A frame for a peer without session or path; 0: a flood that such peers did not get. `target`: the IPv4 address that
   * a flooded ARP asks for, as a number; 0: none. Once per (network, peer, target) and second.
   */
  | {
      readonly kind: 'peerWanted';
      readonly network: number;
      readonly peer: PeerSlot;
      readonly target: number;
    }
  /**
   * A source MAC is not where it was; at most some per second. `local`: on a port of this host, and `peer` had it
   * (learned: forgotten now; declared: still declared). `flapping`: it moved too often, and `peer` did not get it.
   * `refused`: `peer` sent it, and it is declared elsewhere or a local port's. `spoofed`: `peer` sent it from an address
   * that is guarded elsewhere.
   */
  | {
      readonly kind: 'macClaim';
      readonly network: number;
      readonly mac: Mac;
      readonly peer: PeerSlot;
      readonly verdict: 'local' | 'flapping' | 'refused' | 'spoofed';
    }
  /** The TAP read an IGMP or MLD frame; it goes its way. `missed`: more came since the last event than are told. */
  | {
      readonly kind: 'membership';
      readonly network: number;
      readonly frame: Uint8Array;
      readonly missed: number;
    }
  /** A TCP connection stands: ours, or accepted (from 2³¹ on). An accepted one without a handshake within 5 s is closed. */
  | { readonly kind: 'tcpOpened'; readonly connection: number; readonly endpoint: Endpoint }
  | { readonly kind: 'tcpClosed'; readonly connection: number }
  /**
   * Something an operator should read: a fall-back was taken, a device vanished. `code` is an OVL_ code. `network`: whose
   * TAP it is about, else 0. The other networks go on.
   */
  | {
      readonly kind: 'fault';
      readonly code: string;
      readonly errno: number;
      readonly path: PathId;
      readonly network: number;
    }
  /** Events were lost because the ring was full: resynchronise from counters and tables. */
  | { readonly kind: 'overflow'; readonly lost: number };

export interface PathCounters {
  readonly path: PathId;
  readonly isAlive: boolean;
  readonly srttUs: number;
  readonly rttvarUs: number;
  readonly lossPermille: number;
  /** When frames left or came last, milliseconds of the data plane's own clock; 0: never. Datagrams of others are none. */
  readonly lastFrameMs: number;
  readonly txDatagrams: bigint;
  readonly txBytes: bigint;
  readonly rxDatagrams: bigint;
  readonly rxBytes: bigint;
}

export interface LabelCounters {
  readonly label: number;
  /** Received under it. */
  readonly datagrams: bigint;
  readonly bytes: bigint;
}

export interface SessionCounters {
  readonly session: SessionIndex;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly forged: bigint;
  readonly replayed: bigint;
  /** Its frames that our kernel refused as invalid. */
  readonly tapRefused: bigint;
  /** Milliseconds (boot time) of the last authentic datagram; 0: none yet. */
  readonly lastRxMs: number;
}

export interface Counters {
  /** Counter names come from the data plane (counters.h); the same for drop reasons. */
  readonly totals: Readonly<Record<string, bigint>>;
  readonly drops: Readonly<Record<string, bigint>>;
  readonly paths: readonly PathCounters[];
  readonly sessions: readonly SessionCounters[];
  readonly labels: readonly LabelCounters[];
}

export interface FdbEntry {
  readonly network: number;
  readonly mac: Mac;
  readonly peer: PeerSlot;
  readonly isDeclared: boolean;
  readonly ageSeconds: number;
}

/** What was found at start: for status, report and the log. */
export interface DataPlaneInfo {
  readonly localPort: number;
  readonly localAddresses: readonly Endpoint[];
  /** Offered suites, fastest first, with the provider in use and its measured cost. */
  readonly suites: readonly {
    readonly suite: CipherSuite;
    readonly provider: string;
    readonly nsPerPacket: number;
  }[];
  /** Names of offloads in use, e.g. vnet_hdr, tso, uso, udp_gso, udp_gro. */
  readonly offloads: readonly string[];
  readonly queuePairs: number;
}

export interface DataPlane {
  /** @throws OverlayError OVL_TAP_OPEN, OVL_UDP_BIND, … nothing is left open then. */
  open(config: DataPlaneConfig): DataPlaneInfo;
  /** The default network's TAP was deleted: another one takes its place, and all else goes on. @throws OVL_TAP_OPEN */
  reopenTap(): void;
  /**
   * Opens the TAP of a network beside the default one. Its frames never leave on another network's TAP; until it is open
   * those of peers are dropped (`inner_network`). @throws OverlayError OVL_TAP_OPEN, OVL_NOT_PERMITTED, also when it is
   * open already, its TAP is another network's, or MAX_NETWORKS are open; nothing is left open then.
   */
  openNetwork(config: NetworkConfig): void;
  /** Closes its TAP and forgets what was learned in it; what was set for it stays. Idempotent. */
  closeNetwork(network: number): void;
  /** Callback when events wait; called at most once until the next `drain`. */
  onReadable(callback: () => void): void;
  /**
   * All or nothing. @throws OverlayError OVL_BATCH_REFUSED whose field `index` is the place of the first entry that
   * cannot be applied; without that one the same batch can be tried again.
   */
  apply(batch: readonly TableEntry[]): void;
  send(batch: readonly SendItem[]): void;
  drain(): readonly DataPlaneEvent[];
  readCounters(): Counters;
  dumpFdb(): readonly FdbEntry[];
  /** Joins the threads, closes TAP and sockets. Idempotent. */
  close(): void;
}
