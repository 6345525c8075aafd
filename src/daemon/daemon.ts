import type {
  BenchPlaceDocument,
  BenchWish,
  ConnectOutcome,
  EventDocument,
  ForgetOutcome,
  IpamDocument,
  NodeControl,
} from '../api/control.js';
import { findPeer } from '../api/find-peer.js';
import { toHex, utf8Bytes } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { OverlayError } from '../base/errors.js';
import type { Rng } from '../base/rng.js';
import { DEFAULT_NETWORK, meshIdOf, networkIdOf } from '../crypto/mesh.js';
import { recordSigner } from '../crypto/record-signature.js';
import { blake2b128 } from '../crypto/sodium.js';
import type { Counters, DataPlane, DataPlaneInfo } from '../dataplane/dataplane.js';
import { Appetite } from '../link/appetite.js';
import { REKEY_AFTER_MS } from '../link/constants.js';
import { Links } from '../link/links.js';
import { makeEndpoint } from '../model/endpoint.js';
import { parseContact, type Contact } from '../model/contact.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import { macOfPeer, tapMacOfPeer, type PeerId } from '../model/peer-id.js';
import { Gossip } from '../records/gossip.js';
import type { RecordCrypto } from '../records/crypto-port.js';
import type { RecordReader, SignedRecord } from '../records/signed-record.js';
import { RecordStore } from '../records/store.js';
import { NoAddresses } from '../workload/no-addresses.js';
import type { AddressEntry } from '../wire/address-record.js';
import type { AddressSource } from '../workload/ports.js';
import { AddressKeeper } from './address-keeper.js';
import type { AddressRequests } from './address-requests.js';
import { CloneWatch } from './clone-watch.js';
import { Directory } from './directory.js';
import { EventRing } from './event-ring.js';
import { makeLinkCrypto } from './link-crypto.js';
import { LinksRoom } from './links-room.js';
import { LoadTests, type LoadTestsComponents } from './load-tests.js';
import { Loop } from './loop.js';
import { MeshAddresses } from './mesh-addresses.js';
import { MeshEthernet } from './mesh-ethernet.js';
import { MeshNetworks } from './mesh-networks.js';
import { MeshNode, type NodeInput } from './mesh-node.js';
import {
  MeshRecords,
  type MeshRecordsComponents,
  type MeshRecordsOptions,
  type PeerDecoder,
} from './mesh-records.js';
import { MeshRelays } from './mesh-relays.js';
import { MeshRemovals } from './mesh-removals.js';
import { NetworkNews } from './network-news.js';
import { meshIpv6, OwnAddress } from './own-address.js';
import type {
  DaemonOptions,
  HostInterface,
  HostWarning,
  Logger,
  NetworkWatcher,
  NodeIdentity,
  Resolver,
  StateStore,
  Timers,
} from './ports.js';
import type { RecordRoom } from './record-room.js';
import * as snapshot from './snapshot.js';

/*
 * Composition: the ports on one side, the machines on the other, the loop between. `start` brings up what `stop`
 * takes down in reverse:
 *
 *   preflight ─ data plane (TAP, sockets) ─ bridge ─ own addresses ─ loop ─ ready
 *
 * Both are safe to call twice; a start that fails takes down what it had brought up.
 */

/** Largest UDP payload this node accepts. */
const MAX_DATAGRAM_BYTES = 65_507;
const INSTANCE_BYTES = 8;
const MAX_CONTACT_TEXT = 300;

export interface DaemonComponents {
  readonly dataplane: DataPlane;
  readonly host: HostInterface;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly rng: Rng;
  readonly resolver: Resolver;
  readonly network: NetworkWatcher;
  /** Addresses of this host that peers may try, as they are now. */
  readonly localAddresses: () => readonly string[];
  readonly log: Logger;
  /** Opens the receiving end of a measurement; without it every peer is refused. */
  readonly receiveLoad?: LoadTestsComponents['receive'];
  /** Refuses pools that this host's routes overlap; without it none is. @throws OVL_POOL_OVERLAP */
  readonly admitPool?: (range: string, pools: readonly string[]) => Promise<void>;
  /** What lives in the records besides peers and links. */
  readonly rooms?: readonly RecordRoom[];
  /** A simulator's, which remembers across nodes what it read and verified. */
  readonly records?: (crypto: RecordCrypto) => {
    readonly crypto: RecordCrypto;
    readonly reader: RecordReader;
    readonly decodePeer: PeerDecoder;
  };
  /** A simulator's, which counts handshakes instead of computing them. */
  readonly linkCrypto?: typeof makeLinkCrypto;
  /** The bridge is up and has its addresses; ready is said when this has ended. */
  readonly onBridgeUp?: () => Promise<void>;
}

