import type { Result } from '../base/result.js';
import type { CipherSuite, DirectionKey } from '../dataplane/dataplane.js';
import type { Endpoint } from '../model/endpoint.js';
import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';

/*
 * What a link needs from the crypto room, which it must not import: the two meet in the daemon. Shapes follow
 * crypto/handshake.ts and crypto/rekey.ts; reasons are plain strings here, the few that mean something to a link are
 * named where they are used.
 */

export interface HandshakeDone {
  readonly peer: {
    readonly id: PeerId;
    readonly publicKey: Uint8Array;
    /** Random 8 bytes of the peer's process. */
    readonly instance: Uint8Array;
    readonly maxDatagramBytes: number;
    readonly capabilities: number;
    /** How the peer sees us; undefined: not directly. */
    readonly observed: Endpoint | undefined;
  };
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** 0: no common suite. */
  readonly suite: CipherSuite | 0;
  readonly tx: DirectionKey;
  readonly rx: DirectionKey;
  readonly rekeySecret: Uint8Array;
  readonly pairKey: Uint8Array;
}

export interface InitiatorHandshake {
  /** 512 bytes, cookie zero. */
  readonly init: Uint8Array;
  initWithCookie(cookie: Uint8Array): Uint8Array;
  onResp(
    resp: Uint8Array,
    from: PathAddress,
    expected?: PeerId,
  ): Result<{ readonly fin: Uint8Array; readonly done: HandshakeDone }>;
  erase(): void;
}

export interface ResponderHandshake {
  readonly resp: Uint8Array;
  onFin(fin: Uint8Array, expected?: PeerId): Result<HandshakeDone>;
  erase(): void;
}

/** Resumption of an acquaintance: takes no guess token at the other side's gate. */
export interface Resume {
  readonly hint: Uint8Array;
  readonly pairKey: Uint8Array;
}

/** Keys of one phase, seen from this end. */
export interface RekeyKeys {
  readonly phase: number;
  readonly tx: DirectionKey;
  readonly rx: DirectionKey;
}

/** `low order` among the reasons ends the session; the others mean: drop the message. */
export interface RekeyAsker {
  /** REKEY1 for the next phase, the same bytes until it is answered. */
  request(): Uint8Array;
  onReply(reply: Uint8Array): Result<RekeyKeys>;
  erase(): void;
}

export interface RekeyAnswerer {
  /** `keys` come once per phase, `reply` each time. */
  onRequest(request: Uint8Array): Result<{ readonly reply: Uint8Array; readonly keys?: RekeyKeys }>;
  erase(): void;
}

/** Both take the secret over. */
export interface RekeyCrypto {
  rekeyAsker(rekeySecret: Uint8Array): RekeyAsker;
  rekeyAnswerer(rekeySecret: Uint8Array): RekeyAnswerer;
}

/** One handshake room with this node's identity, mesh and password inside. */
export interface LinkCrypto extends RekeyCrypto {
  /** `resume` for a peer met before. */
  initiate(localIndex: number, resume: Resume | undefined): InitiatorHandshake;
  respond(init: Uint8Array, localIndex: number, from: PathAddress): Result<ResponderHandshake>;
  /** Resumption hint this pair will use next, the same on both sides. */
  hintOf(pairKey: Uint8Array): Uint8Array;
}
