import type { Rng } from '../base/rng.js';
import { assertNever } from '../base/errors.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { Counters, DataPlaneEvent, PathCounters } from '../dataplane/dataplane.js';
import type { Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { CONTROL, isControlType } from '../wire/control-types.js';
import { decodeClose } from '../wire/control.js';
import {
  FIN_TYPE,
  INIT_TYPE,
  receiverIndexOf,
  REJECT_TYPE,
  RESP_TYPE,
  RETRY_TYPE,
} from '../wire/handshake.js';
import { Acquaintances, type Acquaintance } from './acquaintances.js';
import type { Actions } from './actions.js';
import { Answering } from './answering.js';
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
} from './constants.js';
import type { HandshakeDone, LinkCrypto, Resume } from './crypto-port.js';
import { Dialer } from './dialer.js';
import type { DialTarget } from './dial-target.js';
import { IndexPool } from './index-pool.js';
import { stateOfContact, stateOfPeer, type StateAndReason } from './link-state.js';
import { LinkTable } from './link-table.js';
import { PeerLink } from './peer-link.js';
import { PeerSlots } from './peer-slots.js';
import { TcpDial } from './tcp-dial.js';
import { TcpOwners, type EndedConnection } from './tcp-owners.js';
import { Vouched } from './vouched.js';

/*
 * All links of this node. Data-plane events come in, find the machine they are for, and actions come out:
 *
 *   handshake ─┬─ INIT, FIN ─────────────► answering ─┐
 *              └─ RESP, RETRY, REJECT ───► dialer ────┴─ finished ─► PeerLink.install, acquaintances
 *   control, phases, paths, probes ──────► PeerLink of that session or path
 *
 * It decides nothing that one of the machines can decide.
 */

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

/** Control messages that are not a link's own business. */
export interface ControlMessage {
  readonly peer: PeerId;
  readonly type: number;
  readonly body: Uint8Array;
}

const CLOSED_AGAIN_MS = 500;
/** When all slots are taken: as many as may come at once. */
const FORGOTTEN_AT_ONCE = ADMIT_BURST;

export class Links {
  readonly dialer: Dialer;
  readonly #components: LinksComponents;
  readonly #options: LinksOptions;
  readonly #indexes: IndexPool;
  readonly #unfit: CandidateRule;
  readonly #slots: PeerSlots;
  readonly #table = new LinkTable();
  readonly #answering: Answering;
  readonly #acquaintances: Acquaintances;
  readonly #admissions = new TokenBucket(ADMIT_BURST, ADMIT_PER_SECOND);
  /** Everything that leaves for addresses from which nothing authentic ever came. */
  readonly #strangerProbes = new TokenBucket(STRANGER_PROBES_BURST, STRANGER_PROBES_PER_SECOND);
  /** Where peers are said to be, linked or not. */
  readonly #vouched = new Vouched();
  readonly #tcp = new TcpDial();
  readonly #tcpOwners = new TcpOwners(this.#tcp);
  /** Whoever had a link, or is in the store: it needs no admission. */
  readonly #known = new Set<PeerId>();
  #forgotten: PeerId[] = [];
  #nextPath = 1;
  #revision = 0;
  #unknownMessages = 0;