type AddressPools = Pick<
  AddressRequests,
  'document' | 'reserve' | 'unreserve' | 'addPool' | 'removePool'
>;

export interface Daemon {
  /** Resolves when the node is ready: sockets bound, bridge up, address set. Dialling goes on behind it. */
  start(): Promise<void>;
  /** Says goodbye to all peers and hears nothing more; `stop` takes down what is left. */
  leave(): void;
  stop(): Promise<void>;
  readonly control: NodeControl;
  /** Members that said who they are, this one not counted. */
  readonly memberCount: number;
  /** Of the digest of all records: the same on two nodes when they have the same. */
  recordRoot(): Uint8Array;
  /** Addresses of a network, by name; of one that has no pools none. */
  addressesOf(network: string): AddressSource;
  /** Address management of a network, by name, or of all. @throws OVL_NOT_FOUND */
  addressDocument(network?: string): IpamDocument;
  /** Ranges of a network's pools, cidr texts. */
  poolsOf(network: NetworkId): readonly string[];
  /** Who has an address on this host, as people call it; for what is said to them. */
  nameUsersBy(userOf: (network: string, address: string) => string | undefined): void;
  /** Addresses of the default network's pools. */
  readonly addresses: AddressSource & AddressPools;
  /** How operators touch those of a network, by name. @throws OVL_NOT_FOUND, OVL_USAGE */
  addressPoolsOf(network: string): AddressPools;
  /** The mesh's networks, and what this node says of them. */
  readonly networks: MeshNetworks;
  /** Our bug, or a host that refuses what it accepted before: the caller stops the daemon. */
  onFatal(callback: (error: unknown) => void): void;
  /** Another process has our identity and ours was replaced: the caller stops this daemon and makes another. */
  onCloned(callback: () => void): void;
  /** Something that operators ask about, from a part beside the daemon. */
  tell(event: Omit<EventDocument, 'seq' | 'at'>): void;
  /** What is attached or exposed here on a network, all of it: no peer may send under one of these MACs. */
  setPorts(network: NetworkId, ports: readonly AddressEntry[]): void;
  /** Something comes onto a network: its TAP is there, and the others know. @throws OVL_TAP_OPEN */
  openNetwork(network: NetworkDefinition, tapName: string): void;
  /** Somebody deleted its TAP: another takes its place, and nobody else notices. @throws OVL_TAP_OPEN */
  reopenNetwork(network: NetworkDefinition, tapName: string): void;
  /** Nothing is on it any more. */
  closeNetwork(id: NetworkId): void;
  /** `reset` did its work: the caller ends the process. */
  onReset(callback: () => void): void;
}

/** sodiumReady() must have been awaited. */
export function createDaemon(components: DaemonComponents, options: DaemonOptions): Daemon {
  return new OverlayDaemon(components, options);
}

class OverlayDaemon implements Daemon {
  readonly control: NodeControl;
  readonly addresses: AddressRequests;
  readonly networks: MeshNetworks;
  readonly #components: DaemonComponents;
  readonly #options: DaemonOptions;
  readonly #events = new EventRing();
  readonly #directory: Directory;
  readonly #loop: Loop<NodeInput>;
  readonly #keeper: AddressKeeper;
  readonly #news: NetworkNews;
  #appetite: Appetite;
  #links: Links;
  #linksRoom: LinksRoom;
  #ethernet: MeshEthernet;
  readonly #allAddresses: MeshAddresses;
  readonly #ports = new Map<NetworkId, readonly AddressEntry[]>();
  #records: MeshRecords;
  #relays: MeshRelays;
  #removals: MeshRemovals;
  #node: MeshNode;
  #loads: LoadTests;
  #info: DataPlaneInfo | undefined;
  #warnings: readonly HostWarning[] = [];
  #isReady = false;
  #startWork: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #hasBridge = false;
  #onFatal: (error: unknown) => void = () => undefined;
  #onReset: () => void = () => undefined;
  #onCloned: () => void = () => undefined;
  #userOf: (network: string, address: string) => string | undefined = () => undefined;
  readonly #instance: Uint8Array;
  #clones: CloneWatch | undefined;

