import type { EventDocument, IpamDocument, NodeControl } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import { meshIdOf } from '../crypto/mesh.js';
import type { DataPlaneInfo } from '../dataplane/dataplane.js';
import type { Dialer } from '../link/dialer.js';
import { parseContact } from '../model/contact.js';
import { makeEndpoint } from '../model/endpoint.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import { macOfPeer, tapMacOfPeer, type PeerId } from '../model/peer-id.js';
import type { AddressEntry } from '../wire/address-record.js';
import { NoAddresses } from '../workload/no-addresses.js';
import type { AddressSource } from '../workload/ports.js';
import type { AddressRequests } from './address-requests.js';
import { CloneWatch } from './clone-watch.js';
import { Contacts } from './contacts.js';
import type { DaemonComponents } from './daemon-components.js';
import { Directory } from './directory.js';
import { EventRing } from './event-ring.js';
import { makeLastingParts, type DaemonHooks, type LastingParts } from './lasting-parts.js';
import { Loop } from './loop.js';
import { makeMachines, overlayPrefixes, type Machines } from './machines.js';
import type { NodeInput } from './mesh-node.js';
import type { MeshNetworks } from './mesh-networks.js';
import { NetworkNews } from './network-news.js';
import { makeNodeControl } from './node-control.js';
import type { DaemonOptions, HostWarning } from './ports.js';
import type * as snapshot from './snapshot.js';

/*
 * Composition: the ports on one side, the machines (machines.ts) and what outlives them (lasting-parts.ts) on the other,
 * the loop between; its turns are mesh-node.ts. `start` brings up what `stop` takes down in reverse:
 *
 *   preflight ─ data plane (TAP, sockets) ─ bridge ─ own addresses ─ loop ─ ready
 *
 * Both are safe to call twice; a start that fails takes down what it had brought up.
 */

type AddressPools = Pick<
  AddressRequests,
  'document' | 'reserve' | 'unreserve' | 'addPool' | 'removePool'
>;

export interface Daemon {
  /** Resolves when the node is ready: sockets bound, bridge up, address set. Dialling goes on behind it. */
  start(): Promise<void>;
  /** Says so to whoever follows the events: to be called while they are still heard. Once. */
  sayStopping(): void;
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
  readonly #news: NetworkNews;
  readonly #contacts: Contacts;
  readonly #hooks: DaemonHooks;
  readonly #lasting: LastingParts;
  #machines: Machines;
  readonly #ports = new Map<NetworkId, readonly AddressEntry[]>();
  #info: DataPlaneInfo | undefined;
  #warnings: readonly HostWarning[] = [];
  #isReady = false;
  #isStoppingSaid = false;
  #startWork: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #hasBridge = false;
  #onFatal: (error: unknown) => void = () => undefined;
  #onReset: () => void = () => undefined;
  #onCloned: () => void = () => undefined;
  #userOf: (network: string, address: string) => string | undefined = () => undefined;

