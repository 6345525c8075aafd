import type { Identity } from '../crypto/identity.js';
import type { CipherSuite } from '../dataplane/dataplane.js';
import type { Endpoint } from '../model/endpoint.js';
import type { Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';

/*
 * What the daemon needs from the outside besides the data plane. bin/overlayd.ts hands in the real ones, test/sim
 * the virtual ones; the daemon cannot tell them apart.
 */

/** The node's Ed25519 key pair and its PeerId. */
export type NodeIdentity = Identity;

/** A thing on this host that will hurt, with what to do about it. */
export interface HostWarning {
  readonly code: string;
  readonly message: string;
  readonly cure: string;
}

/** The host side of the default network: a bridge with the TAP as its first port. */
export interface HostInterface {
  /**
   * Refuses foreign interfaces, adopts leftovers of ours. Called before the TAP is opened.
   * @throws OVL_IFACE_FOREIGN, OVL_NOT_PERMITTED, OVL_POOL_OVERLAP
   */
  preflight(): Promise<void>;
  /** The TAP is open: bridge, guards, MAC, MTU and TAP as first port, all up. */
  up(mac: Mac): Promise<void>;
  /** Exactly these own addresses (cidr text) on the bridge; removes earlier own ones. */
  setAddresses(cidrs: readonly string[]): Promise<void>;
  /** ARP probe (RFC 5227) for at most about 600 ms: the MAC that defends the address, or undefined. */
  probeAddress(address: string): Promise<Mac | undefined>;
  warnings(): Promise<readonly HostWarning[]>;
  /** Removes own addresses and routes; the bridge too unless other ports are attached. */
  down(): Promise<void>;
}

/** A peer met in a handshake, as stored for the next start. */
export interface KnownPeer {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly nickname: string;
  readonly endpoints: readonly Endpoint[];
  /** Resumption hint (8 bytes) and pair key (32) of the last handshake (protocol §2). */
  readonly hint?: Uint8Array;
  readonly pairKey?: Uint8Array;
}

/** What survives a restart. Calls are synchronous; writing to disk is the store's business. */
export interface StateStore {
  readonly identity: NodeIdentity;
  /** Endpoints added by `connect`, as typed. */
  contacts(): readonly string[];
  addContact(text: string): void;
  removeContact(text: string): boolean;
  /** Peers met, dialled at start. Bounded: ≤ 4096 peers × 8 endpoints. */
  knownPeers(): readonly KnownPeer[];
  saveKnownPeer(peer: KnownPeer): void;
  removeKnownPeer(id: PeerId): void;
  /** Cells of the replicated records, as written. */
  recordCells(): Iterable<readonly [string, Uint8Array]>;
  /** No value: the cell goes. `isUrgent`: on disk when this returns. */
  writeRecordCell(key: string, value: Uint8Array | undefined, isUrgent: boolean): void;
  /** Attachments by id, as JSON values. */
  attachments(): Iterable<readonly [string, unknown]>;
  /** On disk when it resolves, with others that waited for the disk; no value: it goes. @throws OVL_STATE_DIR */
  writeAttachment(id: string, value: object | undefined): Promise<void>;
  /** What the operator declared besides attachments, as JSON values, whose keys begin so. */
  declared(prefix: string): Iterable<readonly [string, unknown]>;
  /** On disk when it returns; no value: it goes. @throws OVL_STATE_DIR */
  writeDeclared(key: string, value: object | undefined): void;
  /** Cells of address management, as written: see ipam/estate.ts. */
  ipamCells(): Iterable<readonly [string, string]>;
  /**
   * All of them, on disk when it returns; no value: the cell goes. Those that may wait are on disk with whatever cell or
   * attachment is written next, in one transaction with it. @throws OVL_STATE_DIR
   */
  writeIpamCells(
    cells: readonly (readonly [string, string | undefined])[],
    mayWait?: boolean,
  ): void;
  ownAddress(): string | undefined;
  saveOwnAddress(cidr: string): void;
  /** Did a process on this state directory ever run with that instance? */
  isOwnInstance(instance: Uint8Array): boolean;
  /** Remembers this run's instance, on disk at once. @throws OVL_STATE_DIR */
  addInstance(instance: Uint8Array): void;
  /**
   * Makes another identity, with this one as parent, for the next start; what was agreed under the old one goes.
   * @throws OVL_STATE_DIR
   */
  replaceIdentity(): void;
  /** For reset: contacts, known peers and own address go, the identity stays. */
  clear(): void;
  close(): Promise<void>;
}

export interface NetworkWatcher {
  /**
   * Calls back soon after a link, an address or a route of this host changed, other than on the named interfaces.
   * @returns what ends it
   */
  watch(ignored: readonly string[], onChange: () => void): () => void;
}

export interface Timers {
  /** Calls back once after `delayMs`; returns the cancel function. */
  set(delayMs: number, callback: () => void): () => void;
}

export interface Resolver {
  /** All A and AAAA addresses; a failure is the empty list. */
  resolve(host: string): Promise<readonly string[]>;
}

/** pino fits. Fields first, then a constant sentence. */
export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface DaemonOptions {
  readonly meshName: string;
  readonly nickname: string;
  /** Derived from the password by bin before the daemon is created (protocol §0). */
  readonly passwordPrs: Uint8Array;
  readonly port: number;
  /** Contacts as typed after `--peer`. */
  readonly peers: readonly string[];
  readonly addressMode: 'auto' | 'none' | { readonly cidr: string };
  /** Address pool, cidr text, e.g. 10.32.0.0/12. */
  readonly pool: string;
  /** Subnet of it that addresses come from by default, cidr text. */
  readonly defaultSubnet?: string;
  /** Counted silence after which a peer's space is its heir's; without, 24 h. */
  readonly leaseMs?: number;
  /** Silence after which a peer may be removed; without, as the protocol says. */
  readonly removalSilenceMs?: number;
  readonly ifName: string;
  readonly mtuBytes: number;
  readonly bind: readonly string[];
  readonly advertise: readonly string[];
  readonly suites: readonly CipherSuite[];
  readonly discovery: boolean;
  readonly relay: boolean;
  /** Members that a flood is copied to one by one; without, as the protocol says. */
  readonly floodCopies?: number;
  /** Peers may measure the path to this node with load. */
  readonly allowBench?: boolean;
  readonly version: string;
  /** Debugging: rekey after this many ms instead of 120 000. */
  readonly rekeyAfterMs?: number;
}