  constructor(components: DaemonComponents, options: DaemonOptions) {
    this.#components = components;
    this.#options = options;
    const { state, clock } = components;
    const { id } = state.identity;
    this.#instance = components.rng.bytes(INSTANCE_BYTES);
    this.#directory = new Directory(id, options.nickname);
    const own = new OwnAddress({
      id,
      meshId: meshIdOf(options.meshName),
      mode: options.addressMode,
      pool: options.pool,
      stored: state.ownAddress(),
    });
    this.#keeper = new AddressKeeper(
      {
        own,
        host: components.host,
        state,
        log: components.log,
        emit: this.#emit,
        peerOfMac: (mac) => this.#links.peers.find((peer) => macOfPeer(peer.id) === mac)?.id,
        takenAddresses: () => this.#directory.takenAddresses(),
        onChanged: () => {
          this.#post((nowMs) => {
            this.#node.announce(nowMs);
            this.#sayPlace(nowMs);
          });
        },
        onFailure: (error) => {
          this.#emit({
            level: 'warn',
            code: 'host-warning',
            message: `Own address could not be checked or set: ${textOf(error)}`,
          });
        },
      },
      id,
    );
    this.#appetite = makeAppetite(state.identity);
    this.networks = this.#makeNetworks();
    this.#allAddresses = this.#makeAddresses();
    this.addresses = this.#allAddresses.ofDefault;
    this.#links = this.#makeLinks(options.suites);
    this.#linksRoom = new LinksRoom(options.relay);
    this.#ethernet = this.#makeEthernet();
    this.#records = this.#makeRecords();
    this.#relays = this.#makeRelays();
    this.#removals = this.#makeRemovals();
    this.#loads = this.#makeLoads();
    this.#node = this.#makeNode();
    this.#loop = new Loop<NodeInput>(
      { clock, timers: components.timers },
      {
        turn: (inputs, nowMs) => {
          this.#node.turn(inputs, nowMs);
        },
        nextDeadlineMs: () => this.#node.nextDeadlineMs,
        onFailure: (error) => {
          this.#onFatal(error);
        },
      },
    );
    this.#news = new NetworkNews({ clock, timers: components.timers }, () => {
      components.log.debug({}, 'The network of this host changed');
      this.#post((nowMs, out) => {
        this.#links.onNetworkChange(nowMs, out);
        this.#sayPlace(nowMs);
      });
    });
    for (const room of [...(components.rooms ?? []), this.networks]) {
      room.onWork(() => this.#post(() => undefined));
    }
    this.control = this.#makeControl();
  }

  tell(event: Omit<EventDocument, 'seq' | 'at'>): void {
    this.#emit(event);
  }

  addressDocument(network?: string): IpamDocument {
    const id = network === undefined ? undefined : this.networks.find(network).id;
    return this.#allAddresses.document(id);
  }

  nameUsersBy(userOf: (network: string, address: string) => string | undefined): void {
    this.#userOf = userOf;
  }

  poolsOf(network: NetworkId): readonly string[] {
    return this.#allAddresses.of(network)?.pools ?? [];
  }

  addressPoolsOf(network: string): AddressPools {
    const { id, name } = this.networks.find(network);
    const found = this.#allAddresses.of(id);
    if (found) return found;
    throw new OverlayError('OVL_USAGE', `The mesh has too many networks for pools of ${name}`, {
      value: name,
      cure: 'Remove some first: overlayctl network remove.',
    });
  }

  addressesOf(network: string): AddressSource {
    const { id, name } = this.networks.find(network);
    return this.#allAddresses.of(id) ?? new NoAddresses(name);
  }

  setPorts(network: NetworkId, ports: readonly AddressEntry[]): void {
    this.#ports.set(network, ports);
    this.#post(() => {
      this.#ethernet.setPorts(network, ports);
    });
  }

  reopenNetwork({ id, mtuBytes }: NetworkDefinition, tapName: string): void {
    this.#components.dataplane.closeNetwork(id);
    this.#openTap(id, tapName, mtuBytes);
  }

  #openTap(network: NetworkId, tapName: string, mtuBytes: number): void {
    const peer = this.#components.state.identity.id;
    const ownMacs = [macOfPeer(peer), tapMacOfPeer(peer)];
    this.#components.dataplane.openNetwork({ network, tapName, mtuBytes, ownMacs });
  }

  openNetwork({ id, mtuBytes }: NetworkDefinition, tapName: string): void {
    this.#openTap(id, tapName, mtuBytes);
    this.#ethernet.open(id, this.#components.clock.monotonicMs());
    this.#ethernet.setPorts(id, this.#ports.get(id) ?? []);
    this.networks.setUsed(id, true);
  }

  closeNetwork(id: NetworkId): void {
    this.networks.setUsed(id, false);
    this.#ports.delete(id);
    this.#ethernet.close(id);
    this.#components.dataplane.closeNetwork(id);
    this.#post(() => undefined);
  }

  get memberCount(): number {
    return this.#records.members.size;
  }

  recordRoot(): Uint8Array {
    return this.#records.root();
  }

  onFatal(callback: (error: unknown) => void): void {
    this.#onFatal = callback;
  }

  onReset(callback: () => void): void {
    this.#onReset = callback;
  }

  onCloned(callback: () => void): void {
    this.#onCloned = callback;
  }

  start(): Promise<void> {
    this.#startWork ??= this.#start();
    this.#starting ??= this.#startWork.catch(async (error: unknown) => {
      await this.stop();
      throw error;
    });
    return this.#starting;
  }

  leave(): void {
    if (this.#isReady) {
      this.#emit({ level: 'info', code: 'daemon-stopping', message: 'Stopping' });
      this.#post((nowMs, out) => {
        this.#node.closeAll('shutdown', nowMs, out);
      });
    }
    this.#isReady = false;
    this.#news.stop();
    this.#loads.stop();
    this.#loop.stop();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { dataplane, host, state } = this.#components;
    const { id } = state.identity;
    const contacts = this.#startContacts();
    this.#clones = this.#makeCloneWatch();
    await host.preflight();
    this.#info = dataplane.open({
      tapName: `${this.#options.ifName}-t`,
      mtuBytes: this.#options.mtuBytes,
      port: this.#options.port,
      bind: this.#options.bind,
      meshId: meshIdOf(this.#options.meshName),
      suites: this.#options.suites,
      ownMacs: [macOfPeer(id), tapMacOfPeer(id)],
      queuePairs: 0,
      overlayPrefixes: this.#overlayPrefixes(),
    });
    // The order of preference is measured by the data plane, so handshakes are made only now.
    this.#links = this.#makeLinks(this.#info.suites.map(({ suite }) => suite));
    this.#ethernet = this.#makeEthernet();
    this.#records = this.#makeRecords();
    this.#relays = this.#makeRelays();
    this.#removals = this.#makeRemovals();
    this.#loads = this.#makeLoads();
    this.#node = this.#makeNode();
    this.#hasBridge = true;
    await host.up(macOfPeer(id));
    await this.#keeper.start();
    await this.#components.onBridgeUp?.();
    this.#warnings = await host.warnings();
    for (const { code, message, cure } of this.#warnings) {
      this.#emit({ level: 'warn', code: 'host-warning', message: `${message} (${code})`, cure });
    }
    dataplane.onReadable(() => {
      this.#loop.post({ kind: 'events' });
    });
    this.#loop.start();
    this.#watchNetwork();
    this.#post((nowMs, out) => {
      for (const { text, host: name, port } of contacts) {
        this.#links.dialer.addContact(text, name, port, nowMs);
      }
      for (const peer of state.knownPeers()) {
        if (peer.nickname !== '') this.#directory.learnNickname(peer.id, peer.nickname);
        const { hint, pairKey } = peer;
        const resume = hint && pairKey ? { hint, pairKey } : undefined;
        this.#links.addKnown(peer.id, peer.endpoints, resume, nowMs, out);
      }
      this.#records.restore(nowMs, out);
      this.#allAddresses.start(nowMs, out);
      this.#sayPlace(nowMs);
    });
    this.#isReady = true;
    this.#emit({
      level: 'info',
      code: 'daemon-ready',
      message: `Ready on UDP port ${this.#info.localPort}, interface ${this.#options.ifName}`,
    });
  }

  async #stop(): Promise<void> {
    // A start under way first ends, so that nothing comes up behind us.
    await Promise.allSettled([this.#startWork]);
    this.leave();
    await this.#keeper.stop();
    const failures: unknown[] = [];
    const step = async (action: () => Promise<void> | void): Promise<void> => {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    };
    if (this.#hasBridge) await step(() => this.#components.host.down());
    await step(() => {
      this.#components.dataplane.close();
    });
    await step(() => this.#components.state.close());
    if (failures.length > 0) throw failures[0];
  }

  /** Without its instance on disk this run would look like a clone to the next one: then it says nothing of itself. */
  #makeCloneWatch(): CloneWatch | undefined {
    const { state, clock, log } = this.#components;
    try {
      state.addInstance(this.#instance);
    } catch (error) {
      log.warn(
        { err: error },
        'This run cannot be told from a clone later, and does not look for one',
      );
      return undefined;
    }
    const own = { instance: this.#instance, startedAtMs: BigInt(Math.round(clock.wallMs())) };
    const meshId = meshIdOf(this.#options.meshName);
    return new CloneWatch(state.identity, meshId, own, (instance) => state.isOwnInstance(instance));
  }

  #onClone(verdict: 'move' | 'stay', peer: PeerId): void {
    const { state } = this.#components;
    const isOurs = verdict === 'move';
    this.#emit({
      level: 'error',
      code: 'clone-detected',
      message: isOurs
        ? 'Another node runs with this identity and was started earlier: this one takes a new identity'
        : 'Another node runs with this identity and was started later: that one takes a new identity',
      peer,
      cure: 'Do not copy the state directory: a machine without one makes its own identity.',
    });
    if (!isOurs) return;
    try {
      state.replaceIdentity();
    } catch (error) {
      this.#onFatal(error);
      return;
    }
    this.#onCloned();
  }

  #watchNetwork(): void {
    const { ifName } = this.#options;
    const ours = [ifName, `${ifName}-t`];
    try {
      this.#news.start(this.#components.network, ours);
    } catch (error) {
      this.#emit({
        level: 'warn',
        code: 'host-warning',
        message: `Changes of this host's network are noticed late: ${textOf(error)}`,
        cure: 'Allow netlink sockets (AF_NETLINK) to overlayd.',
      });
    }
  }

  /** Where overlay addresses lie: no datagram of the tunnel may come from there or go there. */
  #overlayPrefixes(): readonly string[] {
    const { pool, addressMode, meshName } = this.#options;
    const fixed = typeof addressMode === 'object' ? [addressMode.cidr] : [];
    return [pool, meshIpv6(this.#components.state.identity.id, meshIdOf(meshName)), ...fixed];
  }

  #makeLinks(suites: DaemonOptions['suites']): Links {
    const { state, rng } = this.#components;
    const party = {
      identity: state.identity,
      meshId: meshIdOf(this.#options.meshName),
      instance: this.#instance,
      suites,
      maxDatagramBytes: MAX_DATAGRAM_BYTES,
      capabilities: 0,
    };
    const makeCrypto = this.#components.linkCrypto ?? makeLinkCrypto;
    return new Links(
      {
        crypto: makeCrypto(party, this.#options.passwordPrs, rng),
        rng,
        appetite: this.#appetite,
      },
      {
        ownId: state.identity.id,
        mtuBytes: this.#options.mtuBytes,
        rekeyAfterMs: this.#options.rekeyAfterMs ?? REKEY_AFTER_MS,
        overlay: this.#overlayPrefixes(),
      },
    );
  }

  #makeNode(): MeshNode {
    const { dataplane, state, clock, resolver, log } = this.#components;
    return new MeshNode(
      {
        dataplane,
        links: this.#links,
        directory: this.#directory,
        state,
        clock,
        resolver,
        log,
        post: (input) => {
          this.#loop.post(input);
        },
        emit: this.#emit,
        ownAddresses: () => this.#keeper.cidrs,
        records: this.#records,
        relays: this.#relays,
        removals: this.#removals,
        loads: this.#loads,
        appetite: this.#appetite,
        ipam: this.#allAddresses,
        ethernet: this.#ethernet,
        networks: this.networks,
        clones: this.#clones,
        onClone: (verdict, peer) => {
          this.#onClone(verdict, peer);
        },
        onPeerUp: () => {
          this.#keeper.onPeerUp();
        },
        onAddressClaim: (peer, cidrs) => {
          this.#keeper.onClaim(peer, cidrs);
        },
      },
      { nickname: this.#options.nickname, version: this.#options.version },
    );
  }

  #makeLoads(): LoadTests {
    const { rng, receiveLoad } = this.#components;
    return new LoadTests(
      {
        links: this.#links,
        rng,
        emit: this.#emit,
        post: (run) => {
          this.#post(run);
        },
        ownAddresses: () => this.#keeper.cidrs,
        addressesOf: (peer) => this.#directory.addressesOf(peer),
        receive: receiveLoad,
      },
      { isAllowed: this.#options.allowBench ?? false, overlay: this.#overlayPrefixes() },
    );
  }

  #makeAddresses(): MeshAddresses {
    const { state, rng, admitPool } = this.#components;
    const { pool, defaultSubnet, peers } = this.#options;
    return new MeshAddresses(
      {
        state,
        rng,
        links: () => this.#links,
        records: () => this.#records,
        networks: this.networks,
        emit: this.#emit,
        nameOf: (peer) => this.#directory.shownName(peer),
        post: (run) => {
          this.#post(run);
        },
        admitPool: admitPool ?? (() => Promise.resolve()),
        userOf: (network, address) => this.#userOf(network, address),
        nodeAddresses: () => [...this.#keeper.cidrs, ...this.#directory.takenAddresses()],
      },
      {
        self: state.identity.id,
        pools: [pool],
        defaultSubnet: defaultSubnet === pool ? undefined : defaultSubnet,
        hasContacts: peers.length > 0 || state.contacts().length > 0,
      },
    );
  }

  #makeNetworks(): MeshNetworks {
    const { state, clock } = this.#components;
    const { pool, mtuBytes, meshName } = this.#options;
    const meshId = meshIdOf(meshName);
    return new MeshNetworks(
      {
        state,
        wallMs: () => clock.wallMs(),
        emit: this.#emit,
        nameOf: (peer) => this.#directory.shownName(peer),
        isEstablished: (peer) => this.#records.store.isEstablished(peer),
      },
      {
        defaultNetwork: {
          ...{ id: DEFAULT_NETWORK_ID, name: DEFAULT_NETWORK, mtuBytes },
          ...{ subnets: [pool], createdMs: 0 },
        },
        idOf: (name) => networkIdOf(meshId, name),
      },
    );
  }

  #makeEthernet(): MeshEthernet {
    const { state, clock } = this.#components;
    const meshId = meshIdOf(this.#options.meshName);
    const ethernet = new MeshEthernet(
      {
        links: this.#links,
        ipamOf: (network) => this.#allAddresses.ipamOf(network),
        neighbours: () => this.#appetite.neighbours,
        emit: this.#emit,
        networks: this.networks,
        recordsOf: (kind) => this.#records.store.ofKind(kind),
      },
      {
        selfId: state.identity.id,
        meshId,
        nowMs: clock.monotonicMs(),
        floodCopies: this.#options.floodCopies,
      },
    );
    ethernet.setPorts(DEFAULT_NETWORK_ID, this.#ports.get(DEFAULT_NETWORK_ID) ?? []);
    return ethernet;
  }

  #makeRecords(): MeshRecords {
    const { state, clock, rng } = this.#components;
    const signer = recordSigner(state.identity, meshIdOf(this.#options.meshName));
    const { decodePeer, ...shared } = this.#components.records?.(signer) ?? { crypto: signer };
    const wallMs = (): number => clock.wallMs();
    const { publicKey } = state.identity;
    const nowMs = clock.monotonicMs();
    const acceptShared = (record: SignedRecord): boolean => MeshAddresses.accepts(record);
    const { leaseMs, removalSilenceMs } = this.#options;
    const store = new RecordStore(
      { ...shared, publicKey, wallMs, acceptShared },
      {
        nowMs,
        ...(leaseMs !== undefined && { leaseMs }),
        ...(removalSilenceMs !== undefined && { removalSilenceMs }),
      },
    );
    const gossip = new Gossip({ store, rng }, { nowMs });
    const options: MeshRecordsOptions = {
      nickname: this.#options.nickname,
      version: this.#options.version,
      isRelay: this.#options.relay,
      isDiscovering: this.#options.discovery,
    };
    const components: MeshRecordsComponents = {
      store,
      gossip,
      links: this.#links,
      state,
      emit: this.#emit,
      ...(decodePeer && { decodePeer }),
      onMember: (peer, record, nowMs, out) => {
        if (!record) this.#appetite.onMemberGone(peer);
        else if (this.#options.discovery) this.#appetite.onMember(peer);
        if (record) this.#directory.learnRecord(peer, record);
        if (record) this.#keeper.onClaim(peer, record.addresses);
        this.#ethernet.onMember(peer, record?.addresses);
        this.#relays.onMember(peer, record !== undefined, nowMs, out);
      },
      rooms: [
        ...(this.#components.rooms ?? []),
        this.#linksRoom,
        this.networks,
        this.#allAddresses,
        ...this.#ethernet.rooms,
      ],
    };
    return new MeshRecords(components, options);
  }

  #makeRelays(): MeshRelays {
    const { rng, dataplane, state } = this.#components;
    const counters = (): Counters => dataplane.readCounters();
    return new MeshRelays(
      {
        ...{ rng, counters, links: this.#links, records: this.#records },
        linksRoom: this.#linksRoom,
        wanted: () => this.#appetite.wanted,
      },
      {
        ownId: state.identity.id,
        isRelay: this.#options.relay,
        isDiscovering: this.#options.discovery,
      },
    );
  }

  #makeRemovals(): MeshRemovals {
    const { state, timers } = this.#components;
    return new MeshRemovals(
      {
        links: this.#links,
        records: this.#records,
        directory: this.#directory,
        state,
        appetite: this.#appetite,
        timers,
        emit: this.#emit,
        post: (run) => {
          this.#post(run);
        },
        holders: () =>
          this.addresses.document().pools.flatMap(({ holders }) => holders.map(({ id }) => id)),
      },
      state.identity.id,
    );
  }

  /** Addresses and endpoints of this node, for its record. */
  #sayPlace(nowMs: number): void {
    const port = this.#info?.localPort ?? this.#options.port;
    const { bind, advertise } = this.#options;
    const given = advertise.flatMap((text) => {
      const contact = parseContact(text, port);
      return (contact && makeEndpoint(contact.host, contact.port)) ?? [];
    });
    const listening = bind.length > 0 ? bind : this.#components.localAddresses();
    const own = listening.flatMap((address) => makeEndpoint(address, port) ?? []);
    const endpoints = [...given, ...own];
    this.#records.setPlace({ endpoints, addresses: this.#keeper.cidrs }, nowMs);
    this.#ethernet.setOwnAddresses(this.#keeper.cidrs);
  }

  /** `--peer` first, then what `connect` stored. @throws OVL_ENDPOINT_INVALID */
  #startContacts(): readonly Contact[] {
    const stored: Contact[] = [];
    for (const text of this.#components.state.contacts()) {
      const contact = parseContact(text, this.#options.port);
      if (contact) stored.push(contact);
    }
    return [...this.#options.peers.map((text) => this.#parse(text)), ...stored];
  }

  #parse(text: string): Contact {
    const contact =
      text.length > MAX_CONTACT_TEXT ? undefined : parseContact(text, this.#options.port);
    if (contact) return contact;
    throw new OverlayError('OVL_ENDPOINT_INVALID', `Cannot use '${text}' as an endpoint`, {
      value: text,
      cure: 'Give host, host:port, or [v6]:port.',
    });
  }

  #makeControl(): NodeControl {
    return {
      status: () => snapshot.statusDocument(this.#source()),
      peers: () => ({ schema: 1, peers: snapshot.peerDocuments(this.#source()) }),
      routes: () => ({ schema: 1, routes: snapshot.routeDocuments(this.#source()) }),
      paths: (peer) => snapshot.pathsDocument(this.#source(), peer),
      report: () => snapshot.reportDocument(this.#source()),
      connect: (contacts) => Promise.resolve().then(() => this.#connect(contacts)),
      forget: (contacts) => Promise.resolve().then(() => this.#forget(contacts)),
      removePeer: (peer, isForced) => this.#removals.remove(peer, isForced),
      bench: (peer, wish) => this.#bench(peer, wish),
      events: (afterSeq) => this.#events.after(afterSeq),
      onEvent: (callback) => this.#events.onEvent(callback),
      reset: () => this.#reset(),
    };
  }

  #connect(texts: readonly string[]): ConnectOutcome {
    const contacts = texts.map((text) => this.#parse(text));
    const known = new Set(this.#links.dialer.contacts.map((target) => target.contact));
    for (const contact of contacts) {
      this.#components.state.addContact(contact.text);
      if (known.has(contact.text)) continue;
      this.#emit({
        level: 'info',
        code: 'contact-added',
        message: `Contact ${contact.text} added`,
        endpoint: contact.text,
      });
    }
    this.#post((nowMs) => {
      for (const { text, host, port } of contacts) {
        this.#links.dialer.addContact(text, host, port, nowMs);
      }
    });
    return { contacts: contacts.map((contact) => contact.text) };
  }

  async #bench(text: string, wish: BenchWish): Promise<BenchPlaceDocument> {
    const nodes = snapshot.peerDocuments(this.#source());
    const named = nodes.map((node) => ({ ...node, id: node.id as PeerId }));
    const [others, self] = [named.filter((node) => !node.self), named.find((node) => node.self)];
    const { id, nickname, path } = findPeer(others, text, self);
    const { token, proof, ...place } = await this.#loads.ask(id, nickname, wish);
    const secrets = { token: toHex(token), proof: toHex(proof) };
    return { schema: 1, peer: id, nickname, path, ...place, ...secrets };
  }

  #forget(texts: readonly string[]): ForgetOutcome {
    const contacts = texts.map((text) => this.#parse(text));
    const removed: string[] = [];
    const unknown: string[] = [];
    for (const { text } of contacts) {
      const wasStored = this.#components.state.removeContact(text);
      const wasDialled = this.#links.dialer.removeContact(text);
      const isRemoved = wasStored || wasDialled;
      (isRemoved ? removed : unknown).push(text);
      if (!isRemoved) continue;
      this.#emit({
        level: 'info',
        code: 'contact-removed',
        message: `Contact ${text} removed`,
        endpoint: text,
      });
    }
    return { removed, unknown };
  }

  /** Stops, then forgets all but the identity; that, too, when no member would link with it any more. */
  async #reset(): Promise<void> {
    const { state, clock } = this.#components;
    if (this.#removals.isOut(clock.monotonicMs())) state.replaceIdentity();
    state.clear();
    await this.stop();
    this.#onReset();
  }

  #source(): snapshot.SnapshotSource {
    const { state, clock, dataplane } = this.#components;
    return {
      options: this.#options,
      ownId: state.identity.id,
      links: this.#links,
      members: this.#records.members.keys(),
      directory: this.#directory,
      state,
      clock,
      events: this.#events,
      dataplane,
      info: this.#stopping ? undefined : this.#info,
      ownAddresses: this.#isReady || this.#info ? this.#keeper.cidrs : [],
      warnings: [
        ...this.#warnings,
        ...this.#removals.warnings(clock.monotonicMs()),
        ...this.#node.warnings,
      ],
      isReady: this.#isReady,
      relays: this.#relays,
    };
  }

  #post(run: Extract<NodeInput, { kind: 'call' }>['run']): void {
    this.#loop.postNow({ kind: 'call', run });
  }

  readonly #emit = (event: Omit<EventDocument, 'seq' | 'at'>): void => {
    const { log, clock } = this.#components;
    const peer = event.peer as PeerId | undefined;
    const isNamed = peer !== undefined && this.#directory.nicknameOf(peer) !== '';
    const named = isNamed ? { ...event, nickname: this.#directory.shownName(peer) } : event;
    const { level, code, message, ...about } = this.#events.add(named, clock.wallMs());
    log[level]({ code, ...about }, message);
  };
}

/** Whom a node of a large mesh chooses follows from its identity. */
export function makeAppetite(identity: NodeIdentity): Appetite {
  const secret = blake2b128(utf8Bytes('overlayd/1 neighbours'), identity.secretKey);
  return new Appetite({ secret: new DataView(secret.buffer, secret.byteOffset).getUint32(0) });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
