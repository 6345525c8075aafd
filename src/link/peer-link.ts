import { toHex } from '../base/bytes.js';
import type { Rng } from '../base/rng.js';
import type { PathCounters } from '../dataplane/dataplane.js';
import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import type { Actions } from './actions.js';
import type { CandidateNews } from './candidate.js';
import { OVERLAP_MS, SESSIONS_PER_PEER } from './constants.js';
import type { HandshakeDone, LinkCrypto } from './crypto-port.js';
import { PathSet, usefulDatagramBytes, type PathSwitch } from './path-set.js';
import { Rekey, type RekeyAction } from './rekey.js';
import { keptOf, type LinkSession } from './sessions.js';
import { TokenBucket } from '../base/token-bucket.js';

/*
 * The link to one peer: its sessions, its paths, and which of each carries data. Every method ends in `#settle`, which
 * compares what the data plane was told with what is wanted now and emits the difference in a safe order: paths and
 * peer first, then what nothing names any more.
 *
 * Two sessions exist for a while when one replaces another. `kept` is the one both sides agree on; sending moves to it
 * when something authentic came in on it, since only then the other side is known to have it.
 */

/** MessagePack nil: the message says it all. */
const ASK_BODY = Uint8Array.of(0xc0);
/** The one reason that is no loss. */
const IDLE = 'idle';
/** … or one of the two nodes stops. */
const SHUTDOWN = 'shutdown';
const GOODBYE = 'it said goodbye (shutdown)';

export interface PeerLinkComponents {
  readonly crypto: LinkCrypto;
  readonly rng: Rng;
  readonly takePathId: () => number;
  readonly releaseIndex: (index: number, nowMs: number) => void;
  /** Datagrams to addresses from which nothing authentic ever came. */
  readonly strangerProbes: TokenBucket;
  /** All peers together have so many paths that each gets few. */
  readonly hasManyPaths: () => boolean;
}

export interface PeerLinkOptions {
  readonly ownId: PeerId;
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly slot: number;
  readonly usefulBytes: number;
  readonly rekeyAfterMs: number;
}

export class PeerLink {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly slot: number;
  readonly paths: PathSet;
  readonly #components: PeerLinkComponents;
  readonly #options: PeerLinkOptions;
  readonly #sessions = new Map<number, LinkSession>();
  #instance = '';
  #tx: LinkSession | undefined;
  #kept: LinkSession | undefined;
  #isReachable = false;
  #wasReachable = false;
  #wantsRenewal = false;
  #reason = '';
  #establishedAtMs = 0;
  #lostAtMs = Number.NEGATIVE_INFINITY;
  #toldPeer = '';
  readonly #toldPaths = new Map<number, string>();
  #notedSwitch: PathSwitch | undefined;
  #notedMtuBytes = 0;
  readonly #asks = new TokenBucket(2, 0.1);
  #gone: number[] = [];

  constructor(components: PeerLinkComponents, options: PeerLinkOptions) {
    this.#components = components;
    this.#options = options;
    this.id = options.id;
    this.publicKey = options.publicKey;
    this.slot = options.slot;
    this.paths = new PathSet(
      components.takePathId,
      usefulDatagramBytes(options.usefulBytes, Number.POSITIVE_INFINITY),
      components.strangerProbes,
      components.hasManyPaths,
    );
  }

  /** Frames get there now, as far as anyone can know. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  /** Was it ever, in this process? */
  get wasReachable(): boolean {
    return this.#wasReachable;
  }

  get isHandshaking(): boolean {
    return this.#tx !== undefined && !isUsable(this.#tx);
  }

  /** Keys are old and no rekey came through: dial although it is reachable. */
  get wantsRenewal(): boolean {
    return this.#wantsRenewal;
  }

  /** Why it is not reachable. */
  get reason(): string {
    return this.#reason;
  }

  get lostAtMs(): number {
    return this.#lostAtMs;
  }

  get establishedAtMs(): number {
    return this.#establishedAtMs;
  }

  /** Hex; of the process we met last. */
  get instance(): string {
    return this.#instance;
  }

