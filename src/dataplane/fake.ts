import { endpointFromBytes, endpointToBytes, type Endpoint } from '../model/endpoint.js';
import { isSnoopedMac, macFromBytes, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import { checkBatch } from './fake-batch.js';
import { isLinkLocal, isMacControl, membershipOf, ROUTER_GROUP } from './fake-ethernet.js';
import { FakeFloodTree, type FakeFlood } from './fake-flood-tree.js';
import { FakeGate } from './fake-gate.js';
import type { FakeDatagram, FakeNetwork, Scheduler } from './fake-network.js';
import { neighbourAnswer, neighbourQuestionOf } from './fake-neighbours.js';
import { FakeNetworks } from './fake-networks.js';
import { FakePathClock } from './fake-path-clock.js';
import {
  FakeLabels,
  isRelayed,
  RELAY_HEADER_BYTES,
  type FakePayload,
  type FakeRelayed,
} from './fake-relay.js';
import { FakeTcp } from './fake-tcp.js';
import { FakeSession, type FakeBody, type Sealed } from './fake-sessions.js';
import {
  DEFAULT_NETWORK,
  type Counters,
  type DataPlane,
  type DataPlaneConfig,
  type DataPlaneEvent,
  type DataPlaneInfo,
  type FdbEntry,
  type NetworkConfig,
  type PathId,
  type PeerSlot,
  type SendItem,
  type SessionIndex,
  type TableEntry,
} from './dataplane.js';

/*
 * A data plane without kernel, threads or ciphers, on a FakeNetwork and virtual time, that keeps the promises of
 * dataplane.ts: test/contract holds it and the addon to them. What is left out: trains, checksums, fragments (an
 * oversized frame travels as one datagram of the path's size), MSS, ageing of learned MACs, rates of labels and of
 * unknown unicast, flapping.
 */

export type { FakePayload } from './fake-relay.js';

export interface FakeDataPlaneOptions {
  readonly network: FakeNetwork<FakePayload>;
  /** Underlay addresses of this host. */
  readonly addresses: readonly string[];
  /** Of this process, for cookies. */
  readonly secret: Uint8Array;
  /** The time of this host, where it is not the network's: a host can sleep. */
  readonly scheduler?: Scheduler;
}

const SEAL_OVERHEAD_BYTES = 38;
const CONTROL_HEADER_BYTES = 4;
const KEEPALIVE_BYTES = 38;
/** As in docs/protocol.md §4, sealed. */
const PING_BYTES = 58;
const PONG_BYTES = 79;
const SIZE_WATCH_MS = 1000;
const FLOOR_BYTES = 548;
const INIT_TYPE = 1;
const SEEN_EVERY_MS = 1000;
const RING_EVENTS = 4096;
const FREE_PORT = 40_000;
/** In the FDB: a port of this host. */
const LOCAL_PEER: PeerSlot = 0;

interface FakePeer {
  readonly id: PeerId;
  session: SessionIndex;
  path: PathId;
}

interface FakePath {
  peer: PeerSlot;
  session: SessionIndex;
  address: PathAddress;
  datagramBytes: number;
  readonly clock: FakePathClock;
  cancelPing: (() => void) | undefined;
  tooBigUntilMs: number;
  observed: string;
}

export class FakeDataPlane implements DataPlane {
  readonly #network: FakeNetwork<FakePayload>;
  readonly #scheduler: Scheduler;
  readonly #secret: Uint8Array;
  #addresses: readonly string[];
  #config: DataPlaneConfig | undefined;
  #gate: FakeGate | undefined;
  #unbind: (() => void)[] = [];
  #port = 0;
  readonly #sessions = new Map<SessionIndex, FakeSession>();
  readonly #peers = new Map<PeerSlot, FakePeer>();
  readonly #paths = new Map<PathId, FakePath>();
  readonly #pathsByAddress = new Map<string, FakePath>();
  readonly #fdb = new Map<string, FdbEntry>();
  readonly #groups = new Map<string, readonly PeerSlot[]>();
  readonly #networks = new FakeNetworks();
  readonly #tree = new FakeFloodTree();
  /** MACs by network and address. */
  readonly #neighbours = new Map<string, Mac>();
  readonly #labels = new FakeLabels();
  readonly #tcp: FakeTcp<FakePayload>;
  readonly #seen = new Map<string, number>();
  readonly #totals = new Map<string, bigint>();
  readonly #drops = new Map<string, bigint>();
  #events: DataPlaneEvent[] = [];
  #lost = 0;
  #isWoken = false;
  #onReadable: (() => void) | undefined;
  #onFrame: ((frame: Uint8Array, peer: PeerSlot, network: number) => void) | undefined;

  constructor(options: FakeDataPlaneOptions) {
    this.#network = options.network;
    this.#scheduler = options.scheduler ?? options.network.scheduler;
    this.#addresses = options.addresses;
    this.#secret = options.secret;
    this.#tcp = new FakeTcp(options.network, {
      onOpened: (connection, endpoint) => {
        this.#emit({ kind: 'tcpOpened', connection, endpoint });
      },
      onClosed: (connection) => {
        this.#emit({ kind: 'tcpClosed', connection });
      },
      onDatagram: (connection, datagram) => {
        this.#receive({ family: 'tcp', connection }, datagram);
      },
    });
  }

  // --- the port ---

  open(config: DataPlaneConfig): DataPlaneInfo {
    this.#config = config;
    this.#gate = new FakeGate(config.meshId, this.#secret);
    this.#port = config.port === 0 ? FREE_PORT : config.port;
    this.#bind();
    return {
      localPort: this.#port,
      localAddresses: this.#addresses.map((address) => this.#local(address)),
      suites: config.suites.map((suite) => ({ suite, provider: 'fake', nsPerPacket: suite })),
      offloads: [],
      queuePairs: 1,
    };
  }

  openNetwork(config: NetworkConfig): void {
    this.#networks.open(config, this.#config?.tapName ?? '');
  }

  closeNetwork(network: number): void {
    this.#networks.close(network);
    for (const [key, entry] of this.#fdb) {
      if (entry.network === network && !entry.isDeclared) this.#fdb.delete(key);
    }
  }

  onReadable(callback: () => void): void {
    this.#onReadable = callback;
    if (this.#events.length > 0) this.#wake();
  }

  apply(batch: readonly TableEntry[]): void {
    checkBatch(batch, {
      sessions: this.#sessions,
      paths: this.#paths,
      peers: this.#peers,
      labels: this.#labels,
    });
    for (const entry of batch) this.#applyEntry(entry);
    if (batch.some(({ kind }) => kind === 'pathSet' || kind === 'pathRemove')) this.#indexPaths();
  }

  send(batch: readonly SendItem[]): void {
    for (const item of batch) this.#sendItem(item);
  }

  drain(): readonly DataPlaneEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#isWoken = false;
    if (this.#lost > 0) events.push({ kind: 'overflow', lost: this.#lost });
    this.#lost = 0;
    return events;
  }

  readCounters(): Counters {
    return {
      totals: Object.fromEntries(this.#totals),
      drops: Object.fromEntries(this.#drops),
      paths: [...this.#paths].map(([id, path]) => path.clock.counters(id, this.#nowMs())),
      sessions: [...this.#sessions.values()].map((session) => session.counters()),
      labels: this.#labels.counters(),
    };
  }

  dumpFdb(): readonly FdbEntry[] {
    return [...this.#fdb.values()];
  }

  close(): void {
    for (const path of this.#paths.values()) path.cancelPing?.();
    for (const unbind of this.#unbind) unbind();
    this.#unbind = [];
    this.#tcp.closeAll();
    this.#paths.clear();
    this.#sessions.clear();
    this.#peers.clear();
    this.#labels.clear();
    this.#networks.closeAll();
    this.#events = [];
    this.#onReadable = undefined;
    this.#config = undefined;
  }

  // --- what a simulation does to it ---

  /** The host moves: datagrams leave from, and arrive at, other addresses from now on. */
  moveTo(addresses: readonly string[]): void {
    for (const unbind of this.#unbind) unbind();
    this.#tcp.closeAll();
    this.#addresses = addresses;
    this.#bind();
  }

  /** Counters of every session come near their limit. */
  reachLimits(): void {
    for (const session of this.#sessions.keys()) this.#emit({ kind: 'sessionLimit', session });
  }

  /** A frame that the TAP of this network read. */
  injectFrame(frame: Uint8Array, network = DEFAULT_NETWORK): void {
    if (!this.#config || !this.#networks.isOpen(network)) return;
    const destination = macFromBytes(frame.subarray(0, 6));
    if (isLinkLocal(destination) || isMacControl(frame)) {
      this.#drop(isLinkLocal(destination) ? 'reserved_multicast' : 'mac_control');
      return;
    }
    this.#noteLocalSource(network, macFromBytes(frame.subarray(6, 12)));
    const entry = this.#fdb.get(fdbKey(network, destination));
    if (entry?.peer === LOCAL_PEER) {
      this.#drop('own_destination');
      return;
    }
    const asked = this.#answerNeighbour(network, frame);
    if (asked === 'answered') return;
    const listeners = this.#listenersOf(network, destination, frame);
    if (entry) {
      this.#sendFrame(entry.peer, network, frame);
      return;
    }
    const members =
      network === DEFAULT_NETWORK ? [...this.#peers.keys()] : this.#networks.membersOf(network);
    const reachable = members.filter((slot) => {
      const peer = this.#peers.get(slot);
      return peer !== undefined && peer.session * peer.path !== 0;
    });
    if (reachable.length < members.length && !isHousekeeping(frame)) {
      if (asked === undefined) this.#tellWanted(network, 0, arpTargetOf(frame));
      else this.#tellWanted(network, asked, 0);
    }
    if (listeners === undefined && network === DEFAULT_NETWORK && this.#tree.isOn) {
      const flood = this.#tree.originate(frame);
      for (const slot of this.#tree.next(LOCAL_PEER, [])) this.#sendFlood(slot, flood);
      return;
    }
    if (reachable.length === 0) this.#drop('flood_no_members');
    for (const slot of reachable) {
      if (listeners?.includes(slot) !== false) this.#sendFrame(slot, network, frame);
    }
  }

  #sendFlood(slot: PeerSlot, flood: FakeFlood): void {
    const peer = this.#peers.get(slot);
    if (peer && peer.session * peer.path !== 0) this.#sendBody(slot, DEFAULT_NETWORK, flood);
  }

  /** Asked for a host behind a peer: native/engine/neighbour_answer.h. @returns the peer when it is out of reach */
  #answerNeighbour(network: number, frame: Uint8Array): 'answered' | PeerSlot | undefined {
    const question = neighbourQuestionOf(frame);
    const mac = question && this.#neighbours.get(neighbourKey(network, question.target));
    if (mac === undefined || mac === question?.asker) return undefined;
    const holder = this.#fdb.get(fdbKey(network, mac));
    const { session, path } = this.#peers.get(holder?.peer ?? LOCAL_PEER) ?? {
      session: 0,
      path: 0,
    };
    if (!holder?.isDeclared || holder.peer === LOCAL_PEER) return undefined;
    if (session === 0 || path === 0) return holder.peer;
    this.#count('neighbours_answered');
    this.#onFrame?.(neighbourAnswer(frame, mac), LOCAL_PEER, network);
    return 'answered';
  }

  #listenersOf(network: number, group: Mac, frame: Uint8Array): readonly PeerSlot[] | undefined {
    const membership = membershipOf(frame);
    if (membership !== 'none') {
      this.#emit({ kind: 'membership', network, frame: frame.slice(), missed: 0 });
    }
    if (membership === 'report') return this.#groups.get(fdbKey(network, ROUTER_GROUP));
    return isSnoopedMac(group) ? this.#groups.get(fdbKey(network, group)) : undefined;
  }

  #noteLocalSource(network: number, mac: Mac): void {
    const key = fdbKey(network, mac);
    const known = this.#fdb.get(key);
    if (!known || known.peer === LOCAL_PEER) return;
    if (!known.isDeclared) this.#fdb.delete(key);
    this.#emit({ kind: 'macClaim', network, mac, peer: known.peer, verdict: 'local' });
  }

  /** Called for each frame that would be written to the TAP of a network; peer 0: the control plane's own. */
  onFrame(callback: (frame: Uint8Array, peer: PeerSlot, network: number) => void): void {
    this.#onFrame = callback;
  }

  // --- tables ---

  #applyEntry(entry: TableEntry): void {
    switch (entry.kind) {
      case 'sessionInstall':
        this.#sessions.set(entry.session, new FakeSession(entry, entry.rx, entry.tx));
        break;
      case 'sessionRxKey':
        this.#sessions.get(entry.session)?.setRx(entry.phase, entry.rx);
        break;
      case 'sessionTxKey':
        this.#sessions.get(entry.session)?.setTx(entry.phase, entry.tx);
        this.#count('txPhases');
        break;
      case 'sessionRxRetire':
        this.#sessions.get(entry.session)?.retireRx(entry.phase);
        break;
      case 'sessionRemove':
        this.#sessions.delete(entry.session);
        break;
      case 'peerSet':
        this.#peers.set(entry.peer, { id: entry.id, session: entry.session, path: entry.path });
        break;
      case 'peerRemove':
        this.#peers.delete(entry.peer);
        break;
      case 'pathSet':
        this.#setPath(entry);
        break;
      case 'pathRemove':
        this.#paths.get(entry.path)?.cancelPing?.();
        this.#paths.delete(entry.path);
        break;
      case 'fdbSet': {
        const { network, mac, peer } = entry;
        this.#fdb.set(fdbKey(network, mac), {
          network,
          mac,
          peer,
          isDeclared: true,
          ageSeconds: 0,
        });
        break;
      }
      case 'fdbRemove':
        this.#fdb.delete(fdbKey(entry.network, entry.mac));
        break;
      case 'groupSet':
        this.#groups.set(fdbKey(entry.network, entry.mac), entry.peers);
        break;
      case 'groupRemove':
        this.#groups.delete(fdbKey(entry.network, entry.mac));
        break;
      case 'membersSet':
        this.#networks.setMembers(entry.network, entry.peers);
        break;
      case 'treeSet':
        this.#tree.set(entry.origin, entry.peers);
        break;
      case 'neighbourSet':
        this.#neighbours.set(neighbourKey(entry.network, entry.address), entry.mac);
        break;
      case 'neighbourRemove':
        this.#neighbours.delete(neighbourKey(entry.network, entry.address));
        break;
      case 'resumeSet':
        this.#gate?.addHint(entry.hint);
        break;
      case 'resumeRemove':
        this.#gate?.removeHint(entry.hint);
        break;
      case 'labelSet':
        this.#labels.set(entry);
        break;
      case 'labelRemove':
        this.#labels.remove(entry.label);
        break;
    }
  }

  #setPath(entry: Extract<TableEntry, { kind: 'pathSet' }>): void {
    const { peer, session, address, datagramBytes } = entry;
    const known = this.#paths.get(entry.path);
    if (known) {
      const wasSilent = known.session === 0;
      Object.assign(known, { peer, session, address, datagramBytes });
      if (wasSilent && session !== 0) this.#ping(entry.path);
      return;
    }
    this.#paths.set(entry.path, {
      peer,
      session,
      address,
      datagramBytes,
      clock: new FakePathClock(),
      cancelPing: undefined,
      tooBigUntilMs: 0,
      observed: '',
    });
    this.#ping(entry.path);
  }

  // --- tx ---

  #sendItem(item: SendItem): void {
    switch (item.kind) {
      case 'datagram':
        this.#transmit(item.to, { bytes: item.bytes.length, payload: item.bytes.slice() });
        break;
      case 'control': {
        const session = this.#sessions.get(item.session);
        const id = item.path || (this.#peers.get(session?.peer ?? 0)?.path ?? 0);
        const path = this.#paths.get(id);
        if (!session || !path) {
          this.#drop('no path');
          return;
        }
        const { type } = item;
        const length = item.body.length + CONTROL_HEADER_BYTES + overheadOf(path.address);
        const bytes = Math.min(path.datagramBytes, length);
        this.#sealTo(
          session,
          path,
          { kind: 'control', type, body: item.body.slice() },
          bytes,
          () => {
            this.#noteSwallowed(id, bytes);
          },
        );
        break;
      }
      case 'keepalive': {
        const session = this.#sessions.get(item.session);
        if (!session) {
          this.#drop('no session');
          return;
        }
        const payload = session.seal({ kind: 'keepalive' }, KEEPALIVE_BYTES);
        this.#transmit(item.to, { bytes: KEEPALIVE_BYTES, payload });
        break;
      }
      case 'probe':
        this.#sendPing(item.path, item.datagramBytes, true);
        break;
      case 'kick':
        this.#ping(item.path);
        break;
      case 'tapFrame':
        if (this.#networks.isOpen(item.network)) {
          this.#onFrame?.(item.frame, LOCAL_PEER, item.network);
        } else {
          this.#drop('tap_write');
        }
        break;
      case 'returnToken':
        this.#gate?.returnToken(this.#sourceOf(item.from));
        break;
      case 'tcpConnect':
        this.#tcp.connect(item.connection, this.#ownFor(item.to), item.to);
        break;
      case 'tcpClose':
        this.#tcp.close(item.connection);
        break;
    }
  }

  #sendFrame(slot: PeerSlot, network: number, frame: Uint8Array): void {
    this.#sendBody(slot, network, { kind: 'frame', network, frame: frame.slice() });
  }

  #sendBody(
    slot: PeerSlot,
    network: number,
    body: Extract<FakeBody, { readonly frame: Uint8Array }>,
  ): void {
    const peer = this.#peers.get(slot);
    const session = this.#sessions.get(peer?.session ?? 0);
    const path = this.#paths.get(peer?.path ?? 0);
    if (!session || !path) {
      this.#drop('no path');
      this.#tellWanted(network, slot, 0);
      return;
    }
    const nowMs = this.#nowMs();
    path.clock.onFrame(nowMs);
    const bytes = Math.min(path.datagramBytes, body.frame.length + overheadOf(path.address));
    this.#sealTo(session, path, body, bytes, () => {
      this.#noteSwallowed(peer?.path ?? 0, bytes);
    });
    this.#schedulePing(peer?.path ?? 0);
  }

  #tellWanted(network: number, peer: PeerSlot, target: number): void {
    if (!this.#mayTell(`wanted ${network} ${peer} ${target}`)) return;
    this.#emit({ kind: 'peerWanted', network, peer, target });
  }

  /** PINGs of the size in use would show soon that nothing of it arrives. */
  #noteSwallowed(id: PathId, bytes: number): void {
    const path = this.#paths.get(id);
    const nowMs = this.#nowMs();
    if (!path || bytes <= FLOOR_BYTES || nowMs < path.tooBigUntilMs) return;
    path.tooBigUntilMs = nowMs + SIZE_WATCH_MS;
    this.#scheduler.at(SIZE_WATCH_MS, () => {
      this.#emit({ kind: 'pathTooBig', path: id, datagramBytes: FLOOR_BYTES });
    });
  }

  /** `bytes`: of the UDP payload that leaves, the RELAY header included. */
  #sealTo(
    session: FakeSession,
    path: FakePath,
    body: FakeBody,
    bytes: number,
    onSwallowed?: () => void,
  ): void {
    path.clock.txDatagrams += 1n;
    path.clock.txBytes += BigInt(bytes);
    const ownBytes = bytes - headerOf(path.address);
    const datagram = { bytes: ownBytes, payload: session.seal(body, ownBytes) };
    this.#transmit(path.address, datagram, onSwallowed);
  }

  #transmit(
    to: PathAddress,
    datagram: FakeDatagram<Uint8Array | Sealed>,
    onSwallowed: () => void = () => undefined,
  ): void {
    if (isEndpoint(to)) {
      if (!this.#sendTo(to, datagram)) onSwallowed();
      return;
    }
    if (to.family === 'tcp') {
      if (!this.#tcp.send(to.connection, datagram)) this.#drop('no route');
      return;
    }
    const wrapped = this.#labels.wrap(to.label, datagram, onSwallowed);
    if (wrapped) this.#toNeighbour(wrapped.peer, wrapped.datagram);
    else this.#drop('relay_unknown');
  }

  /** A RELAY datagram to the peer that its label belongs to; never through another relay. */
  #toNeighbour(slot: PeerSlot, datagram: FakeDatagram<FakeRelayed>): void {
    const path = this.#paths.get(this.#peers.get(slot)?.path ?? 0);
    if (!path) {
      this.#drop('no path');
      return;
    }
    if (path.address.family === 'relay') {
      this.#drop('relay_nested');
      return;
    }
    path.clock.onRelayed(this.#nowMs());
    path.clock.txDatagrams += 1n;
    path.clock.txBytes += BigInt(datagram.bytes);
    if (!isEndpoint(path.address)) {
      if (!this.#tcp.send(path.address.connection, datagram)) this.#drop('no route');
    } else if (!this.#sendTo(path.address, datagram)) datagram.payload.onSwallowed();
  }

  /** @returns false when the wire swallows it for its size. */
  #sendTo(to: Endpoint, datagram: FakeDatagram<FakePayload>): boolean {
    const source = this.#ownFor(to);
    if (source === undefined || !this.#config) {
      this.#drop('no route');
      return true;
    }
    this.#count('txDatagrams');
    return this.#network.send(source, to, datagram);
  }

  #ownFor(to: Endpoint): Endpoint | undefined {
    const own = this.#addresses.find((address) => address.includes(':') === (to.family === 6));
    return own === undefined ? undefined : this.#local(own);
  }

  /** Rates and cookies belong to hosts: a new connection is no new source. */
  #sourceOf(from: PathAddress): PathAddress {
    return from.family === 'tcp' ? (this.#tcp.remoteOf(from.connection) ?? from) : from;
  }

  // --- the clock of a path ---

  #ping(id: PathId): void {
    this.#sendPing(id, PING_BYTES, false);
    this.#schedulePing(id);
  }

  #sendPing(id: PathId, bytes: number, isProbe: boolean): void {
    const path = this.#paths.get(id);
    const session = this.#sessions.get(path?.session ?? 0);
    if (!path || !session) return;
    const seq = path.clock.ask(this.#nowMs(), bytes, isProbe);
    this.#sealTo(session, path, { kind: 'ping', path: id, seq }, bytes);
  }

  #schedulePing(id: PathId): void {
    const path = this.#paths.get(id);
    if (!path || path.session === 0) return;
    path.cancelPing?.();
    const nowMs = this.#nowMs();
    const waitMs = Math.max(0, path.clock.nextPingMs(nowMs) - nowMs);
    path.cancelPing = this.#scheduler.at(waitMs, () => {
      // An answer since then moved it.
      if (path.clock.nextPingMs(this.#nowMs()) > this.#nowMs()) {
        this.#schedulePing(id);
        return;
      }
      if (path.clock.checkDead(this.#nowMs())) this.#emit({ kind: 'pathDead', path: id });
      this.#ping(id);
    });
  }

  // --- rx ---

  #receive(from: PathAddress, datagram: FakeDatagram<FakePayload>): void {
    this.#count('rxDatagrams');
    const { payload, bytes } = datagram;
    if (isRelayed(payload)) this.#receiveRelayed(from, payload, bytes);
    else this.#receiveOwn(from, payload, bytes);
  }

  #receiveOwn(from: PathAddress, payload: Uint8Array | Sealed, bytes: number): void {
    if (payload instanceof Uint8Array) this.#receiveHandshake(from, payload);
    else this.#receiveSealed(from, payload, bytes);
  }

  #receiveRelayed(from: PathAddress, relayed: FakeRelayed, bytes: number): void {
    const isFrom = (peer: PeerSlot): boolean => this.#pathOf(peer, from) !== undefined;
    const verdict = this.#labels.receive(relayed, bytes, isFrom);
    switch (verdict.kind) {
      case 'end':
        this.#receiveOwn({ family: 'relay', label: verdict.label }, verdict.payload, bytes);
        break;
      case 'forward':
        this.#count('relayed');
        this.#toNeighbour(verdict.peer, {
          bytes,
          payload: verdict.relayed,
        });
        break;
      case 'unknown': {
        this.#drop('relay_unknown');
        const peer = [...this.#peers.keys()].find(isFrom);
        if (peer !== undefined && this.#mayTell(`label ${relayed.label}`)) {
          this.#emit({ kind: 'labelUnknown', peer, label: relayed.label });
        }
        break;
      }
      case 'drop':
        this.#drop(verdict.reason);
        break;
    }
  }

  #receiveHandshake(from: PathAddress, bytes: Uint8Array): void {
    const verdict = this.#gate?.judge(this.#sourceOf(from), bytes, this.#nowMs());
    if (!verdict) return;
    switch (verdict.kind) {
      case 'drop':
        this.#drop(verdict.reason);
        break;
      case 'answer':
        this.#transmit(from, { bytes: verdict.bytes.length, payload: verdict.bytes });
        if (verdict.isOtherMesh) this.#emit({ kind: 'otherMesh', from });
        break;
      case 'pass': {
        if (from.family === 'tcp' && bytes[0] === INIT_TYPE) this.#tcp.onInit(from.connection);
        const { hasCookie, isResumed } = verdict;
        const copy = bytes.slice();
        this.#emit({ kind: 'handshake', from, bytes: copy, hasCookie, resumed: isResumed });
        break;
      }
    }
  }

  #receiveSealed(from: PathAddress, sealed: Sealed, bytes: number): void {
    const session = this.#sessions.get(sealed.receiverIndex);
    if (!session) {
      this.#drop('unknown session');
      return;
    }
    const outcome = session.open(sealed, bytes, this.#nowMs());
    if (outcome.kind === 'refused') {
      this.#drop(outcome.reason);
      return;
    }
    if (from.family === 'tcp') this.#tcp.onAuthentic(from.connection);
    if (outcome.isFirstOfPhase) {
      this.#emit({ kind: 'phaseConfirmed', session: session.index, phase: outcome.phase, from });
    }
    const path = this.#pathOf(session.peer, from);
    if (path) {
      path.clock.rxDatagrams += 1n;
      path.clock.rxBytes += BigInt(bytes);
      if (sealed.body.kind === 'frame') path.clock.onFrame(this.#nowMs());
    } else if (outcome.isNewest) {
      this.#noteSeen(session, from);
    }
    this.#receiveBody(session, from, sealed.body);
  }

  #receiveBody(session: FakeSession, from: PathAddress, body: FakeBody): void {
    switch (body.kind) {
      case 'keepalive':
        break;
      case 'control': {
        const { type } = body;
        this.#emit({ kind: 'control', session: session.index, from, type, body: body.body });
        break;
      }
      case 'ping': {
        const { path, seq } = body;
        const observed = isEndpoint(from) ? Buffer.from(endpointToBytes(from)).toString('hex') : '';
        const payload = session.seal({ kind: 'pong', path, seq, observed }, PONG_BYTES);
        this.#transmit(from, { bytes: PONG_BYTES, payload });
        break;
      }
      case 'pong':
        this.#receivePong(body);
        break;
      case 'frame':
        this.#receiveFrame(session.peer, this.#pathOf(session.peer, from), body);
        break;
      case 'flood':
        this.#receiveFlood(session.peer, body);
        break;
    }
  }

  #receivePong(body: Extract<FakeBody, { kind: 'pong' }>): void {
    const path = this.#paths.get(body.path);
    const answer = path?.clock.onPong(body.seq, this.#nowMs());
    if (!path || !answer) return;
    const { asked, rttUs } = answer;
    if (answer.isNowAlive) this.#emit({ kind: 'pathAlive', path: body.path, rttUs });
    if (asked.isProbe) {
      this.#emit({ kind: 'probeAnswered', path: body.path, datagramBytes: asked.bytes, rttUs });
    }
    if (path.observed !== body.observed) {
      path.observed = body.observed;
      const endpoint = endpointFromBytes(new Uint8Array(Buffer.from(body.observed, 'hex')));
      if (endpoint) this.#emit({ kind: 'observed', path: body.path, endpoint });
    }
  }

  #receiveFrame(
    peer: PeerSlot,
    path: FakePath | undefined,
    { network, frame }: Extract<FakeBody, { kind: 'frame' }>,
  ): void {
    if (!this.#networks.isOpen(network)) {
      this.#drop('inner_network');
      return;
    }
    const source = macFromBytes(frame.subarray(6, 12));
    const isGroup = ((frame[6] ?? 0) & 1) === 1;
    const ownMacs =
      network === DEFAULT_NETWORK ? this.#config?.ownMacs : this.#networks.ownMacsOf(network);
    if (isGroup || ownMacs?.includes(source)) {
      this.#drop('source mac');
      return;
    }
    if (isLinkLocal(macFromBytes(frame.subarray(0, 6))) || isMacControl(frame)) {
      this.#drop(isMacControl(frame) ? 'mac_control' : 'reserved_multicast');
      return;
    }
    const key = fdbKey(network, source);
    const known = this.#fdb.get(key);
    if (known?.isDeclared && known.peer !== peer) {
      this.#emit({ kind: 'macClaim', network, mac: source, peer, verdict: 'refused' });
      this.#drop(known.peer === LOCAL_PEER ? 'own_source' : 'source_guard');
      return;
    }
    if (!known?.isDeclared) {
      this.#fdb.set(key, { network, mac: source, peer, isDeclared: false, ageSeconds: 0 });
    }
    path?.clock.onFrame(this.#nowMs());
    this.#count('rxFrames');
    this.#onFrame?.(frame, peer, network);
  }

  #receiveFlood(via: PeerSlot, flood: FakeFlood): void {
    const { origin, frame, hops } = flood;
    const source = macFromBytes(frame.subarray(6, 12));
    const isGroup = ((frame[6] ?? 0) & 1) === 1;
    if (isGroup || this.#config?.ownMacs.includes(source)) {
      this.#drop('source mac');
      return;
    }
    const [slot] = [...this.#peers].find(([, { id }]) => id === origin) ?? [];
    const known = this.#fdb.get(fdbKey(DEFAULT_NETWORK, source));
    if (known?.isDeclared && known.peer !== slot) {
      this.#drop(known.peer === LOCAL_PEER ? 'own_source' : 'source_guard');
      return;
    }
    if (!this.#tree.take(flood)) {
      this.#drop('flood_again');
      return;
    }
    if (!known && slot !== undefined) {
      const learned = { network: DEFAULT_NETWORK, mac: source, peer: slot };
      const entry = { ...learned, isDeclared: false, ageSeconds: 0 };
      this.#fdb.set(fdbKey(DEFAULT_NETWORK, source), entry);
    }
    this.#onFrame?.(frame, via, DEFAULT_NETWORK);
    if (hops === 0) return;
    this.#count('floods_passed');
    const next = this.#tree.next(via, [...this.#peers.keys()]);
    for (const other of next) this.#sendFlood(other, { ...flood, hops: hops - 1 });
  }

  #noteSeen(session: FakeSession, from: PathAddress): void {
    if (!this.#mayTell(`${session.index} ${formatPathAddress(from)}`)) return;
    this.#emit({ kind: 'endpointSeen', session: session.index, from });
  }

  /** Once per subject and second. */
  #mayTell(subject: string): boolean {
    const nowMs = this.#nowMs();
    const last = this.#seen.get(subject);
    if (last !== undefined && nowMs - last < SEEN_EVERY_MS) return false;
    this.#seen.set(subject, nowMs);
    return true;
  }

  #pathOf(peer: PeerSlot, from: PathAddress): FakePath | undefined {
    return this.#pathsByAddress.get(pathKey(peer, from));
  }

  /** Tables change seldom, datagrams come often. */
  #indexPaths(): void {
    this.#pathsByAddress.clear();
    for (const path of this.#paths.values()) {
      const key = pathKey(path.peer, path.address);
      if (!this.#pathsByAddress.has(key)) this.#pathsByAddress.set(key, path);
    }
  }

  // --- events and numbers ---

  #emit(event: DataPlaneEvent): void {
    if (!this.#config) return;
    if (this.#events.length >= RING_EVENTS) this.#lost += 1;
    else this.#events.push(event);
    this.#wake();
  }

  #wake(): void {
    if (this.#isWoken || !this.#onReadable) return;
    this.#isWoken = true;
    this.#scheduler.at(0, () => this.#onReadable?.());
  }

  #bind(): void {
    this.#unbind = this.#addresses.flatMap((address) => [
      this.#network.bind(this.#local(address), (from, _to, datagram) => {
        this.#receive(from, datagram);
      }),
      this.#tcp.listen(this.#local(address)),
    ]);
  }

  #local(address: string): Endpoint {
    return { family: address.includes(':') ? 6 : 4, address, port: this.#port };
  }

  #nowMs(): number {
    return this.#scheduler.nowMs();
  }

  #count(name: string): void {
    this.#totals.set(name, (this.#totals.get(name) ?? 0n) + 1n);
  }

  #drop(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0n) + 1n);
  }
}

/** In front of a datagram to there. */
function headerOf(address: PathAddress): number {
  return address.family === 'relay' ? RELAY_HEADER_BYTES : 0;
}

function overheadOf(address: PathAddress): number {
  return SEAL_OVERHEAD_BYTES + headerOf(address);
}

/** What kernels say unasked, see native/core/mac.h. */
function isHousekeeping(frame: Uint8Array): boolean {
  const to = Buffer.from(frame.subarray(0, 6)).toString('hex');
  return /^(3333000000|01005e0000)(01|02|16)$/.test(to);
}

function arpTargetOf(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return frame.length >= 42 && view.getUint16(12) === 0x0806 ? view.getUint32(38) : 0;
}

function pathKey(peer: PeerSlot, address: PathAddress): string {
  return `${peer} ${formatPathAddress(address)}`;
}

function neighbourKey(network: number, address: string): string {
  return `${network} ${address}`;
}

function fdbKey(network: number, mac: Mac): string {
  return `${network} ${mac}`;
}
