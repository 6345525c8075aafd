import type { Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import type { Actions } from './actions.js';
import type { HandshakeDone, LinkCrypto, Resume } from './crypto-port.js';
import type { Dialer } from './dialer.js';

/*
 * What a handshake leaves behind for the next one: who the peer is, where it answered, and the key of the pair, by which
 * either side knows the other when it comes back, however many strangers ask (docs/protocol.md §2).
 *
 *   we answered, FIN is good ────────────────────────────┐
 *   we began ──► held ── its first word in the session ──┴─► hint to the gate · target of the dialer · store
 *                  └─ never confirmed: nothing is kept
 *
 * The pair key is only kept once both sides are known to have it, else the two would go by different ones.
 */

/** The other side may not have got as far as the last one. */
const HINTS_PER_PEER = 2;
const ENDPOINTS_KEPT = 8;

/** What is to be stored of a peer after a handshake. */
export interface Acquaintance {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  /** Where it was reached last; undefined: not directly. */
  readonly endpoint: Endpoint | undefined;
  readonly hint: Uint8Array;
  readonly pairKey: Uint8Array;
}

export interface AcquaintancesComponents {
  readonly crypto: Pick<LinkCrypto, 'hintOf'>;
  /** Dials them at what is known here, and rests while they are there. */
  readonly dialer: Pick<Dialer, 'targetOf' | 'setPeer' | 'onPeerUp'>;
  /** The endpoint that a connection of ours leads to; other addresses are their own. */
  readonly placeOf: (address: PathAddress) => PathAddress;
  readonly isReachable: (peer: PeerId) => boolean;
}

export class Acquaintances {
  readonly #components: AcquaintancesComponents;
  /** What the gate knows, newest last. */
  readonly #hints = new Map<PeerId, Uint8Array[]>();
  /** By session: begun by this side and confirmed by nobody yet. */
  readonly #unconfirmed = new Map<number, Acquaintance>();
  #unsaved: Acquaintance[] = [];

  constructor(components: AcquaintancesComponents) {
    this.#components = components;
  }

  /** As it was stored. */
  restore(id: PeerId, { hint, pairKey }: Resume, out: Actions): void {
    this.#tellGate(id, hint, pairKey, out);
  }

  /** A handshake that the peer began is finished. */
  onAnswered(done: HandshakeDone, from: PathAddress, nowMs: number, out: Actions): void {
    this.#keep(this.#made(done, from), nowMs, out);
  }

  /** One that this side began is: the peer may not have the FIN yet. */
  onDialled(done: HandshakeDone, from: PathAddress): void {
    this.#unconfirmed.set(done.localIndex, this.#made(done, from));
  }

  onConfirmed(session: number, nowMs: number, out: Actions): void {
    const acquaintance = this.#unconfirmed.get(session);
    if (!acquaintance) return;
    this.#unconfirmed.delete(session);
    this.#keep(acquaintance, nowMs, out);
  }

  onUnconfirmed(session: number): void {
    this.#unconfirmed.delete(session);
  }

  /** It is reached elsewhere now: that is where to dial after a restart. */
  onMoved(
    { id, publicKey }: Pick<Acquaintance, 'id' | 'publicKey'>,
    endpoint: Endpoint,
    nowMs: number,
  ): void {
    const { dialer } = this.#components;
    const target = dialer.targetOf(id);
    if (!target?.resume || target.contact !== undefined) return;
    const { resume } = target;
    dialer.setPeer(id, withFirst(endpoint, target.endpoints), resume, nowMs);
    this.#unsaved.push({ id, publicKey, endpoint, ...resume });
  }

  /** Then it is a stranger to the gate. */
  forget(peer: PeerId, out: Actions): void {
    for (const [session, { id }] of this.#unconfirmed) {
      if (id === peer) this.#unconfirmed.delete(session);
    }
    this.#unsaved = this.#unsaved.filter(({ id }) => id !== peer);
    for (const hint of this.#hints.get(peer) ?? []) out.table({ kind: 'resumeRemove', hint });
    this.#hints.delete(peer);
  }

  /** To be stored: what came since the last call. */
  take(): readonly Acquaintance[] {
    const taken = this.#unsaved;
    this.#unsaved = [];
    return taken;
  }

  #made(done: HandshakeDone, from: PathAddress): Acquaintance {
    const { crypto, placeOf } = this.#components;
    const place = placeOf(from);
    const endpoint = isEndpoint(place) ? place : undefined;
    const { id, publicKey } = done.peer;
    return { id, publicKey, endpoint, hint: crypto.hintOf(done.pairKey), pairKey: done.pairKey };
  }

  #keep(acquaintance: Acquaintance, nowMs: number, out: Actions): void {
    const { dialer, isReachable } = this.#components;
    const { id, endpoint, hint, pairKey } = acquaintance;
    this.#tellGate(id, hint, pairKey, out);
    const old = dialer.targetOf(id);
    // The endpoints of a contact are those of its name, not of this peer.
    const known = old?.contact === undefined ? old?.endpoints : undefined;
    dialer.setPeer(id, withFirst(endpoint, known), { hint, pairKey }, nowMs);
    if (isReachable(id)) dialer.onPeerUp(id);
    this.#unsaved.push(acquaintance);
    out.push({ kind: 'peerChanged', peer: id });
  }

  #tellGate(id: PeerId, hint: Uint8Array, pairKey: Uint8Array, out: Actions): void {
    out.table({ kind: 'resumeSet', hint, pairKey });
    const hints = this.#hints.get(id) ?? [];
    hints.push(hint);
    const old = hints.length > HINTS_PER_PEER ? hints.shift() : undefined;
    if (old) out.table({ kind: 'resumeRemove', hint: old });
    this.#hints.set(id, hints);
  }
}

function withFirst(
  first: Endpoint | undefined,
  rest: readonly PathAddress[] | undefined,
): readonly PathAddress[] {
  if (!first) return rest ?? [];
  const text = formatPathAddress(first);
  const others = (rest ?? []).filter((endpoint) => formatPathAddress(endpoint) !== text);
  return [first, ...others].slice(0, ENDPOINTS_KEPT);
}
