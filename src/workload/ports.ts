import type { PortMark } from '../netdev/ownership.js';
import type { Mac } from '../model/mac.js';
import type { NetworkId } from '../model/network.js';
import type { Target } from '../model/target.js';
import type { GuardedPort } from '../netdev/guard-rules.js';
import type { SpoofCount } from '../netdev/port-guard.js';
import type { PortSpec } from '../netdev/attachment-host.js';

/*
 * What workloads need from outside their room.
 */

/** A network, as what is attached to it needs to know it. */
export interface NetworkView {
  readonly id: NetworkId;
  readonly name: string;
  /** On this host, once it is brought. */
  readonly bridge: string;
  readonly mtuBytes: number;
  /** Cidr texts that its addresses lie in; none: any will do. */
  readonly subnets: readonly string[];
}

/** Networks and their bridges on this host: daemon/network-bridges.ts. */
export interface NetworkHost {
  /** Of all networks of the mesh that are known here. */
  readonly names: readonly string[];
  /** @throws OVL_NOT_FOUND */
  find(name: string): NetworkView;
  /** What its bridge is called here, whether or not it is known. */
  bridgeOf(name: string): string;
  /** Whether its bridge is as `bring` left it; cheap. The default network's is looked after elsewhere. */
  isThere(name: string): boolean;
  /** Its bridge is there when it resolves. Safe to repeat. @throws OVL_NOT_FOUND, OVL_USAGE, OVL_IFACE_… */
  bring(name: string): Promise<void>;
  /** Nothing is on it here any more: its bridge goes. @throws OVL_IFACE_CONFIG */
  leave(name: string): Promise<void>;
}

/** An interface of this host, as far as it matters here. */
export interface FoundPort {
  /** The bridge it is a port of; empty: none. */
  readonly master: string;
  /** Undefined: not made by an attachment. */
  readonly mark: PortMark | undefined;
}

/** Interfaces of this host: netdev/attachment-host.ts. */
export interface PortHost {
  /** Every interface, by name. */
  observe(): Promise<ReadonlyMap<string, FoundPort>>;
  /** All or nothing; a leftover of ours under that name goes. @throws OVL_TARGET_CONFLICT, OVL_IFACE_FOREIGN, … */
  createPort(spec: PortSpec): Promise<void>;
  /** Sets addresses and routes inside, after taking `removed` away. @throws OVL_IFACE_CONFIG */
  changeInside(spec: PortSpec, removed: readonly string[]): Promise<void>;
  /** Makes it a port of its bridge again. @throws OVL_IFACE_CONFIG */
  rejoin(spec: PortSpec): Promise<void>;
  /** Tells everybody behind these devices that the bare addresses are at that MAC now. Best effort. */
  announce(mac: Mac, addresses: readonly string[], devices: readonly string[]): void;
  /** No error when it is gone. @throws OVL_IFACE_CONFIG */
  removePort(port: string): Promise<void>;
  /** Cheap: no program is started. */
  hasPort(port: string): boolean;
  /** Names of every interface; as cheap as asking for one. */
  names(): ReadonlySet<string>;
}

/** Keeps ports from sending under others' MACs and addresses: netdev/port-guard.ts. */
export interface PortGuard {
  /** These ports, and no others, are guarded. @throws OVL_IFACE_CONFIG, OVL_NOT_PERMITTED */
  set(ports: readonly GuardedPort[]): Promise<void>;
  /** Puts the rules back if they are gone. @returns what was dropped since they are there, by port */
  check(): Promise<ReadonlyMap<string, SpoofCount>>;
}

/** Whom a target asks for names: on the network's bridge, so its MAC is known and nobody else can claim the address. */
export interface NameServer {
  readonly address: string;
  readonly mac: Mac;
}

export type TargetLocation =
  /** `inode` tells one namespace from the next under the same name; a TAP needs none: 0. */
  | { readonly state: 'present'; readonly path: string; readonly inode: number }
  /** Not there now. */
  | { readonly state: 'absent' }
  /** It will not come back: what is attached to it goes. */
  | { readonly state: 'gone' };

/** Finds targets: netdev/targets.ts. */
export interface TargetFinder {
  /** @throws OVL_TARGET_UNKNOWN, OVL_TARGET_CONFLICT for the host's own namespace */
  find(text: string): Target;
  /** Cheap: asked every few seconds. */
  locate(target: Target): TargetLocation;
}

/** Attachments on disk, by id, in JSON. */
export interface AttachmentStore {
  attachments(): Iterable<readonly [string, unknown]>;
  /** On disk when it resolves; no value: it goes. @throws OVL_STATE_DIR */
  writeAttachment(id: string, value: object | undefined): Promise<void>;
}

/** What was declared besides attachments, in JSON. */
export interface DeclaredStore {
  declared(prefix: string): Iterable<readonly [string, unknown]>;
  /** On disk when it returns; no value: it goes. @throws OVL_STATE_DIR */
  writeDeclared(key: string, value: object | undefined): void;
}

/** The host's own addresses on a network: netdev/exposure-host.ts. */
export interface ExposureHost {
  /** Cidr texts that shall be there and that shall not; others are left alone. @throws OVL_IFACE_CONFIG */
  setAddresses(wanted: readonly string[], gone: readonly string[]): Promise<void>;
  /** Whether what is routed between the network and elsewhere is masqueraded. @throws OVL_IFACE_CONFIG */
  setMasquerade(isOn: boolean): Promise<void>;
  /** Puts the rules back if they are gone. @throws OVL_IFACE_CONFIG */
  checkMasquerade(): Promise<void>;
}

/** Cidr texts, by owner. */
export type OwnedAddresses = ReadonlyMap<string, readonly string[]>;

/** Who hands out addresses: the mesh's address management. Owners are attachments' ids and the host itself (derive.ts). */
export interface AddressSource {
  /**
   * An address with length, of a subnet or of the default one; the owner's again when it has one there.
   * @throws OVL_ADDRESS_UNAVAILABLE within 2 s, naming who is waited for
   */
  give(owner: string, subnet: string | undefined): Promise<string>;
  /** Makes an address the owner's; one of no pool is nobody's business. @throws OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE */
  claim(owner: string, cidr: string): Promise<void>;
  release(owner: string, cidr: string): void;
  /** Once at the start: these owners' addresses, cidr texts. Whatever else somebody here had is given back. */
  keep(owned: OwnedAddresses): void;
}

export interface AlarmClock {
  /** Calls back once; the function it returns calls it off. */
  set(delayMs: number, callback: () => void): () => void;
}
