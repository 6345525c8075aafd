import { Deadlines } from '../base/deadlines.js';
import type { Rng } from '../base/rng.js';
import { assertNever } from '../base/errors.js';
import type { Counters, DataPlaneEvent, PathCounters } from '../dataplane/dataplane.js';
import type { Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { CONTROL, isControlType } from '../wire/control-types.js';
import { decodeClose } from '../wire/control.js';
import { FIN_TYPE, INIT_TYPE, REJECT_TYPE, RESP_TYPE, RETRY_TYPE } from '../wire/handshake.js';
import type { Actions } from './actions.js';
import type { Appetite } from './appetite.js';
import type { CandidateNews } from './candidate.js';
import { candidateRule, type CandidateRule } from './candidates.js';
import {
  ADMIT_BURST,
  ADMIT_PER_SECOND,
  DATA_OVERHEAD_BYTES,
  MAX_PEERS,
  PATHS_IN_ALL,
  SESSIONS_IN_ALL,
  STRANGER_PROBES_BURST,
  STRANGER_PROBES_PER_SECOND,
  TCP_SWEEP_MS,
} from './constants.js';
import type { HandshakeDone, LinkCrypto, Resume } from './crypto-port.js';
import { Dialer } from './dialer.js';
import { isRefusal, PROBLEM_TEXT, type DialTarget } from './dial-target.js';
import { HalfOpenTable, UnfinishedCounter } from './half-open.js';
import { IndexPool, SlotPool } from './index-pool.js';
import { PeerLink } from './peer-link.js';
import { TcpDial } from './tcp-dial.js';
import { Vouched } from './vouched.js';
import { TokenBucket } from '../base/token-bucket.js';

/*
 * All links of this node. Data-plane events come in, find the machine they are for, and actions come out:
 *
 *   handshake ─┬─ INIT, FIN ─────────────► half-open table ─┐
 *              └─ RESP, RETRY, REJECT ───► dialer ──────────┴─ finished ─► PeerLink.install
 *   control, phases, paths, probes ──────► PeerLink of that session or path
 *
 * It decides nothing that one of the machines can decide.
 */

export type LinkState =
  'connecting' | 'handshaking' | 'established' | 'idle' | 'retrying' | 'rejected';

export interface LinksComponents {
  readonly crypto: LinkCrypto;
  readonly rng: Rng;
  /** Who is wanted; without it everybody is. */
  readonly appetite?: Pick<Appetite, 'isWanted' | 'isStarving'>;
}

export interface LinksOptions {
  readonly ownId: PeerId;
  readonly mtuBytes: number;
  readonly rekeyAfterMs: number;
  /** Cidr texts: the pool and own overlay addresses. No way to a peer may lie there. */
  readonly overlay: readonly string[];
  readonly maxPeers?: number;
}

/** What is to be stored of a peer after a handshake. */
export interface Acquaintance {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  /** Where it was reached last; undefined: not directly. */
  readonly endpoint: Endpoint | undefined;
  readonly hint: Uint8Array;
  readonly pairKey: Uint8Array;
}

/** Control messages that are not a link's own business. */
export interface ControlMessage {
  readonly peer: PeerId;
  readonly type: number;
  readonly body: Uint8Array;
}

const CLOSED_AGAIN_MS = 500;
/** The other slots are for peers that come. */
const MAX_LISTED = MAX_PEERS - 512;
const HINTS_PER_PEER = 2;
const SLOT_REST_MS = 10_000;
/** When all slots are taken: as many as may come at once. */
const FORGOTTEN_AT_ONCE = ADMIT_BURST;
const NOTES_BURST = 5;
const NOTES_PER_SECOND = 1 / 60;

export class Links {
  readonly dialer: Dialer;
  readonly #components: LinksComponents;
  readonly #options: LinksOptions;
  readonly #indexes: IndexPool;
  readonly #unfit: CandidateRule;
  readonly #slots: SlotPool;
  readonly #halfOpen = new HalfOpenTable();
  readonly #unfinished = new UnfinishedCounter();
  /** What strangers make us say: any sender can cause it, and it must not push out what matters. */
  readonly #strangerNotes = new TokenBucket(NOTES_BURST, NOTES_PER_SECOND);
  readonly #admissions = new TokenBucket(ADMIT_BURST, ADMIT_PER_SECOND);
  /** Everything that leaves for addresses from which nothing authentic ever came. */
  readonly #strangerProbes = new TokenBucket(STRANGER_PROBES_BURST, STRANGER_PROBES_PER_SECOND);
  /** Where peers are said to be, linked or not. */
  readonly #vouched = new Vouched();
  /** Connections that we opened, and whose path each connection is, accepted ones too. */
  readonly #tcp = new TcpDial();
  readonly #peerOfTcp = new Map<number, PeerId>();
  #tcpSweepMs = 0;
  readonly #peers = new Map<PeerId, PeerLink>();
  readonly #known = new Set<PeerId>();
  /** Slots of peers without a link, and whose each slot is. */
  readonly #listed = new Map<PeerId, number>();
  readonly #slotOwners = new Map<number, PeerId>();
  /** Slots of removed peers, and since when; oldest first. */
  readonly #resting = new Map<number, number>();
  readonly #deadlines = new Deadlines<PeerLink>();
  readonly #bySession = new Map<number, PeerLink>();
  readonly #byPath = new Map<number, PeerLink>();
  readonly #indexed = new Map<PeerLink, { sessions: number[]; paths: number[] }>();
  /** Resumption hints the gate knows, newest last: the other side may not have got as far as the last one. */
  readonly #hints = new Map<PeerId, Uint8Array[]>();
  /** Handshakes this side began and nobody confirmed yet: what to store once they are. */
  readonly #unconfirmed = new Map<number, Acquaintance>();
  #acquaintances: Acquaintance[] = [];
  #forgotten: PeerId[] = [];
  #nextPath = 1;
  #revision = 0;
  #unknownMessages = 0;

  constructor(components: LinksComponents, options: LinksOptions) {
    this.#components = components;
    this.#options = options;
    this.#indexes = new IndexPool(components.rng);
    this.#slots = new SlotPool(options.maxPeers ?? MAX_PEERS);
    this.#unfit = candidateRule(options.overlay);
    this.dialer = new Dialer({
      ...components,
      indexes: this.#indexes,
      unfit: this.#unfit,
      tcp: this.#tcp,
      strangerProbes: this.#strangerProbes,
      view: {
        isReachable: (peer) => this.#peers.get(peer)?.isReachable ?? false,
        wantsRenewal: (peer) => this.#peers.get(peer)?.wantsRenewal ?? false,
        peerAt: (endpoint) => this.#peerAt(endpoint),
        isWanted: (peer) => this.isWanted(peer),
        isStarving: () => components.appetite?.isStarving ?? false,
      },
    });
  }

  /** Grows whenever a peer comes, goes, is wanted anew, is reached elsewhere or is another process. */
  get revision(): number {
    return this.#revision;
  }

  get peers(): readonly PeerLink[] {
    return [...this.#peers.values()];
  }

  /** Handshakes of others in memory: begun and not finished, or finished less than 5 s ago. */
  get halfOpenCount(): number {
    return this.#halfOpen.size;
  }

  /** Control messages of types that are not known here: of later versions. */
  get unknownMessages(): number {
    return this.#unknownMessages;
  }

  peer(id: PeerId): PeerLink | undefined {
    return this.#peers.get(id);
  }

  /** Sends a control message in the peer's session, on its active path. @returns false without a session */
  control(peer: PeerId, type: number, body: Uint8Array, out: Actions): boolean {
    const session = this.#peers.get(peer)?.tx?.index;
    if (session === undefined) return false;
    out.send({ kind: 'control', session, path: 0, type, body });
    return true;
  }

  peerOfPath(path: number): PeerLink | undefined {
    return this.#byPath.get(path);
  }

  peerOfSlot(slot: number): PeerLink | undefined {
    const id = this.#slotOwners.get(slot);
    return id === undefined ? undefined : this.#peers.get(id);
  }

  /** Linked or only listed. */
  idOfSlot(slot: number): PeerId | undefined {
    return this.#slotOwners.get(slot);
  }

  /**
   * A place in the tables for a peer without a link, so that frames for it are noticed. @returns its slot; undefined:
   * none left.
   */
  list(id: PeerId, out: Actions): number | undefined {
    const known = this.#peers.get(id)?.slot ?? this.#listed.get(id);
    if (known !== undefined || this.#slotOwners.size >= MAX_LISTED) return known;
    const slot = this.#slots.take();
    if (slot === undefined) return undefined;
    this.#revision += 1;
    this.#listed.set(id, slot);
    this.#slotOwners.set(slot, id);
    out.table({ kind: 'peerSet', peer: slot, id, session: 0, path: 0 });
    return slot;
  }

  /** Its place in the tables; undefined: it has none. */
  slotOf(id: PeerId): number | undefined {
    return this.#peers.get(id)?.slot ?? this.#listed.get(id);
  }

  /** It has a place and no link. */
  isListed(id: PeerId): boolean {
    return this.#listed.has(id);
  }

  /** Takes the place back; a link keeps its own. */
  unlist(id: PeerId, out: Actions): void {
    const slot = this.#listed.get(id);
    if (slot === undefined) return;
    this.#listed.delete(id);
    this.#slotOwners.delete(slot);
    this.#slots.release(slot);
    out.table({ kind: 'peerRemove', peer: slot });
  }

  /** Dials a peer that is wanted from now on. */
  want(id: PeerId, nowMs: number): void {
    this.#revision += 1;
    this.#tellDialer(id, nowMs);
    this.dialer.wake(id, 0, nowMs);
  }

  /** Both ends can do without the session; `close` leaves first. */
  closeIdle(
    id: PeerId,
    close: { readonly type: number; readonly body: Uint8Array },
    nowMs: number,
    out: Actions,
  ): void {
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.shut('idle', close, nowMs, out);
    });
  }

  /**
   * The peer belongs to the mesh no more: its link ends, `close` leaves first, and all that is known of it goes. A later
   * handshake of it makes a link like that of any stranger.
   */
  remove(
    id: PeerId,
    close: { readonly type: number; readonly body: Uint8Array },
    nowMs: number,
    out: Actions,
  ): void {
    const peer = this.#peers.get(id);
    this.#with(peer, nowMs, out, (link) => {
      link.shut('it was removed from the mesh', close, nowMs, out);
    });
    if (peer) this.#forgetLink(peer, nowMs, out);
    this.unlist(id, out);
    for (const hint of this.#hints.get(id) ?? []) out.table({ kind: 'resumeRemove', hint });
    this.#hints.delete(id);
    this.#known.delete(id);
    this.#vouched.forget(id);
    this.dialer.onRemoved(id, nowMs, out);
    this.#revision += 1;
  }

  #forgetLink(peer: PeerLink, nowMs: number, out: Actions): void {
    peer.removeFromTables(out);
    this.#peers.delete(peer.id);
    this.#indexed.delete(peer);
    this.#deadlines.delete(peer);
    this.#slotOwners.delete(peer.slot);
    for (const [connection, id] of this.#peerOfTcp) {
      if (id === peer.id) this.#peerOfTcp.delete(connection);
    }
    for (const [session, { id }] of this.#unconfirmed) {
      if (id === peer.id) this.#unconfirmed.delete(session);
    }
    this.#acquaintances = this.#acquaintances.filter(({ id }) => id !== peer.id);
    this.#endRests(nowMs);
    // Labels, groups and MACs that name the slot go in the next turns.
    this.#resting.set(peer.slot, nowMs);
  }

  #endRests(nowMs: number): void {
    for (const [slot, atMs] of this.#resting) {
      if (nowMs < atMs + SLOT_REST_MS) break;
      this.#resting.delete(slot);
      this.#slots.release(slot);
    }
  }

  /**
   * A slot for one more. When all are taken, by identities that were used once or made up, those gone for longest are
   * forgotten: who was refused meanwhile finds room when it dials again.
   */
  #takeSlot(nowMs: number, out: Actions): number | undefined {
    const slot = this.#slots.take();
    if (slot !== undefined) return slot;
    this.#endRests(nowMs);
    if (this.#resting.size === 0) this.#forgetLost(nowMs, out);
    return this.#slots.take();
  }

  #forgetLost(nowMs: number, out: Actions): void {
    const lost = [...this.#peers.values()]
      .filter((peer) => !peer.isReachable && peer.sessions.length === 0)
      .sort((a, b) => a.lostAtMs - b.lostAtMs);
    for (const peer of lost.slice(0, FORGOTTEN_AT_ONCE)) {
      this.#forgetLink(peer, nowMs, out);
      for (const hint of this.#hints.get(peer.id) ?? []) out.table({ kind: 'resumeRemove', hint });
      this.#hints.delete(peer.id);
      this.#known.delete(peer.id);
      this.#forgotten.push(peer.id);
      this.#revision += 1;
    }
  }

  /** Peers whose links were forgotten to make room, since the last call. */
  takeForgotten(): readonly PeerId[] {
    const taken = this.#forgotten;
    this.#forgotten = [];
    return taken;
  }

  get nextDeadlineMs(): number {
    return Math.min(
      this.dialer.nextDeadlineMs,
      this.#halfOpen.nextDeadlineMs,
      this.#tcp.size > 0 ? this.#tcpSweepMs : Number.POSITIVE_INFINITY,
      this.#deadlines.nextMs,
    );
  }

  /** A peer from the store: dialled at once, admitted without a token. */
  addKnown(
    id: PeerId,
    endpoints: readonly PathAddress[],
    resume: Resume | undefined,
    nowMs: number,
    out: Actions,
  ): void {
    this.#known.add(id);
    if (resume) this.#rememberHint(id, resume.hint, resume.pairKey, out);
    this.dialer.setPeer(id, endpoints, resume, nowMs);
  }

  /**
   * Ways to a peer that somebody vouches for. With a session they are asked by PINGs in it; without, the relayed and TCP
   * ones are dialled, and nothing is sent to an endpoint on another's word alone.
   */
  addCandidates(id: PeerId, news: readonly CandidateNews[], nowMs: number, out: Actions): void {
    const fit = news.filter(({ address }) => !this.#unfit(address));
    for (const item of fit) if (!isEndpoint(item.address)) this.#vouched.add(id, item);
    this.#tellDialer(id, nowMs);
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.addCandidates(fit, nowMs, out);
    });
  }

  /** The peer, reached through relays, asks us from these endpoints now and wants to be asked there. */
  punch(id: PeerId, endpoints: readonly Endpoint[], nowMs: number, out: Actions): void {
    const fit = endpoints.filter((endpoint) => !this.#unfit(endpoint));
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.punch(fit, nowMs, out);
    });
  }

  /** That way is gone, at once and even if data goes there. */
  removeCandidate(id: PeerId, address: PathAddress, nowMs: number, out: Actions): void {
    this.#vouched.remove(id, address);
    this.#tellDialer(id, nowMs);
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.removeCandidate(address, nowMs, out);
    });
  }

  /** All endpoints the peer's record lists now. With a session: asked by PINGs in it; without: dialled, for it alone. */
  setRecordEndpoints(
    id: PeerId,
    endpoints: readonly Endpoint[],
    nowMs: number,
    out: Actions,
  ): void {
    if (id === this.#options.ownId) return;
    const fit = endpoints.filter((endpoint) => !this.#unfit(endpoint));
    this.#vouched.setRecord(id, fit);
    this.#tellDialer(id, nowMs);
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.setRecord(this.#vouched.recordOf(id), nowMs, out);
    });
  }

  /** Handshakes finished since the last call, to be stored. */
  takeAcquaintances(): readonly Acquaintance[] {
    const taken = this.#acquaintances;
    this.#acquaintances = [];
    return taken;
  }

  /** @returns messages for others. */
  onEvent(event: DataPlaneEvent, nowMs: number, out: Actions): ControlMessage | undefined {
    switch (event.kind) {
      case 'handshake':
        this.#onHandshake(event.from, event.bytes, event.resumed, nowMs, out);
        return undefined;
      case 'otherMesh':
        if (!this.#strangerNotes.take(nowMs)) return undefined;
        out.note({
          level: 'info',
          code: 'other-mesh',
          message: `${formatPathAddress(event.from)} dials with another mesh name`,
          endpoint: formatPathAddress(event.from),
          cure: 'Give both nodes the same --mesh name if they belong together.',
        });
        return undefined;
      case 'control':
        return this.#onControl(event.session, event.type, event.body, nowMs, out);
      case 'phaseConfirmed':
        this.#onPhaseConfirmed(event.session, event.phase, event.from, nowMs, out);
        return undefined;
      case 'endpointSeen':
        if (this.#unfit(event.from)) return undefined;
        this.#with(this.#bySession.get(event.session), nowMs, out, (peer) => {
          this.#noteTcp(event.from, peer.id);
          peer.onEndpointSeen(event.from, nowMs, out);
        });
        return undefined;
      case 'pathAlive':
        this.#with(this.#byPath.get(event.path), nowMs, out, (peer) => {
          peer.onPathAlive(event.path, event.rttUs, nowMs, out);
        });
        return undefined;
      case 'pathDead':
        this.#with(this.#byPath.get(event.path), nowMs, out, (peer) => {
          peer.onPathDead(event.path, nowMs, out);
        });
        return undefined;
      case 'probeAnswered':
        this.#with(this.#byPath.get(event.path), nowMs, out, (peer) => {
          peer.onProbeAnswered(event.path, event.datagramBytes, event.rttUs, nowMs, out);
        });
        return undefined;
      case 'pathTooBig':
        this.#with(this.#byPath.get(event.path), nowMs, out, (peer) => {
          peer.onTooBig(event.path, event.datagramBytes, nowMs, out);
        });
        return undefined;
      case 'sessionLimit':
        this.#with(this.#bySession.get(event.session), nowMs, out, (peer) => {
          peer.onLimit(event.session, nowMs, out);
        });
        return undefined;
      case 'tcpOpened':
        this.#tcp.onOpened(event.connection, nowMs);
        this.dialer.onTcpOpened(event.connection, nowMs, out);
        return undefined;
      case 'tcpClosed':
        this.#onTcpClosed(event.connection, nowMs, out);
        return undefined;
      case 'observed':
      case 'labelUnknown':
      case 'peerWanted':
      case 'macClaim':
      case 'membership':
      case 'fault':
      case 'overflow':
        return undefined;
      default:
        return assertNever(event);
    }
  }

  onDeadline(
    nowMs: number,
    counters: (path: number) => PathCounters | undefined,
    out: Actions,
  ): void {
    for (const index of this.dialer.onDeadline(nowMs, out)) {
      this.#unconfirmed.delete(index);
      this.#with(this.#bySession.get(index), nowMs, out, (peer) => {
        peer.dropSession(index, 'the handshake was not confirmed', nowMs, out);
      });
    }
    if (nowMs >= this.#tcpSweepMs) this.#sweepTcp(nowMs, out);
    for (const entry of this.#halfOpen.expire(nowMs)) {
      if (entry.fin) continue;
      this.#indexes.release(entry.localIndex, nowMs);
      const count = this.#unfinished.onUnfinished(entry.from);
      if (count !== undefined && this.#strangerNotes.take(nowMs))
        noteUnfinished(entry.from, count, out);
    }
    for (const peer of this.#deadlines.takeDue(nowMs)) {
      this.#with(peer, nowMs, out, () => {
        peer.onDeadline(nowMs, counters, out);
      });
    }
  }

  /** Links, addresses or routes of this host changed: whatever waits is tried now, whatever works is asked. */
  onNetworkChange(nowMs: number, out: Actions): void {
    this.dialer.wakeAll(nowMs);
    for (const peer of this.#peers.values()) {
      this.#with(peer, nowMs, out, () => {
        peer.onNetworkChange(nowMs, out);
      });
    }
  }

  /** Events were lost: take the state of paths and sessions from the counters. */
  resync(counters: Counters, nowMs: number, out: Actions): void {
    for (const { path, isAlive, srttUs } of counters.paths) {
      const peer = this.#byPath.get(path);
      const isThought = peer?.paths.get(path)?.state === 'working';
      if (!peer || isThought === isAlive) continue;
      this.#with(peer, nowMs, out, () => {
        if (isAlive) peer.onPathAlive(path, srttUs, nowMs, out);
        else peer.onPathDead(path, nowMs, out);
      });
    }
    for (const { session, rxPackets } of counters.sessions) {
      const peer = this.#bySession.get(session);
      const known = peer?.sessions.find((other) => other.index === session);
      const from = peer?.paths.active?.address;
      if (!known || known.isConfirmed || rxPackets === 0n || !from) continue;
      this.#onPhaseConfirmed(session, known.rekey.phase, from, nowMs, out);
    }
  }

  /** Says goodbye to everybody. */
  closeAll(
    close: { readonly type: number; readonly body: Uint8Array },
    nowMs: number,
    out: Actions,
  ): void {
    for (const peer of this.#peers.values()) {
      peer.shut('shutdown', close, nowMs, out);
      this.#deadlines.set(peer, peer.nextDeadlineMs);
    }
  }

  stateOf(id: PeerId): { readonly state: LinkState; readonly reason: string | undefined } {
    const peer = this.#peers.get(id);
    if (peer?.isReachable) return { state: 'established', reason: undefined };
    if (peer?.isHandshaking) return { state: 'handshaking', reason: undefined };
    const target = this.dialer.targetOf(id);
    if (!this.isWanted(id)) return { state: 'idle', reason: undefined };
    if (!target) return { state: 'idle', reason: peer?.reason };
    const dialled = stateOfTarget(target);
    // It was there before: what is under way is a retry, whatever the target thinks.
    const isBack = peer?.wasReachable === true && dialled.state === 'connecting';
    return {
      state: isBack ? 'retrying' : dialled.state,
      reason: dialled.reason ?? (peer?.reason === '' ? undefined : peer?.reason),
    };
  }

  stateOfContact(target: DialTarget): {
    readonly state: LinkState;
    readonly reason: string | undefined;
  } {
    if (target.peer && this.#peers.get(target.peer)?.isReachable) {
      return { state: 'established', reason: undefined };
    }
    return stateOfTarget(target);
  }

  #noteTcp(address: PathAddress, peer: PeerId): void {
    if (address.family === 'tcp') this.#peerOfTcp.set(address.connection, peer);
  }

  #onTcpClosed(connection: number, nowMs: number, out: Actions): void {
    this.#tcp.onClosed(connection);
    const id = this.#peerOfTcp.get(connection);
    if (id === undefined) return;
    this.#peerOfTcp.delete(connection);
    this.#with(this.#peers.get(id), nowMs, out, (peer) => {
      peer.removeCandidate({ family: 'tcp', connection }, nowMs, out);
    });
  }

  /** Ends connections of ours that carry nothing, since UDP does. */
  #sweepTcp(nowMs: number, out: Actions): void {
    this.#tcpSweepMs = nowMs + TCP_SWEEP_MS;
    const isUsed = (connection: number): boolean => {
      const id = this.#peerOfTcp.get(connection);
      const active = id === undefined ? undefined : this.#peers.get(id)?.paths.active?.address;
      return active?.family === 'tcp' && active.connection === connection;
    };
    for (const connection of this.#tcp.sweep(isUsed, nowMs)) {
      out.send({ kind: 'tcpClose', connection });
      this.#onTcpClosed(connection, nowMs, out);
    }
  }

  #onHandshake(
    from: PathAddress,
    bytes: Uint8Array,
    isResumed: boolean,
    nowMs: number,
    out: Actions,
  ): void {
    if (this.#unfit(from)) return; // answered, it would become a path
    switch (bytes[0]) {
      case INIT_TYPE:
        this.#onInit(from, bytes, isResumed, nowMs, out);
        break;
      case RESP_TYPE:
        this.#onResp(from, bytes, nowMs, out);
        break;
      case FIN_TYPE:
        this.#onFin(from, bytes, nowMs, out);
        break;
      case RETRY_TYPE:
        this.dialer.onRetry(from, bytes, out);
        break;
      case REJECT_TYPE:
        this.dialer.onReject(from, bytes, out);
        break;
      default:
        break;
    }
  }

  #onInit(
    from: PathAddress,
    bytes: Uint8Array,
    isResumed: boolean,
    nowMs: number,
    out: Actions,
  ): void {
    const known = this.#halfOpen.find(bytes);
    if (known) {
      if (!known.fin) out.datagram(from, known.handshake.resp);
      return;
    }
    const room = this.#halfOpen.makeRoom(isResumed);
    if (room === 'full') return;
    if (room !== 'room') this.#indexes.release(room.localIndex, nowMs);
    const localIndex = this.#indexes.take(nowMs);
    const answer = this.#components.crypto.respond(bytes, localIndex, from);
    if (!answer.ok) {
      this.#indexes.release(localIndex, nowMs);
      return;
    }
    this.#halfOpen.add(bytes, answer.value, localIndex, from, isResumed, nowMs);
    out.datagram(from, answer.value.resp);
  }

  #onFin(from: PathAddress, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const entry = this.#halfOpen.byIndex(receiverIndexOf(bytes));
    if (!entry) return;
    if (entry.fin) {
      const isSame = Buffer.compare(entry.fin, bytes) === 0;
      if (isSame && entry.finAnswers.take(nowMs)) {
        out.send({ kind: 'keepalive', session: entry.localIndex, to: from });
      }
      return;
    }
    const result = entry.handshake.onFin(bytes);
    if (!result.ok) {
      if (result.reason === 'clone') noteClone(from, out);
      return;
    }
    entry.fin = bytes.slice();
    out.send({ kind: 'returnToken', from: entry.from });
    this.#unfinished.onFinished(entry.from);
    const how = { isInitiator: false, initAtMs: entry.createdAtMs, from };
    if (!this.#install(result.value, how, nowMs, out)) {
      this.#indexes.release(entry.localIndex, nowMs);
      return;
    }
    this.#acquaint(
      acquaintanceOf(result.value, this.#tcp.placeOf(from), this.#components.crypto),
      nowMs,
      out,
    );
    out.send({ kind: 'keepalive', session: entry.localIndex, to: from });
  }

  #onResp(from: PathAddress, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const dialled = this.dialer.onResp(receiverIndexOf(bytes), from, bytes, nowMs, out);
    if (!dialled) return;
    const { done, attempt } = dialled;
    const how = { isInitiator: true, initAtMs: attempt.startedAtMs, from };
    if (this.#install(done, how, nowMs, out)) {
      this.#unconfirmed.set(
        done.localIndex,
        acquaintanceOf(done, this.#tcp.placeOf(from), this.#components.crypto),
      );
      const others = attempt.endpoints.filter(
        (endpoint) =>
          formatPathAddress(endpoint) !== formatPathAddress(from) && !this.#unfit(endpoint),
      );
      this.#with(this.#peers.get(done.peer.id), nowMs, out, (peer) => {
        const source = dialled.contact === undefined ? 'record' : 'configured';
        const news = others.map((address) => ({ address, source }) as const);
        peer.addCandidates(news, nowMs, out);
      });
    }
    for (const item of attempt.finDatagram()) out.send(item);
  }

  /** @returns false when the peer cannot be linked: no common cipher, or too many strangers at once. */
  #install(
    done: HandshakeDone,
    how: { readonly isInitiator: boolean; readonly initAtMs: number; readonly from: PathAddress },
    nowMs: number,
    out: Actions,
  ): boolean {
    if (done.suite === 0) {
      if (!how.isInitiator) noteNoCipher(done.peer.id, how.from, out);
      return false;
    }
    if (this.#bySession.size >= SESSIONS_IN_ALL) return false;
    const peer = this.#peers.get(done.peer.id) ?? this.#admit(done, nowMs, out);
    if (!peer) return false;
    this.#with(peer, nowMs, out, () => {
      peer.install(done, how, nowMs, out);
      this.#noteTcp(how.from, peer.id);
      // Who is there by TCP is there by UDP as soon as that gets through.
      const place = this.#tcp.endpointOf(how.from);
      if (place) {
        peer.addCandidates([{ address: place, source: 'configured', isProven: true }], nowMs, out);
      }
      peer.addCandidates(this.#vouched.of(peer.id), nowMs, out);
    });
    return true;
  }

  #admit(done: HandshakeDone, nowMs: number, out: Actions): PeerLink | undefined {
    const { id, publicKey } = done.peer;
    if (!this.#known.has(id) && !this.#admissions.take(nowMs)) return undefined;
    const slot = this.#listed.get(id) ?? this.#takeSlot(nowMs, out);
    if (slot === undefined) return undefined;
    this.#listed.delete(id);
    this.#slotOwners.set(slot, id);
    const peer = new PeerLink(
      {
        ...this.#components,
        strangerProbes: this.#strangerProbes,
        hasManyPaths: () => this.#byPath.size >= PATHS_IN_ALL,
        takePathId: () => this.#takePathId(),
        releaseIndex: (index, atMs) => {
          this.#indexes.release(index, atMs);
        },
      },
      {
        ownId: this.#options.ownId,
        id,
        publicKey,
        slot,
        usefulBytes: Math.min(
          this.#options.mtuBytes + DATA_OVERHEAD_BYTES,
          done.peer.maxDatagramBytes,
        ),
        rekeyAfterMs: this.#options.rekeyAfterMs,
      },
    );
    this.#known.add(id);
    this.#peers.set(id, peer);
    this.#revision += 1;
    return peer;
  }

  #onPhaseConfirmed(
    session: number,
    phase: number,
    from: PathAddress,
    nowMs: number,
    out: Actions,
  ): void {
    this.dialer.onConfirmed(session);
    const acquaintance = this.#unconfirmed.get(session);
    if (acquaintance) {
      this.#unconfirmed.delete(session);
      this.#acquaint(acquaintance, nowMs, out);
    }
    this.#with(this.#bySession.get(session), nowMs, out, (peer) => {
      peer.onPhaseConfirmed(session, phase, from, nowMs, out);
    });
  }

  #onControl(
    session: number,
    type: number,
    body: Uint8Array,
    nowMs: number,
    out: Actions,
  ): ControlMessage | undefined {
    const peer = this.#bySession.get(session);
    if (!peer) return undefined;
    switch (type) {
      case CONTROL.REKEY1:
        this.#with(peer, nowMs, out, () => {
          peer.onRekey1(session, body, nowMs, out);
        });
        return undefined;
      case CONTROL.REKEY_ASK:
        this.#with(peer, nowMs, out, () => {
          peer.onRekeyAsk(session, nowMs, out);
        });
        return undefined;
      case CONTROL.REKEY2:
        this.#with(peer, nowMs, out, () => {
          peer.onRekey2(session, body, nowMs, out);
        });
        return undefined;
      case CONTROL.CLOSE: {
        // One that cannot be read closes all the same: it was authentic.
        const reason = decodeClose(body);
        this.#with(peer, nowMs, out, () => {
          peer.onClose(session, reason.ok ? reason.value : 'no reason given', nowMs, out);
        });
        const isTurnedAway = reason.ok && reason.value === 'removed';
        if (isTurnedAway) this.dialer.onTurnedAway(peer.id, nowMs);
        return isTurnedAway ? { peer: peer.id, type, body } : undefined;
      }
      default:
        if (!isControlType(type)) this.#unknownMessages += 1;
        return { peer: peer.id, type, body };
    }
  }

  /** Runs one peer's machine and keeps the indexes and the dialer in step with what came of it. */
  #with(
    peer: PeerLink | undefined,
    nowMs: number,
    out: Actions,
    act: (peer: PeerLink) => void,
  ): void {
    if (!peer) return;
    const before = stateBits(peer);
    act(peer);
    this.#reindex(peer);
    this.#deadlines.set(peer, peer.nextDeadlineMs);
    const after = stateBits(peer);
    const isMoved = before.endpoint !== after.endpoint || before.instance !== after.instance;
    if (isMoved || before.isReachable !== after.isReachable) this.#revision += 1;
    if (!before.isReachable && after.isReachable) this.dialer.onPeerUp(peer.id);
    if (before.isReachable && after.isReachable && before.endpoint !== after.endpoint) {
      this.#onMoved(peer, nowMs);
    }
    if (!before.wantsRenewal && after.wantsRenewal) this.dialer.wake(peer.id, 0, nowMs);
    if (before.isReachable && !after.isReachable) {
      // A peer that said goodbye is given a moment; one that fell silent is asked at once.
      const isClosed = before.sessions > 0 && after.sessions === 0;
      this.dialer.wake(peer.id, isClosed ? CLOSED_AGAIN_MS : 0, nowMs);
    }
  }

  #reindex(peer: PeerLink): void {
    const before = this.#indexed.get(peer);
    const sessions = peer.sessions.map((session) => session.index);
    const paths = peer.paths.all.map((path) => path.id);
    if (before && isSame(before.sessions, sessions) && isSame(before.paths, paths)) return;
    for (const index of before?.sessions ?? []) this.#bySession.delete(index);
    for (const path of before?.paths ?? []) this.#byPath.delete(path);
    this.#indexed.set(peer, { sessions, paths });
    for (const index of sessions) this.#bySession.set(index, peer);
    for (const path of paths) this.#byPath.set(path, peer);
  }

  #rememberHint(id: PeerId, hint: Uint8Array, pairKey: Uint8Array, out: Actions): void {
    out.table({ kind: 'resumeSet', hint, pairKey });
    const hints = this.#hints.get(id) ?? [];
    hints.push(hint);
    const old = hints.length > HINTS_PER_PEER ? hints.shift() : undefined;
    if (old) out.table({ kind: 'resumeRemove', hint: old });
    this.#hints.set(id, hints);
  }

  #acquaint(acquaintance: Acquaintance, nowMs: number, out: Actions): void {
    const { hint, pairKey } = acquaintance;
    this.#rememberHint(acquaintance.id, hint, pairKey, out);
    const old = this.dialer.targetOf(acquaintance.id);
    const endpoints = withFirst(
      acquaintance.endpoint,
      old?.contact === undefined ? old?.endpoints : undefined,
    );
    this.dialer.setPeer(acquaintance.id, endpoints, { hint, pairKey }, nowMs);
    if (this.#peers.get(acquaintance.id)?.isReachable) this.dialer.onPeerUp(acquaintance.id);
    this.#acquaintances.push(acquaintance);
    out.push({ kind: 'peerChanged', peer: acquaintance.id });
  }

  /** It is reached elsewhere now: that is where to dial after a restart. */
  #onMoved(peer: PeerLink, nowMs: number): void {
    const { id, publicKey, paths } = peer;
    const target = this.dialer.targetOf(id);
    if (!paths.active || !target?.resume || target.contact !== undefined) return;
    const endpoint = paths.active.address;
    if (!isEndpoint(endpoint)) return;
    const { resume } = target;
    this.dialer.setPeer(id, withFirst(endpoint, target.endpoints), resume, nowMs);
    this.#acquaintances.push({ id, publicKey, endpoint, ...resume });
  }

  /** A session with it is sought and kept; others come by the first frame. */
  isWanted(id: PeerId): boolean {
    return this.#components.appetite?.isWanted(id) ?? true;
  }

  /** Who is not wanted is no target: there may be thousands. */
  #tellDialer(id: PeerId, nowMs: number): void {
    if (!this.isWanted(id)) return;
    const addresses = this.#vouched.of(id).map((news) => news.address);
    this.dialer.setVouched(id, addresses, nowMs);
  }

  #peerAt(endpoint: PathAddress): PeerId | undefined {
    const text = formatPathAddress(endpoint);
    for (const peer of this.#peers.values()) {
      const active = peer.paths.active;
      if (peer.isReachable && active && formatPathAddress(active.address) === text) return peer.id;
    }
    return undefined;
  }

  #takePathId(): number {
    const id = this.#nextPath;
    this.#nextPath = id >= 0xffff_ffff ? 1 : id + 1;
    return id;
  }
}

