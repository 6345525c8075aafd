import { fail, ok, type Result } from '../../../src/base/result.js';
import type { DirectionKey } from '../../../src/dataplane/dataplane.js';
import type {
  HandshakeDone,
  InitiatorHandshake,
  LinkCrypto,
  RekeyKeys,
} from '../../../src/link/crypto-port.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import { parsePeerId, type PeerId } from '../../../src/model/peer-id.js';

/** Crypto that only counts: what a link asks of it, answered by the first byte of the datagram. */

export const PEER = parsePeerId('b'.repeat(32))!;
export const OWN = parsePeerId('a'.repeat(32))!;
export const GOOD = 1;
export const WRONG = 2;

export function at(host: number, port = 6783): Endpoint {
  return { family: 4, address: `192.0.2.${host}`, port };
}

export function key(fill: number): DirectionKey {
  return { key: new Uint8Array(32).fill(fill), iv: new Uint8Array(24).fill(fill) };
}

export function doneWith(localIndex: number, id: PeerId = PEER, instance = 1): HandshakeDone {
  return {
    peer: {
      id,
      publicKey: new Uint8Array(32),
      instance: new Uint8Array(8).fill(instance),
      maxDatagramBytes: 65_507,
      capabilities: 0,
      observed: at(1),
    },
    localIndex,
    remoteIndex: localIndex + 1000,
    suite: 2,
    tx: key(1),
    rx: key(2),
    rekeySecret: new Uint8Array(64),
    pairKey: new Uint8Array(32).fill(localIndex & 0xff),
  };
}

export class CountingHandshake implements InitiatorHandshake {
  readonly init = new Uint8Array(512).fill(7);
  readonly #localIndex: number;
  erased = 0;
  examined = 0;

  constructor(localIndex: number) {
    this.#localIndex = localIndex;
  }

  initWithCookie(cookie: Uint8Array): Uint8Array {
    const bytes = this.init.slice();
    bytes.set(cookie, 496);
    return bytes;
  }

  onResp(resp: Uint8Array): Result<{ fin: Uint8Array; done: HandshakeDone }> {
    this.examined += 1;
    if (resp[0] !== GOOD) return fail('confirm');
    return ok({ fin: new Uint8Array(512).fill(3), done: doneWith(this.#localIndex) });
  }

  erase(): void {
    this.erased += 1;
  }
}

export function countingCrypto(): LinkCrypto {
  return {
    initiate: (localIndex) => new CountingHandshake(localIndex),
    respond: () => fail('malformed'),
    rekeyAsker: () => {
      let phase = 0;
      return {
        request: () => Uint8Array.of(1, phase + 1),
        onReply: (reply) => {
          if (reply[0] === 0xff) return fail('low order');
          if (reply[1] !== phase + 1) return fail('stale');
          phase += 1;
          return ok(keysOf(phase));
        },
        erase: () => undefined,
      };
    },
    rekeyAnswerer: () => {
      let phase = 0;
      return {
        onRequest: (request) => {
          const asked = request[1] ?? 0;
          const reply = Uint8Array.of(2, asked);
          if (asked === phase && phase > 0) return ok({ reply });
          if (asked !== phase + 1) return fail('stale');
          phase = asked;
          return ok({ reply, keys: keysOf(phase) });
        },
        erase: () => undefined,
      };
    },
    hintOf: (pairKey) => pairKey.slice(0, 8),
  };
}

function keysOf(phase: number): RekeyKeys {
  return { phase, tx: key(phase), rx: key(phase + 100) };
}
