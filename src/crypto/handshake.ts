import { concatBytes } from '../base/bytes.js';
import { fail, ok, type Result } from '../base/result.js';
import type { Rng } from '../base/rng.js';
import type { CipherSuite, DirectionKey } from '../dataplane/dataplane.js';
import type { Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import {
  encodeFin,
  encodeFinHeader,
  encodeInit,
  encodeResp,
  encodeRespHeader,
  finHeader,
  initAroundY,
  MESH_ID_BYTES,
  parseFin,
  parseInit,
  parseResp,
  PROTOCOL_VERSION,
  respBeforeY,
  respY,
  SID_BYTES,
  withCookie,
  withResume,
  type Init,
  type Resp,
} from '../wire/handshake.js';
import { ciOf, cpaceGenerator, cpaceIsk, cpaceMultiply, cpaceScalar } from './cpace.js';
import { peerIdOf, type Identity } from './identity.js';
import {
  confirmation,
  firstStage,
  secondStage,
  sessionKeys,
  type Role,
  type SessionKeys,
  type Stage,
} from './key-schedule.js';
import { resumeField } from './resume.js';
import {
  INSTANCE_BYTES,
  openPayload,
  sealPayload,
  type Payload,
  type PayloadRefusal,
} from './sealed-payload.js';
import { equalSecrets, wipe } from './sodium.js';

/*
 * One handshake, bytes in, bytes and keys out (docs/protocol.md §2): no clock, no retries, no sockets; those are
 * link's. Both ends know the password; afterwards each knows whom it talks to.
 *
 *   initiator                                            responder
 *   startInitiator ── INIT: sid, Y_i, suites, slot ──►   respondToInit        one guess at the password is possible,
 *   onResp  ◄── RESP: suite, Y_r, confirm_r, {id_r} ──                        for either side, and none offline
 *           ── FIN: confirm_i, {id_i} ──►                onFin
 *   done                                                 done
 *
 * confirm is compared, in constant time, before anything is decrypted. Refusals leave the state as it was, so a
 * forged datagram cannot end a handshake; only the third examined RESP does, because each one tests a guess.
 */

/** What a node brings to every handshake. */
export interface LocalParty {
  readonly identity: Identity;
  readonly meshId: Uint8Array;
  /** Random per process start, 8 bytes: tells a clone of this machine from an echo of ourselves. */
  readonly instance: Uint8Array;
  /** Fastest first. */
  readonly suites: readonly CipherSuite[];
  readonly maxDatagramBytes: number;
  readonly capabilities: number;
}

/** Keys belong to the caller, who wipes them once installed. */
export interface HandshakeDone {
  readonly peer: {
    readonly id: PeerId;
    readonly publicKey: Uint8Array;
    readonly instance: Uint8Array;
    readonly maxDatagramBytes: number;
    readonly capabilities: number;
    /** How the peer sees us. */
    readonly observed: Endpoint | undefined;
  };
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** 0: none in common. Nothing can be sealed then, CLOSE neither: both ends say so and drop it. */
  readonly suite: CipherSuite | 0;
  readonly tx: DirectionKey;
  readonly rx: DirectionKey;
  readonly rekeySecret: Uint8Array;
  readonly pairKey: Uint8Array;
}

/** What is wrong with somebody whose password and transcript were right. `identity`: this very process; `clone`: our key, another process. */
export type PeerRefusal = PayloadRefusal | 'identity' | 'clone' | 'unexpected peer';

export type InitRefusal = 'malformed' | 'version' | 'mesh' | 'point';

/** `confirm`: wrong password (or tampering); `reflected`: our own Y came back; `spent`: erased, done, or enough guesses examined. */
export type RespRefusal =
  | 'malformed'
  | 'not ours'
  | 'version'
  | 'suite'
  | 'reflected'
  | 'point'
  | 'confirm'
  | 'spent'
  | PeerRefusal;

export type FinRefusal = 'malformed' | 'not ours' | 'version' | 'confirm' | 'spent' | PeerRefusal;

export interface InitiatorSecret {
  readonly prs: Uint8Array;
  /** 0: the responder's newest password, 1: its other one. */
  readonly slot: number;
  /** Of the last session with the peer that is dialled: passes its gate without a guess token. */
  readonly resume?: { readonly hint: Uint8Array; readonly pairKey: Uint8Array };
}

export interface InitiatorHandshake {
  /** 512 bytes, cookie zero. Repeated byte for byte to every candidate. */
  readonly init: Uint8Array;
  /** The same INIT with the cookie of a RETRY. */
  initWithCookie(cookie: Uint8Array): Uint8Array;
  /**
   * `from`: source of the RESP, sealed as `observed`. At most one RESP per source and three in all are examined,
   * then the secret is erased and a new handshake is due. The FIN is stored by the caller, who repeats it.
   */
  onResp(
    resp: Uint8Array,
    from: PathAddress,
    expected?: PeerId,
  ): Result<{ readonly fin: Uint8Array; readonly done: HandshakeDone }, RespRefusal>;
  /** Wipes what is secret. Idempotent. */
  erase(): void;
}

export interface ResponderHandshake {
  /** 512 bytes; the same INIT gets the same bytes again, stored by the caller. */
  readonly resp: Uint8Array;
  /** A refused FIN leaves the half-open state as it was. After success the state is erased. */
  onFin(fin: Uint8Array, expected?: PeerId): Result<HandshakeDone, FinRefusal>;
  /** Wipes what is secret. Idempotent. */
  erase(): void;
}

/** RESPs one INIT may examine: each tests one guess at our password (docs/protocol.md §2). */
const MAX_EXAMINED = 3;

export function startInitiator(
  party: LocalParty,
  secret: InitiatorSecret,
  localIndex: number,
  rng: Rng,
): InitiatorHandshake {
  checkParty(party, localIndex);
  if (secret.slot !== 0 && secret.slot !== 1)
    throw new RangeError(`No password slot ${secret.slot}`);
  const sid = rng.bytes(SID_BYTES);
  const g = cpaceGenerator(secret.prs, ciOf(party.meshId, secret.slot), sid);
  const scalar = cpaceScalar(rng);
  const y = cpaceMultiply(scalar, g);
  wipe(g);
  if (!y) throw new Error('CPace generator is the identity');
  const suites = party.suites.reduce((set, suite) => set | suite, 0);
  let init = encodeInit({
    version: PROTOCOL_VERSION,
    flags: 0,
    senderIndex: localIndex,
    meshId: party.meshId,
    sid,
    y,
    suites,
    slot: secret.slot,
  });
  if (secret.resume) {
    init = withResume(init, resumeField(secret.resume.hint, secret.resume.pairKey, init));
  }
  return new Initiator(party, init, { sid, y, suites, localIndex }, scalar);
}

export function respondToInit(
  party: LocalParty,
  secrets: { readonly newest: Uint8Array; readonly other?: Uint8Array | undefined },
  initBytes: Uint8Array,
  localIndex: number,
  from: PathAddress,
  rng: Rng,
): Result<ResponderHandshake, InitRefusal> {
  checkParty(party, localIndex);
  const parsed = parseInit(initBytes);
  if (!parsed.ok) return parsed;
  const init = parsed.value;
  if (init.slot > 1) return fail('malformed');
  if (init.version === 0) return fail('version');
  if (Buffer.compare(init.meshId, party.meshId) !== 0) return fail('mesh');

  // With one password only, slot 1 means it too: a prober cannot tell, and a member needs no time-out to find out.
  const prs = init.slot === 1 && secrets.other ? secrets.other : secrets.newest;
  const g = cpaceGenerator(prs, ciOf(party.meshId, init.slot), init.sid);
  const scalar = cpaceScalar(rng);
  const y = cpaceMultiply(scalar, g);
  const k = cpaceMultiply(scalar, init.y);
  wipe(g, scalar);
  if (!y) throw new Error('CPace generator is the identity');
  if (!k) return fail('point');

  const version = Math.min(init.version, PROTOCOL_VERSION);
  const suite = party.suites.find((own) => (init.suites & own) !== 0) ?? 0;
  const head = encodeRespHeader({
    version,
    flags: 0,
    senderIndex: localIndex,
    receiverIndex: init.senderIndex,
    suite,
  });
  const stage = agree(k, initBytes, init, concatBytes(head, y));
  const confirm = confirmation(stage, 'responder');
  const sealed = sealPayload(stage, 'responder', party.identity, ownPayload(party, from));
  const resp = encodeResp(head, { y, confirm, sealed });
  return ok(
    new Responder(party, resp, stage, {
      version,
      suite,
      localIndex,
      remoteIndex: init.senderIndex,
      confirm,
      sealed,
    }),
  );
}

class Initiator implements InitiatorHandshake {
  readonly init: Uint8Array;
  readonly #party: LocalParty;
  readonly #own: { sid: Uint8Array; y: Uint8Array; suites: number; localIndex: number };
  readonly #examined = new Set<string>();
  /** y_i: kept while RESPs may still be examined. */
  #scalar: Uint8Array | undefined;

  constructor(
    party: LocalParty,
    init: Uint8Array,
    own: { sid: Uint8Array; y: Uint8Array; suites: number; localIndex: number },
    scalar: Uint8Array,
  ) {
    this.init = init;
    this.#party = party;
    this.#own = own;
    this.#scalar = scalar;
  }

  initWithCookie(cookie: Uint8Array): Uint8Array {
    return withCookie(this.init, cookie);
  }

  onResp(
    bytes: Uint8Array,
    from: PathAddress,
    expected?: PeerId,
  ): Result<{ fin: Uint8Array; done: HandshakeDone }, RespRefusal> {
    const parsed = parseResp(bytes);
    if (!parsed.ok) return parsed;
    const resp = parsed.value;
    if (resp.receiverIndex !== this.#own.localIndex) return fail('not ours');
    if (resp.version === 0 || resp.version > PROTOCOL_VERSION) return fail('version');
    const suite = offeredSuite(this.#party, resp.suite);
    if (suite === undefined) return fail('suite');
    if (Buffer.compare(resp.y, this.#own.y) === 0) return fail('reflected');

    const source = formatPathAddress(from);
    if (!this.#scalar || this.#examined.has(source)) return fail('spent');
    const k = cpaceMultiply(this.#scalar, resp.y);
    if (!k) return fail('point');
    this.#examined.add(source);
    const first = agree(k, this.init, this.#own, bytes);
    const outcome = this.#finish(first, resp, suite, from, expected);
    wipe(first.prk);
    if (outcome.ok || this.#examined.size >= MAX_EXAMINED) this.erase();
    return outcome;
  }

  erase(): void {
    wipe(this.#scalar);
    this.#scalar = undefined;
  }

  #finish(
    first: Stage,
    resp: Resp,
    suite: CipherSuite | 0,
    from: PathAddress,
    expected: PeerId | undefined,
  ): Result<{ fin: Uint8Array; done: HandshakeDone }, RespRefusal> {
    if (!equalSecrets(resp.confirm, confirmation(first, 'responder'))) return fail('confirm');
    const peer = identify(this.#party, first, 'responder', resp.sealed, expected);
    if (!peer.ok) return peer;

    const localIndex = this.#own.localIndex;
    const remoteIndex = resp.senderIndex;
    const head = encodeFinHeader({
      version: resp.version,
      flags: 0,
      senderIndex: localIndex,
      receiverIndex: remoteIndex,
    });
    const second = secondStage(first, resp.confirm, resp.sealed, head);
    const confirm = confirmation(second, 'initiator');
    const sealed = sealPayload(
      second,
      'initiator',
      this.#party.identity,
      ownPayload(this.#party, from),
    );
    const keys = sessionKeys(second, confirm, sealed);
    wipe(second.prk);
    return ok({
      fin: encodeFin(head, { confirm, sealed }),
      done: { peer: peer.value, localIndex, remoteIndex, suite, ...keysFor('initiator', keys) },
    });
  }
}

interface ResponderState {
  readonly version: number;
  readonly suite: CipherSuite | 0;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly confirm: Uint8Array;
  readonly sealed: Uint8Array;
}

class Responder implements ResponderHandshake {
  readonly resp: Uint8Array;
  readonly #party: LocalParty;
  readonly #state: ResponderState;
  #stage: Stage | undefined;

  constructor(party: LocalParty, resp: Uint8Array, stage: Stage, state: ResponderState) {
    this.resp = resp;
    this.#party = party;
    this.#stage = stage;
    this.#state = state;
  }

  onFin(bytes: Uint8Array, expected?: PeerId): Result<HandshakeDone, FinRefusal> {
    const parsed = parseFin(bytes);
    if (!parsed.ok) return parsed;
    const fin = parsed.value;
    const { localIndex, remoteIndex, suite, version, confirm, sealed } = this.#state;
    if (fin.receiverIndex !== localIndex || fin.senderIndex !== remoteIndex) {
      return fail('not ours');
    }
    if (fin.version !== version) return fail('version');
    if (!this.#stage) return fail('spent');

    const second = secondStage(this.#stage, confirm, sealed, finHeader(bytes));
    if (!equalSecrets(fin.confirm, confirmation(second, 'initiator'))) {
      wipe(second.prk);
      return fail('confirm');
    }
    const peer = identify(this.#party, second, 'initiator', fin.sealed, expected);
    if (!peer.ok) {
      wipe(second.prk);
      return peer;
    }
    const keys = sessionKeys(second, fin.confirm, fin.sealed);
    wipe(second.prk);
    this.erase();
    return ok({
      peer: peer.value,
      localIndex,
      remoteIndex,
      suite,
      ...keysFor('responder', keys),
    });
  }

  erase(): void {
    wipe(this.#stage?.prk);
    this.#stage = undefined;
  }
}

/** K becomes the first stage; K and ISK are wiped. `resp`: at least RESP up to and with Y. */
function agree(
  k: Uint8Array,
  initBytes: Uint8Array,
  init: Pick<Init, 'sid' | 'y'>,
  resp: Uint8Array,
): Stage {
  const isk = cpaceIsk({
    sid: init.sid,
    k,
    yi: init.y,
    adInitiator: concatBytes(...initAroundY(initBytes)),
    yr: respY(resp),
    adResponder: respBeforeY(resp),
  });
  const stage = firstStage(isk, initBytes, resp);
  wipe(k, isk);
  return stage;
}

/** Opens the peer's payload and judges who it is. Only called after its confirmation was right. */
function identify(
  party: LocalParty,
  stage: Stage,
  role: Role,
  sealed: Uint8Array,
  expected: PeerId | undefined,
): Result<HandshakeDone['peer'], PeerRefusal> {
  const opened = openPayload(stage, role, sealed);
  if (!opened.ok) return opened;
  const peer = { id: peerIdOf(opened.value.publicKey), ...opened.value };
  if (peer.id === party.identity.id) {
    return fail(Buffer.compare(peer.instance, party.instance) === 0 ? 'identity' : 'clone');
  }
  if (expected !== undefined && peer.id !== expected) return fail('unexpected peer');
  return ok(peer);
}

function ownPayload(party: LocalParty, from: PathAddress): Omit<Payload, 'publicKey'> {
  const observed = isEndpoint(from) ? from : undefined;
  const { instance, maxDatagramBytes, capabilities } = party;
  return { observed, instance, maxDatagramBytes, capabilities };
}

function keysFor(role: Role, keys: SessionKeys) {
  const { initiatorToResponder, responderToInitiator, rekeySecret, pairKey } = keys;
  return role === 'initiator'
    ? { tx: initiatorToResponder, rx: responderToInitiator, rekeySecret, pairKey }
    : { tx: responderToInitiator, rx: initiatorToResponder, rekeySecret, pairKey };
}

/** The suite a responder picked: 0, or one that we offered. */
function offeredSuite(party: LocalParty, suite: number): CipherSuite | 0 | undefined {
  return suite === 0 ? 0 : party.suites.find((own) => own === suite);
}

/** Our own caller's bugs, not a stranger's bytes. */
function checkParty(party: LocalParty, localIndex: number): void {
  if (party.meshId.length !== MESH_ID_BYTES || party.instance.length !== INSTANCE_BYTES) {
    throw new RangeError('LocalParty wants a mesh id of 16 and an instance of 8 bytes');
  }
  if (!Number.isInteger(localIndex) || localIndex < 1 || localIndex > 0xffff_ffff) {
    throw new RangeError(`Session index ${localIndex} is not a non-zero u32`);
  }
}
