import { endpointFromBytes, endpointToBytes, type Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import { checkBatch } from './fake-batch.js';
import { FakeBridge, LOCAL_PEER, type FakePeer, type FrameBody } from './fake-bridge.js';
import { FakeEvents } from './fake-events.js';
import { FakeGate } from './fake-gate.js';
import type { FakeDatagram, FakeNetwork, Scheduler } from './fake-network.js';
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
const FREE_PORT = 40_000;

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
  readonly #bridge: FakeBridge;
  readonly #labels = new FakeLabels();
  readonly #tcp: FakeTcp<FakePayload>;
  readonly #seen = new Map<string, number>();
  readonly #totals = new Map<string, bigint>();
  readonly #drops = new Map<string, bigint>();
  readonly #events: FakeEvents;
  #onFrame: ((frame: Uint8Array, peer: PeerSlot, network: number) => void) | undefined;

  constructor(options: FakeDataPlaneOptions) {
    this.#network = options.network;
    this.#scheduler = options.scheduler ?? options.network.scheduler;
    this.#addresses = options.addresses;
    this.#secret = options.secret;
    this.#events = new FakeEvents(this.#scheduler);
    this.#bridge = new FakeBridge({
      peers: this.#peers,
      ownMacs: () => this.#config?.ownMacs ?? [],
      send: (slot, network, body) => {
        this.#sendBody(slot, network, body);
      },
      deliver: (frame, peer, network) => this.#onFrame?.(frame, peer, network),
      want: (network, peer, target) => {
        this.#tellWanted(network, peer, target);
      },
      emit: (event) => {
        this.#emit(event);
      },
      count: (name) => {
        this.#count(name);
      },
      drop: (reason) => {
        this.#drop(reason);
      },
    });
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

  reopenTap(): void {
    // Nobody takes it away.
  }

  openNetwork(config: NetworkConfig): void {
    this.#bridge.networks.open(config, this.#config?.tapName ?? '');
  }

  closeNetwork(network: number): void {
    this.#bridge.closeNetwork(network);
  }

  onReadable(callback: () => void): void {
    this.#events.onReadable(callback);
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
    return this.#events.drain();
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
    return this.#bridge.dumpFdb();
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
    this.#bridge.networks.closeAll();
    this.#events.close();
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
    if (this.#config) this.#bridge.fromTap(frame, network);
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
      case 'fdbSet':
      case 'fdbRemove':
      case 'groupSet':
      case 'groupRemove':
      case 'membersSet':
      case 'treeSet':
      case 'neighbourSet':
      case 'neighbourRemove':
        this.#bridge.apply(entry);
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
        if (this.#bridge.networks.isOpen(item.network)) {
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

  #sendBody(slot: PeerSlot, network: number, body: FrameBody): void {
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
        if (this.#bridge.fromPeer(session.peer, body)) {
          this.#pathOf(session.peer, from)?.clock.onFrame(this.#nowMs());
        }
        break;
      case 'flood':
        this.#bridge.floodFromPeer(session.peer, body);
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
    if (this.#config) this.#events.push(event);
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

function pathKey(peer: PeerSlot, address: PathAddress): string {
  return `${peer} ${formatPathAddress(address)}`;
}