  constructor(components: DaemonComponents, options: DaemonOptions) {
    this.#components = components;
    this.#options = options;
    const { state, clock, timers } = components;
    this.#directory = new Directory(state.identity.id, options.nickname);
    this.#hooks = this.#makeHooks();
    this.#lasting = makeLastingParts(components, options, this.#hooks);
    this.networks = this.#lasting.networks;
    this.addresses = this.#lasting.addresses.ofDefault;
    this.#machines = this.#makeMachines(options.suites, undefined);
    this.#loop = new Loop<NodeInput>(
      { clock, timers },
      {
        turn: (inputs, nowMs) => {
          this.#machines.node.turn(inputs, nowMs);
        },
        nextDeadlineMs: () => this.#machines.node.nextDeadlineMs,
        onFailure: (error) => {
          this.#onFatal(error);
        },
      },
    );
    this.#news = new NetworkNews({ clock, timers }, () => {
      components.log.debug({}, 'The network of this host changed');
      this.#post((nowMs, out) => {
        this.#machines.links.onNetworkChange(nowMs, out);
        this.#sayPlace(nowMs);
      });
    });
    for (const room of [...(components.rooms ?? []), this.networks]) {
      room.onWork(() => this.#post(() => undefined));
    }
    const { emit, post } = this.#hooks;
    const dialer = (): Dialer => this.#machines.links.dialer;
    this.#contacts = new Contacts({ state, dialer, post, emit }, options);
    this.control = makeNodeControl({
      contacts: this.#contacts,
      events: this.#events,
      machines: () => this.#machines,
      source: () => this.#source(),
      reset: () => this.#reset(),
    });
  }

  tell(event: Omit<EventDocument, 'seq' | 'at'>): void {
    this.#emit(event);
  }

  addressDocument(network?: string): IpamDocument {
    const id = network === undefined ? undefined : this.networks.find(network).id;
    return this.#lasting.addresses.document(id);
  }

  nameUsersBy(userOf: (network: string, address: string) => string | undefined): void {
    this.#userOf = userOf;
  }

  poolsOf(network: NetworkId): readonly string[] {
    return this.#lasting.addresses.of(network)?.pools ?? [];
  }

  addressPoolsOf(network: string): AddressPools {
    const { id, name } = this.networks.find(network);
    const found = this.#lasting.addresses.of(id);
    if (found) return found;
    throw new OverlayError('OVL_USAGE', `The mesh has too many networks for pools of ${name}`, {
      value: name,
      cure: 'Remove some first: overlayctl network remove.',
    });
  }

  addressesOf(network: string): AddressSource {
    const { id, name } = this.networks.find(network);
    return this.#lasting.addresses.of(id) ?? new NoAddresses(name);
  }

  setPorts(network: NetworkId, ports: readonly AddressEntry[]): void {
    this.#ports.set(network, ports);
    this.#post(() => {
      this.#machines.ethernet.setPorts(network, ports);
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
    this.#machines.ethernet.open(id, this.#components.clock.monotonicMs());
    this.#machines.ethernet.setPorts(id, this.#ports.get(id) ?? []);
    this.networks.setUsed(id, true);
  }

  closeNetwork(id: NetworkId): void {
    this.networks.setUsed(id, false);
    this.#ports.delete(id);
    this.#machines.ethernet.close(id);
    this.#components.dataplane.closeNetwork(id);
    this.#post(() => undefined);
  }

  get memberCount(): number {
    return this.#machines.records.members.size;
  }

  recordRoot(): Uint8Array {
    return this.#machines.records.root();
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

  sayStopping(): void {
    if (!this.#isReady || this.#isStoppingSaid) return;
    this.#isStoppingSaid = true;
    this.#emit({ level: 'info', code: 'daemon-stopping', message: 'Stopping' });
  }

  leave(): void {
    this.sayStopping();
    if (this.#isReady) {
      this.#post((nowMs, out) => {
        this.#machines.node.closeAll('shutdown', nowMs, out);
      });
    }
    this.#isReady = false;
    this.#news.stop();
    this.#machines.loads.stop();
    this.#loop.stop();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { dataplane, host, state } = this.#components;
    const { id } = state.identity;
    const contacts = this.#contacts.atStart();
    const clones = this.#makeCloneWatch();
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
      overlayPrefixes: overlayPrefixes(state.identity, this.#options),
    });
    // The order of preference is measured by the data plane, so handshakes are made only now.
    const suites = this.#info.suites.map(({ suite }) => suite);
    this.#machines = this.#makeMachines(suites, clones);
    const { links, records } = this.#machines;
    this.#hasBridge = true;
    await host.up(macOfPeer(id));
    await this.#lasting.keeper.start();
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
        links.dialer.addContact(text, name, port, nowMs);
      }
      for (const peer of state.knownPeers()) {
        if (peer.nickname !== '') this.#directory.learnNickname(peer.id, peer.nickname);
        const { hint, pairKey } = peer;
        const resume = hint && pairKey ? { hint, pairKey } : undefined;
        links.addKnown(peer.id, peer.endpoints, resume, nowMs, out);
      }
      records.restore(nowMs, out);
      this.#lasting.addresses.start(nowMs, out);
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
    await this.#lasting.keeper.stop();
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
    const { instance } = this.#lasting;
    try {
      state.addInstance(instance);
    } catch (error) {
      log.warn(
        { err: error },
        'This run cannot be told from a clone later, and does not look for one',
      );
      return undefined;
    }
    const own = { instance, startedAtMs: BigInt(Math.round(clock.wallMs())) };
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
    this.#machines.records.setPlace({ endpoints, addresses: this.#lasting.keeper.cidrs }, nowMs);
    this.#machines.ethernet.setOwnAddresses(this.#lasting.keeper.cidrs);
  }

  /** Stops, then forgets all but the identity; that, too, when no member would link with it any more. */
  async #reset(): Promise<void> {
    const { state, clock } = this.#components;
    if (this.#machines.removals.isOut(clock.monotonicMs())) state.replaceIdentity();
    state.clear();
    await this.stop();
    this.#onReset();
  }

  #source(): snapshot.SnapshotSource {
    const { state, clock, dataplane } = this.#components;
    return {
      options: this.#options,
      ownId: state.identity.id,
      links: this.#machines.links,
      members: this.#machines.records.members.keys(),
      directory: this.#directory,
      state,
      clock,
      events: this.#events,
      dataplane,
      info: this.#stopping ? undefined : this.#info,
      ownAddresses: this.#isReady || this.#info ? this.#lasting.keeper.cidrs : [],
      warnings: [
        ...this.#warnings,
        ...this.#machines.removals.warnings(clock.monotonicMs()),
        ...this.#machines.node.warnings,
      ],
      isReady: this.#isReady,
      relays: this.#machines.relays,
    };
  }

  #makeHooks(): DaemonHooks {
    return {
      directory: this.#directory,
      machines: () => this.#machines,
      emit: this.#emit,
      post: (run) => {
        this.#post(run);
      },
      onOwnAddresses: () => {
        this.#post((nowMs) => {
          this.#machines.node.announce(nowMs);
          this.#sayPlace(nowMs);
        });
      },
      userOf: (network, address) => this.#userOf(network, address),
    };
  }

  #makeMachines(suites: DaemonOptions['suites'], clones: CloneWatch | undefined): Machines {
    const [components, options] = [this.#components, this.#options];
    const [hooks, lasting] = [this.#hooks, this.#lasting];
    return makeMachines(
      { components, options, hooks, lasting },
      {
        suites,
        clones,
        ports: this.#ports.get(DEFAULT_NETWORK_ID) ?? [],
        onClone: (verdict, peer) => {
          this.#onClone(verdict, peer);
        },
        postInput: (input) => {
          this.#loop.post(input);
        },
      },
    );
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

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