  /** The session data is sent on. */
  get tx(): LinkSession | undefined {
    return this.#tx;
  }

  get sessions(): readonly LinkSession[] {
    return [...this.#sessions.values()];
  }

  get nextDeadlineMs(): number {
    let next = this.paths.nextDeadlineMs;
    for (const session of this.#sessions.values()) {
      next = Math.min(next, session.rekey.nextDeadlineMs, session.retireAtMs);
    }
    return next;
  }

  /** A handshake with this peer was finished. Keys go to the data plane in this turn. */
  install(
    done: HandshakeDone,
    how: { readonly isInitiator: boolean; readonly initAtMs: number; readonly from: PathAddress },
    nowMs: number,
    out: Actions,
  ): void {
    if (done.suite === 0) return;
    this.#meetInstance(toHex(done.peer.instance), nowMs, out);
    if (this.#toldPeer === '') this.#tellPeer(0, 0, out);
    this.#makeRoom(nowMs);
    const session: LinkSession = {
      index: done.localIndex,
      remoteIndex: done.remoteIndex,
      isInitiator: how.isInitiator,
      suite: done.suite,
      initAtMs: how.initAtMs,
      rekey: new Rekey(this.#components.crypto, this.#components.rng, done.rekeySecret, {
        session: done.localIndex,
        isInitiator: how.isInitiator,
        rekeyAfterMs: this.#options.rekeyAfterMs,
        nowMs,
      }),
      isConfirmed: false,
      retireAtMs: Number.POSITIVE_INFINITY,
    };
    this.#sessions.set(session.index, session);
    out.table({
      kind: 'sessionInstall',
      session: session.index,
      peer: this.slot,
      remoteIndex: session.remoteIndex,
      suite: session.suite,
      rx: done.rx,
      tx: done.tx,
    });
    this.#kept = this.#kept
      ? keptOf(this.#kept, session, this.#options.ownId, this.id, nowMs)
      : session;
    this.#tx ??= session;
    this.#wantsRenewal = false;
    this.paths.prove(how.from, nowMs);
    this.#moveToKept(nowMs);
    this.#settle(nowMs, out);
  }

  /** First authentic datagram of a phase of one of our sessions. */
  onPhaseConfirmed(
    index: number,
    phase: number,
    from: PathAddress,
    nowMs: number,
    out: Actions,
  ): void {
    const session = this.#sessions.get(index);
    if (!session) return;
    const isFirst = !session.isConfirmed;
    session.isConfirmed = true;
    this.#moveToKept(nowMs);
    // The responder moves over when it hears something: do not let it wait for the next PING.
    if (isFirst && session.isInitiator) {
      out.send({ kind: 'keepalive', session: index, to: from });
    }
    this.#perform(session, session.rekey.onPhaseConfirmed(phase, nowMs), nowMs, out);
    this.#settle(nowMs, out);
  }

  onRekey1(index: number, body: Uint8Array, nowMs: number, out: Actions): void {
    const session = this.#sessions.get(index);
    if (session) this.#perform(session, session.rekey.onRekey1(body), nowMs, out);
    this.#settle(nowMs, out);
  }

  onRekey2(index: number, body: Uint8Array, nowMs: number, out: Actions): void {
    const session = this.#sessions.get(index);
    if (session) this.#perform(session, session.rekey.onRekey2(body, nowMs), nowMs, out);
    this.#settle(nowMs, out);
  }

  /** The session's responder wants new keys. */
  onRekeyAsk(index: number, nowMs: number, out: Actions): void {
    const isOurs = this.#sessions.get(index)?.isInitiator === true;
    if (isOurs && this.#asks.take(nowMs)) this.onLimit(index, nowMs, out);
  }

  onLimit(index: number, nowMs: number, out: Actions): void {
    const session = this.#sessions.get(index);
    if (session) this.#perform(session, session.rekey.onLimit(nowMs), nowMs, out);
    this.#settle(nowMs, out);
  }

  /** The peer ended the session. */
  onClose(index: number, reason: string, nowMs: number, out: Actions): void {
    const why = reason === IDLE ? IDLE : reason === SHUTDOWN ? GOODBYE : closedBy(reason);
    this.dropSession(index, why, nowMs, out);
  }

  dropSession(index: number, reason: string, nowMs: number, out: Actions): void {
    const session = this.#sessions.get(index);
    if (!session) return;
    this.#remove(session, nowMs);
    if (this.#sessions.size === 0) this.#reason = reason;
    this.#settle(nowMs, out);
  }

  onEndpointSeen(from: PathAddress, nowMs: number, out: Actions): void {
    this.paths.onSeen(from, nowMs);
    this.#settle(nowMs, out);
  }

  /** More ways to try beside the active one, by PINGs in the session there is. */
  addCandidates(news: readonly CandidateNews[], nowMs: number, out: Actions): void {
    if (!this.#tx) return;
    for (const candidate of news) this.paths.addCandidate(candidate, nowMs);
    this.#settle(nowMs, out);
  }

  removeCandidate(address: PathAddress, nowMs: number, out: Actions): void {
    this.paths.removeCandidate(address, nowMs);
    if (!this.paths.hasWorking) this.#reason = 'the way to it is gone';
    this.#settle(nowMs, out);
  }

  punch(addresses: readonly PathAddress[], nowMs: number, out: Actions): void {
    if (!this.#tx) return;
    this.paths.punch(addresses, nowMs);
    this.#settle(nowMs, out);
  }

  setRecord(addresses: readonly PathAddress[], nowMs: number, out: Actions): void {
    if (!this.#tx) return;
    this.paths.setRecord(addresses, nowMs);
    this.#settle(nowMs, out);
  }

  /** Links, addresses or routes of this host changed: every path is asked at once, and for its size soon. */
  onNetworkChange(nowMs: number, out: Actions): void {
    this.paths.wakeAll(nowMs);
    for (const { path, isSpeaking } of this.paths.live) {
      if (isSpeaking && this.#toldPaths.has(path.id)) out.send({ kind: 'kick', path: path.id });
    }
  }

  onPathAlive(path: number, rttUs: number, nowMs: number, out: Actions): void {
    this.paths.onAlive(path, rttUs, nowMs);
    this.#settle(nowMs, out);
  }

  onPathDead(path: number, nowMs: number, out: Actions): void {
    this.paths.onDead(path, nowMs);
    if (!this.paths.hasWorking) this.#reason = 'no answer';
    this.#settle(nowMs, out);
  }

  onProbeAnswered(path: number, bytes: number, rttUs: number, nowMs: number, out: Actions): void {
    this.paths.onProbeAnswered(path, bytes, rttUs, nowMs);
    this.#settle(nowMs, out);
  }

  onTooBig(path: number, bytes: number, nowMs: number, out: Actions): void {
    this.paths.onTooBig(path, bytes, nowMs);
    this.#settle(nowMs, out);
  }

  onDeadline(
    nowMs: number,
    counters: (path: number) => PathCounters | undefined,
    out: Actions,
  ): void {
    for (const session of this.sessions) {
      if (nowMs >= session.retireAtMs) this.#remove(session, nowMs);
      else if (nowMs >= session.rekey.nextDeadlineMs) {
        this.#perform(session, session.rekey.onDeadline(nowMs), nowMs, out);
      }
    }
    const probes = this.paths.onDeadline(nowMs, counters);
    this.#settle(nowMs, out);
    for (const probe of probes) this.#probe(probe, out);
  }

  /** Ends everything. `close`: body of a CLOSE that leaves first on every session. */
  shut(
    reason: string,
    close: { readonly type: number; readonly body: Uint8Array } | undefined,
    nowMs: number,
    out: Actions,
  ): void {
    for (const session of this.sessions) {
      if (close) {
        out.sendBeforeTables({
          kind: 'control',
          session: session.index,
          path: 0,
          type: close.type,
          body: close.body,
        });
      }
      this.#remove(session, nowMs);
    }
    this.#reason = reason;
    this.paths.clear();
    this.#settle(nowMs, out);
  }

  /** Takes the peer out of the tables; the link is not used after this. */
  removeFromTables(out: Actions): void {
    if (this.#toldPeer !== '') out.table({ kind: 'peerRemove', peer: this.slot });
  }

  /** Another process of this peer: what belonged to the one before is dead. */
  #meetInstance(instance: string, nowMs: number, out: Actions): void {
    if (this.#instance === instance) return;
    if (this.#instance !== '') {
      out.note({
        level: 'info',
        code: 'peer-restarted',
        message: `Peer ${shortPeerId(this.id)} was restarted`,
        peer: this.id,
      });
      // Reachable before and after, perhaps: the new process knows nothing of us all the same.
      if (this.#isReachable) out.push({ kind: 'peerUp', peer: this.id });
    }
    this.#instance = instance;
    for (const session of this.sessions) this.#remove(session, nowMs);
    this.paths.clear();
  }

  /** A peer that goes on to finish handshakes and confirms none would fill the table of sessions. */
  #makeRoom(nowMs: number): void {
    for (const session of this.sessions) {
      if (this.#sessions.size < SESSIONS_PER_PEER) return;
      if (session !== this.#tx && session !== this.#kept) this.#remove(session, nowMs);
    }
  }

  #moveToKept(nowMs: number): void {
    const kept = this.#kept;
    if (!kept || !kept.isConfirmed) return;
    this.#tx = kept;
    for (const session of this.#sessions.values()) {
      if (session !== kept && session.retireAtMs === Number.POSITIVE_INFINITY) {
        session.retireAtMs = nowMs + OVERLAP_MS;
      }
    }
  }

  #remove(session: LinkSession, nowMs: number): void {
    this.#sessions.delete(session.index);
    session.rekey.erase();
    this.#components.releaseIndex(session.index, nowMs);
    this.#gone.push(session.index);
    const rest = this.sessions.at(-1);
    if (!rest) this.paths.clear();
    if (this.#kept === session) this.#kept = rest;
    if (this.#tx === session) this.#tx = rest;
    if (rest && this.#kept === rest) rest.retireAtMs = Number.POSITIVE_INFINITY;
  }

  #perform(
    session: LinkSession,
    actions: readonly RekeyAction[],
    nowMs: number,
    out: Actions,
  ): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'table':
          out.table(action.entry);
          break;
        case 'rekey1':
          this.#control(session, CONTROL.REKEY1, action.body, out);
          break;
        case 'ask':
          this.#control(session, CONTROL.REKEY_ASK, ASK_BODY, out);
          break;
        case 'rekey2':
          this.#control(session, CONTROL.REKEY2, action.body, out);
          break;
        case 'keepalive': {
          const to = this.paths.active?.address;
          if (to) out.send({ kind: 'keepalive', session: session.index, to });
          break;
        }
        case 'renew':
          if (session === this.#tx) this.#wantsRenewal = true;
          break;
        case 'expire':
          this.#reason = 'the session expired without new keys';
          this.#remove(session, nowMs);
          break;
      }
    }
  }

  #control(session: LinkSession, type: number, body: Uint8Array, out: Actions): void {
    out.send({ kind: 'control', session: session.index, path: 0, type, body });
  }

  #probe(probe: { readonly path: number; readonly bytes: number }, out: Actions): void {
    if (!this.#toldPaths.has(probe.path)) return;
    if (probe.bytes === 0) out.send({ kind: 'kick', path: probe.path });
    else out.send({ kind: 'probe', path: probe.path, datagramBytes: probe.bytes });
  }

  /** Brings the data plane's tables to what is wanted now. */
  #settle(nowMs: number, out: Actions): void {
    const session = this.#tx?.index ?? 0;
    // Before the responder has our FIN it would drop a PING, and a path that is a second old would look lossy.
    const speaking = this.#tx && isUsable(this.#tx) ? session : 0;
    const wanted = new Set<number>();
    for (const { path, isSpeaking } of this.paths.live) {
      wanted.add(path.id);
      const { bytes } = path.pmtu;
      const pingSession = isSpeaking ? speaking : 0;
      const told = `${pingSession} ${bytes}`;
      if (this.#toldPaths.get(path.id) === told) continue;
      this.#toldPaths.set(path.id, told);
      out.table({
        kind: 'pathSet',
        path: path.id,
        peer: this.slot,
        session: pingSession,
        address: path.address,
        datagramBytes: bytes,
      });
    }
    if (this.#toldPeer !== '') {
      const active = session === 0 ? 0 : (this.paths.active?.id ?? 0);
      this.#tellPeer(active === 0 ? 0 : session, active, out);
    }
    for (const id of [...this.#toldPaths.keys()]) {
      if (wanted.has(id)) continue;
      this.#toldPaths.delete(id);
      out.table({ kind: 'pathRemove', path: id });
    }
    for (const index of this.#gone) out.table({ kind: 'sessionRemove', session: index });
    this.#gone = [];
    this.#settleReachable(nowMs, out);
    this.#noteChanges(out);
  }

  #noteChanges(out: Actions): void {
    const { active, lastSwitch } = this.paths;
    if (lastSwitch !== this.#notedSwitch) {
      this.#notedSwitch = lastSwitch;
      const from = lastSwitch?.from && formatPathAddress(lastSwitch.from);
      const to = lastSwitch?.to && formatPathAddress(lastSwitch.to);
      if (this.#isReachable && lastSwitch && from && to && from !== to) {
        out.note({
          level: 'info',
          code: 'peer-path-changed',
          message: `Traffic to ${shortPeerId(this.id)} goes to ${to} instead of ${from}: ${lastSwitch.reason}`,
          peer: this.id,
          endpoint: to,
        });
      }
    }
    if (!active?.pmtu.isSettled || active.pmtu.bytes === this.#notedMtuBytes) return;
    const before = this.#notedMtuBytes;
    this.#notedMtuBytes = active.pmtu.bytes;
    if (before === 0) return;
    out.note({
      level: 'info',
      code: 'peer-mtu-changed',
      message: `Datagrams to ${shortPeerId(this.id)} may have ${active.pmtu.bytes} bytes, ${before} before`,
      peer: this.id,
      endpoint: formatPathAddress(active.address),
    });
  }

  #tellPeer(session: number, path: number, out: Actions): void {
    const told = `${session} ${path}`;
    if (this.#toldPeer === told) return;
    this.#toldPeer = told;
    out.table({ kind: 'peerSet', peer: this.slot, id: this.id, session, path });
  }

  #settleReachable(nowMs: number, out: Actions): void {
    const active = this.paths.active;
    const isReachable = this.#tx !== undefined && isUsable(this.#tx) && active?.state === 'working';
    if (isReachable === this.#isReachable) return;
    this.#isReachable = isReachable;
    const about = { peer: this.id, ...(active && { endpoint: formatPathAddress(active.address) }) };
    if (isReachable) {
      this.#wasReachable = true;
      this.#establishedAtMs = nowMs;
      this.#reason = '';
      out.push({ kind: 'peerUp', peer: this.id });
      out.note({
        level: 'info',
        code: 'peer-established',
        message: `Link to ${shortPeerId(this.id)} established`,
        ...about,
      });
    } else {
      this.#lostAtMs = nowMs;
      if (this.#reason === '') this.#reason = 'no answer';
      if (this.#reason === IDLE) {
        const message = `Link to ${shortPeerId(this.id)} closed: no frames for a while`;
        out.note({ level: 'info', code: 'peer-idle', message, peer: this.id });
        return;
      }
      // This node stops, and says that once for all peers.
      if (this.#reason === SHUTDOWN) return;
      if (this.#reason === GOODBYE) {
        const message = `Peer ${shortPeerId(this.id)} said goodbye: its daemon stopped`;
        out.note({ level: 'info', code: 'peer-lost', message, ...about });
        return;
      }
      out.note({
        level: 'warn',
        code: 'peer-lost',
        message: `Link to ${shortPeerId(this.id)} lost: ${this.#reason}`,
        ...about,
      });
    }
  }
}

function closedBy(reason: string): string {
  return `the peer closed the session (${reason})`;
}

/** The responder has the initiator's FIN; the initiator waits until it heard something. */
function isUsable(session: LinkSession): boolean {
  return session.isConfirmed || !session.isInitiator;
}