  constructor(components: LinksComponents, options: LinksOptions) {
    this.#components = components;
    this.#options = options;
    this.#indexes = new IndexPool(components.rng);
    this.#slots = new PeerSlots(options.maxPeers ?? MAX_PEERS);
    this.#unfit = candidateRule(options.overlay);
    this.#answering = new Answering({ crypto: components.crypto, indexes: this.#indexes });
    this.dialer = new Dialer({
      ...components,
      indexes: this.#indexes,
      unfit: this.#unfit,
      tcp: this.#tcp,
      strangerProbes: this.#strangerProbes,
      view: {
        isReachable: (peer) => this.#isReachable(peer),
        wantsRenewal: (peer) => this.#table.get(peer)?.wantsRenewal ?? false,
        peerAt: (endpoint) => this.#table.peerAt(endpoint),
        isWanted: (peer) => this.isWanted(peer),
        isStarving: () => components.appetite?.isStarving ?? false,
      },
    });
    this.#acquaintances = new Acquaintances({
      crypto: components.crypto,
      dialer: this.dialer,
      placeOf: (address) => this.#tcp.placeOf(address),
      isReachable: (peer) => this.#isReachable(peer),
    });
  }

  /** Grows whenever a peer comes, goes, is wanted anew, is reached elsewhere or is another process. */
  get revision(): number {
    return this.#revision;
  }

  get peers(): readonly PeerLink[] {
    return this.#table.all;
  }

  /** Handshakes of others in memory: begun and not finished, or finished less than 5 s ago. */
  get halfOpenCount(): number {
    return this.#answering.size;
  }

  /** Control messages of types that are not known here: of later versions. */
  get unknownMessages(): number {
    return this.#unknownMessages;
  }

  peer(id: PeerId): PeerLink | undefined {
    return this.#table.get(id);
  }

  /** Sends a control message in the peer's session, on its active path. @returns false without a session */
  control(peer: PeerId, type: number, body: Uint8Array, out: Actions): boolean {
    const session = this.#table.get(peer)?.tx?.index;
    if (session === undefined) return false;
    out.send({ kind: 'control', session, path: 0, type, body });
    return true;
  }

  peerOfPath(path: number): PeerLink | undefined {
    return this.#table.ofPath(path);
  }

  peerOfSlot(slot: number): PeerLink | undefined {
    const id = this.#slots.ownerOf(slot);
    return id === undefined ? undefined : this.#table.get(id);
  }

  /** Linked or only listed. */
  idOfSlot(slot: number): PeerId | undefined {
    return this.#slots.ownerOf(slot);
  }

  /**
   * A place in the tables for a peer without a link, so that frames for it are noticed. @returns its slot; undefined:
   * none left.
   */
  list(id: PeerId, out: Actions): number | undefined {
    const before = this.#slots.of(id);
    const slot = this.#slots.list(id, out);
    if (slot !== before) this.#revision += 1;
    return slot;
  }

  /** Its place in the tables; undefined: it has none. */
  slotOf(id: PeerId): number | undefined {
    return this.#slots.of(id);
  }

  /** It has a place and no link. */
  isListed(id: PeerId): boolean {
    return this.#slots.isListed(id);
  }

  /** Takes the place back; a link keeps its own. */
  unlist(id: PeerId, out: Actions): void {
    this.#slots.unlist(id, out);
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
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
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
    const peer = this.#table.get(id);
    this.#with(peer, nowMs, out, (link) => {
      link.shut('it was removed from the mesh', close, nowMs, out);
    });
    if (peer) this.#forgetLink(peer, nowMs, out);
    this.unlist(id, out);
    this.#acquaintances.forget(id, out);
    this.#known.delete(id);
    this.#vouched.forget(id);
    this.dialer.onRemoved(id, nowMs, out);
    this.#revision += 1;
  }

  #forgetLink(peer: PeerLink, nowMs: number, out: Actions): void {
    peer.removeFromTables(out);
    this.#table.delete(peer);
    this.#tcpOwners.forget(peer.id);
    this.#slots.unlink(peer.id, nowMs);
  }

  /**
   * A slot for one more. When all are taken, by identities that were used once or made up, those gone for longest are
   * forgotten: their slots rest while others take those that have rested, and who was refused meanwhile finds room when
   * it dials again.
   */
  #takeSlot(id: PeerId, nowMs: number, out: Actions): number | undefined {
    const slot = this.#slots.link(id);
    if (slot !== undefined) return slot;
    this.#slots.endRests(nowMs);
    if (!this.#slots.areResting) this.#forgetLost(nowMs, out);
    return this.#slots.link(id);
  }

  #forgetLost(nowMs: number, out: Actions): void {
    const lost = this.#table.all
      .filter((peer) => !peer.isReachable && peer.sessions.length === 0)
      .sort((a, b) => a.lostAtMs - b.lostAtMs);
    for (const peer of lost.slice(0, FORGOTTEN_AT_ONCE)) {
      this.#forgetLink(peer, nowMs, out);
      this.#acquaintances.forget(peer.id, out);
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
      this.#answering.nextDeadlineMs,
      this.#tcpOwners.nextDeadlineMs,
      this.#table.nextDeadlineMs,
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
    if (resume) this.#acquaintances.restore(id, resume, out);
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
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
      peer.addCandidates(fit, nowMs, out);
    });
  }

  /** The peer, reached through relays, asks us from these endpoints now and wants to be asked there. */
  punch(id: PeerId, endpoints: readonly Endpoint[], nowMs: number, out: Actions): void {
    const fit = endpoints.filter((endpoint) => !this.#unfit(endpoint));
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
      peer.punch(fit, nowMs, out);
    });
  }

  /** That way is gone, at once and even if data goes there. */
  removeCandidate(id: PeerId, address: PathAddress, nowMs: number, out: Actions): void {
    this.#vouched.remove(id, address);
    this.#tellDialer(id, nowMs);
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
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
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
      peer.setRecord(this.#vouched.recordOf(id), nowMs, out);
    });
  }

  /** Handshakes finished since the last call, to be stored. */
  takeAcquaintances(): readonly Acquaintance[] {
    return this.#acquaintances.take();
  }

  /** @returns messages for others. */
  onEvent(event: DataPlaneEvent, nowMs: number, out: Actions): ControlMessage | undefined {
    switch (event.kind) {
      case 'handshake':
        this.#onHandshake(event.from, event.bytes, event.resumed, nowMs, out);
        return undefined;
      case 'otherMesh':
        this.#answering.onOtherMesh(event.from, nowMs, out);
        return undefined;
      case 'control':
        return this.#onControl(event.session, event.type, event.body, nowMs, out);
      case 'phaseConfirmed':
        this.#onPhaseConfirmed(event.session, event.phase, event.from, nowMs, out);
        return undefined;
      case 'endpointSeen':
        if (this.#unfit(event.from)) return undefined;
        this.#with(this.#table.ofSession(event.session), nowMs, out, (peer) => {
          this.#tcpOwners.onHeard(event.from, peer.id);
          peer.onEndpointSeen(event.from, nowMs, out);
        });
        return undefined;
      case 'pathAlive':
        this.#with(this.#table.ofPath(event.path), nowMs, out, (peer) => {
          peer.onPathAlive(event.path, event.rttUs, nowMs, out);
        });
        return undefined;
      case 'pathDead':
        this.#with(this.#table.ofPath(event.path), nowMs, out, (peer) => {
          peer.onPathDead(event.path, nowMs, out);
        });
        return undefined;
      case 'probeAnswered':
        this.#with(this.#table.ofPath(event.path), nowMs, out, (peer) => {
          peer.onProbeAnswered(event.path, event.datagramBytes, event.rttUs, nowMs, out);
        });
        return undefined;
      case 'pathTooBig':
        this.#with(this.#table.ofPath(event.path), nowMs, out, (peer) => {
          peer.onTooBig(event.path, event.datagramBytes, nowMs, out);
        });
        return undefined;
      case 'sessionLimit':
        this.#with(this.#table.ofSession(event.session), nowMs, out, (peer) => {
          peer.onLimit(event.session, nowMs, out);
        });
        return undefined;
      case 'tcpOpened':
        this.#tcp.onOpened(event.connection, nowMs);
        this.dialer.onTcpOpened(event.connection, nowMs, out);
        return undefined;
      case 'tcpClosed':
        this.#onTcpEnded(this.#tcpOwners.onClosed(event.connection), nowMs, out);
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
      this.#acquaintances.onUnconfirmed(index);
      this.#with(this.#table.ofSession(index), nowMs, out, (peer) => {
        peer.dropSession(index, 'the handshake was not confirmed', nowMs, out);
      });
    }
    const activeOf = (id: PeerId) => this.#table.get(id)?.paths.active?.address;
    for (const ended of this.#tcpOwners.onDeadline(activeOf, nowMs)) {
      out.send({ kind: 'tcpClose', connection: ended.connection });
      this.#onTcpEnded(ended, nowMs, out);
    }
    this.#answering.onDeadline(nowMs, out);
    for (const peer of this.#table.takeDue(nowMs)) {
      this.#with(peer, nowMs, out, () => {
        peer.onDeadline(nowMs, counters, out);
      });
    }
  }

  /** Links, addresses or routes of this host changed: whatever waits is tried now, whatever works is asked. */
  onNetworkChange(nowMs: number, out: Actions): void {
    this.dialer.wakeAll(nowMs);
    for (const peer of this.#table.all) {
      this.#with(peer, nowMs, out, () => {
        peer.onNetworkChange(nowMs, out);
      });
    }
  }

  /** Events were lost: take the state of paths and sessions from the counters. */
  resync(counters: Counters, nowMs: number, out: Actions): void {
    for (const { path, isAlive, srttUs } of counters.paths) {
      const peer = this.#table.ofPath(path);
      const isThought = peer?.paths.get(path)?.state === 'working';
      if (!peer || isThought === isAlive) continue;
      this.#with(peer, nowMs, out, () => {
        if (isAlive) peer.onPathAlive(path, srttUs, nowMs, out);
        else peer.onPathDead(path, nowMs, out);
      });
    }
    for (const { session, rxPackets } of counters.sessions) {
      const peer = this.#table.ofSession(session);
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
    for (const peer of this.#table.all) {
      peer.shut('shutdown', close, nowMs, out);
      this.#table.update(peer);
    }
  }

  stateOf(id: PeerId): StateAndReason {
    return stateOfPeer(this.#table.get(id), this.dialer.targetOf(id), this.isWanted(id));
  }

  stateOfContact(target: DialTarget): StateAndReason {
    return stateOfContact(target, target.peer && this.#table.get(target.peer));
  }

  #isReachable(id: PeerId): boolean {
    return this.#table.get(id)?.isReachable ?? false;
  }

  #onTcpEnded({ connection, peer: id }: EndedConnection, nowMs: number, out: Actions): void {
    if (id === undefined) return;
    this.#with(this.#table.get(id), nowMs, out, (peer) => {
      peer.removeCandidate({ family: 'tcp', connection }, nowMs, out);
    });
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
        this.#answering.onInit(from, bytes, isResumed, nowMs, out);
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

  #onFin(from: PathAddress, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const answered = this.#answering.onFin(from, bytes, nowMs, out);
    if (!answered) return;
    const { done, initAtMs } = answered;
    if (!this.#install(done, { isInitiator: false, initAtMs, from }, nowMs, out)) {
      this.#answering.refuse(done.localIndex, nowMs);
      return;
    }
    this.#acquaintances.onAnswered(done, from, nowMs, out);
    this.#answering.confirm(done.localIndex, from, out);
  }

  #onResp(from: PathAddress, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const dialled = this.dialer.onResp(receiverIndexOf(bytes), from, bytes, nowMs, out);
    if (!dialled) return;
    const { done, attempt } = dialled;
    const how = { isInitiator: true, initAtMs: attempt.startedAtMs, from };
    if (this.#install(done, how, nowMs, out)) {
      this.#acquaintances.onDialled(done, from);
      const others = attempt.endpoints.filter(
        (endpoint) =>
          formatPathAddress(endpoint) !== formatPathAddress(from) && !this.#unfit(endpoint),
      );
      this.#with(this.#table.get(done.peer.id), nowMs, out, (peer) => {
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
    if (done.suite === 0 || this.#table.sessionCount >= SESSIONS_IN_ALL) return false;
    const peer = this.#table.get(done.peer.id) ?? this.#admit(done, nowMs, out);
    if (!peer) return false;
    this.#with(peer, nowMs, out, () => {
      peer.install(done, how, nowMs, out);
      this.#tcpOwners.onHeard(how.from, peer.id);
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
    const slot = this.#takeSlot(id, nowMs, out);
    if (slot === undefined) return undefined;
    const peer = new PeerLink(
      {
        ...this.#components,
        strangerProbes: this.#strangerProbes,
        hasManyPaths: () => this.#table.pathCount >= PATHS_IN_ALL,
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
    this.#table.add(peer);
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
    this.#acquaintances.onConfirmed(session, nowMs, out);
    this.#with(this.#table.ofSession(session), nowMs, out, (peer) => {
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
    const peer = this.#table.ofSession(session);
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

  /** Runs one peer's machine and keeps the table and the dialer in step with what came of it. */
  #with(
    peer: PeerLink | undefined,
    nowMs: number,
    out: Actions,
    act: (peer: PeerLink) => void,
  ): void {
    if (!peer) return;
    const before = stateBits(peer);
    act(peer);
    this.#table.update(peer);
    const after = stateBits(peer);
    const isMoved = before.endpoint !== after.endpoint || before.instance !== after.instance;
    if (isMoved || before.isReachable !== after.isReachable) this.#revision += 1;
    if (!before.isReachable && after.isReachable) this.dialer.onPeerUp(peer.id);
    if (before.isReachable && after.isReachable && before.endpoint !== after.endpoint) {
      if (after.endpoint && isEndpoint(after.endpoint)) {
        this.#acquaintances.onMoved(peer, after.endpoint, nowMs);
      }
    }
    if (!before.wantsRenewal && after.wantsRenewal) this.dialer.wake(peer.id, 0, nowMs);
    if (before.isReachable && !after.isReachable) {
      // A peer that said goodbye is given a moment; one that fell silent is asked at once.
      const isClosed = before.sessions > 0 && after.sessions === 0;
      this.dialer.wake(peer.id, isClosed ? CLOSED_AGAIN_MS : 0, nowMs);
    }
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

  #takePathId(): number {
    const id = this.#nextPath;
    this.#nextPath = id >= 0xffff_ffff ? 1 : id + 1;
    return id;
  }
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