function stateOfTarget(target: DialTarget): {
  readonly state: LinkState;
  readonly reason: string | undefined;
} {
  const reason = target.problem ? PROBLEM_TEXT[target.problem] : undefined;
  if (target.attempts.some((attempt) => attempt.state === 'finishing')) {
    return { state: 'handshaking', reason: undefined };
  }
  if (isRefusal(target.problem)) return { state: 'rejected', reason };
  if (target.problem === 'self') return { state: 'idle', reason };
  if (target.problem !== undefined || target.attemptsMade > 1) return { state: 'retrying', reason };
  return { state: 'connecting', reason: undefined };
}

function stateBits(peer: PeerLink): {
  readonly isReachable: boolean;
  readonly wantsRenewal: boolean;
  readonly sessions: number;
  readonly endpoint: PathAddress | undefined;
  readonly instance: string;
} {
  const { isReachable, wantsRenewal, instance } = peer;
  const endpoint = peer.paths.active?.address;
  return { isReachable, wantsRenewal, sessions: peer.sessions.length, endpoint, instance };
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

/** Bytes 8..12 of RESP and FIN. */
function receiverIndexOf(bytes: Uint8Array): number {
  if (bytes.length < 12) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(8, true);
}

function acquaintanceOf(done: HandshakeDone, from: PathAddress, crypto: LinkCrypto): Acquaintance {
  const endpoint = isEndpoint(from) ? from : undefined;
  const { id, publicKey } = done.peer;
  return { id, publicKey, endpoint, hint: crypto.hintOf(done.pairKey), pairKey: done.pairKey };
}

const ENDPOINTS_KEPT = 8;

function withFirst(
  first: Endpoint | undefined,
  rest: readonly PathAddress[] | undefined,
): readonly PathAddress[] {
  if (!first) return rest ?? [];
  const text = formatPathAddress(first);
  const others = (rest ?? []).filter((endpoint) => formatPathAddress(endpoint) !== text);
  return [first, ...others].slice(0, ENDPOINTS_KEPT);
}

function noteUnfinished(from: PathAddress, count: number, out: Actions): void {
  out.note({
    level: 'warn',
    code: 'password-suspected',
    message: `${isEndpoint(from) ? from.address : formatPathAddress(from)} asked ${count} times and never finished (wrong password?)`,
    endpoint: formatPathAddress(from),
    cure: 'If it should belong to this mesh, start it with the same --password.',
  });
}

function noteClone(from: PathAddress, out: Actions): void {
  out.note({
    level: 'error',
    code: 'clone-detected',
    message: `${formatPathAddress(from)} runs with the identity of this node`,
    endpoint: formatPathAddress(from),
    cure: 'One of the two is a copy: stop it, remove its state directory and start it again.',
  });
}

function noteNoCipher(peer: PeerId, from: PathAddress, out: Actions): void {
  out.note({
    level: 'warn',
    code: 'no-common-cipher',
    message: `${formatPathAddress(from)} shares no cipher with this node`,
    peer,
    endpoint: formatPathAddress(from),
    cure: 'Let the --cipher lists of both nodes overlap.',
  });
}
