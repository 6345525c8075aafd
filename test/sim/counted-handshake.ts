import { createHash } from 'node:crypto';

import { concatBytes, toHex } from '../../src/base/bytes.js';
import { fail, ok } from '../../src/base/result.js';
import type { Rng } from '../../src/base/rng.js';
import type { LocalParty } from '../../src/crypto/handshake.js';
import type { DirectionKey } from '../../src/dataplane/dataplane.js';
import type { HandshakeDone, LinkCrypto, RekeyKeys } from '../../src/link/crypto-port.js';
import { isEndpoint, type PathAddress } from '../../src/model/path-address.js';
import type { PeerId } from '../../src/model/peer-id.js';

/*
 * Handshakes that are counted instead of computed, for simulations of hundreds of nodes: datagrams of the same kinds,
 * sizes and indexes, which anybody could forge. Who takes part knows the password, or the RESP is refused as it would be.
 *
 *   INIT   type version 00 00 · index · meshid · sid ·                              resume · cookie
 *   RESP   type version 00 00 · index · receiver · check 16 · random 16 · public key 32 · instance 8
 *   FIN    type version 00 00 · index · receiver · check 16 ·            public key 32 · instance 8
 */

const BYTES = 512;
const CHECK = 12;
const RANDOM = 28;
const WHO = 44;

export class CountedHandshakes {
  /** Finished by both ends counts two. */
  done = 0;
  rekeys = 0;
  readonly #ids = new Map<string, PeerId>();
  readonly #peerIdOf: (publicKey: Uint8Array) => PeerId;

  constructor(peerIdOf: (publicKey: Uint8Array) => PeerId) {
    this.#peerIdOf = peerIdOf;
  }

  /** Of one node. */
  of = (party: LocalParty, prs: Uint8Array, rng: Rng): LinkCrypto => {
    const header = (type: number, index: number, receiver = 0): Uint8Array => {
      const bytes = new Uint8Array(BYTES);
      bytes.set([type, 1]);
      const view = new DataView(bytes.buffer);
      view.setUint32(4, index, true);
      view.setUint32(8, receiver, true);
      return bytes;
    };
    const sign = (bytes: Uint8Array): void => {
      bytes.set(party.identity.publicKey, WHO);
      bytes.set(party.instance, WHO + 32);
    };
    const finish = (
      who: Uint8Array,
      sid: Uint8Array,
      resp: Uint8Array,
      indexes: { readonly local: number; readonly remote: number },
      isInitiator: boolean,
      from: PathAddress | undefined,
    ): HandshakeDone => {
      this.done += 1;
      const publicKey = who.slice(WHO, WHO + 32);
      const material = (what: string): Uint8Array =>
        hash(what, prs, sid, resp.subarray(RANDOM, WHO));
      const [a, b] = [directionKey(material('a')), directionKey(material('b'))];
      return {
        peer: {
          id: this.#idOf(publicKey),
          publicKey,
          instance: who.slice(WHO + 32, WHO + 40),
          maxDatagramBytes: party.maxDatagramBytes,
          capabilities: 0,
          observed: from && isEndpoint(from) ? from : undefined,
        },
        localIndex: indexes.local,
        remoteIndex: indexes.remote,
        suite: party.suites[0] ?? 2,
        tx: isInitiator ? a : b,
        rx: isInitiator ? b : a,
        rekeySecret: concatBytes(material('c'), material('d')),
        pairKey: material('e'),
      };
    };
    const isOwn = (bytes: Uint8Array): boolean =>
      Buffer.compare(bytes.subarray(WHO, WHO + 32), party.identity.publicKey) === 0;
    return {
      initiate: (localIndex, resume) => {
        const init = header(1, localIndex);
        init.set(party.meshId, 8);
        const sid = rng.bytes(16);
        init.set(sid, 24);
        init.set([7], 72);
        if (resume) init.set(resume.hint, 472);
        return {
          init,
          initWithCookie: (cookie) => {
            const copy = init.slice();
            copy.set(cookie, 496);
            return copy;
          },
          onResp: (resp, from, expected) => {
            const check = hash('r', prs, sid).subarray(0, 16);
            if (toHex(resp.subarray(CHECK, RANDOM)) !== toHex(check)) return fail('confirm');
            if (isOwn(resp)) return fail('identity');
            const indexes = { local: localIndex, remote: indexOf(resp) };
            const done = finish(resp, sid, resp.slice(), indexes, true, from);
            if (expected !== undefined && done.peer.id !== expected) return fail('unexpected peer');
            const fin = header(3, localIndex, indexes.remote);
            fin.set(hash('f', prs, sid).subarray(0, 16), CHECK);
            sign(fin);
            return ok({ fin, done });
          },
          erase: () => undefined,
        };
      },
      respond: (init, localIndex, from) => {
        const sid = init.slice(24, 40);
        const resp = header(2, localIndex, indexOf(init));
        resp.set(hash('r', prs, sid).subarray(0, 16), CHECK);
        resp.set(rng.bytes(16), RANDOM);
        sign(resp);
        return ok({
          resp,
          onFin: (fin: Uint8Array) => {
            const check = hash('f', prs, sid).subarray(0, 16);
            if (toHex(fin.subarray(CHECK, RANDOM)) !== toHex(check)) return fail('confirm');
            if (isOwn(fin)) return fail('identity');
            const indexes = { local: localIndex, remote: indexOf(init) };
            return ok(finish(fin, sid, resp, indexes, false, from));
          },
          erase: () => undefined,
        });
      },
      rekeyAsker: (secret) => {
        let request: Uint8Array | undefined;
        let phase = 0;
        return {
          request: () => (request ??= concatBytes(Uint8Array.of(phase + 1), rng.bytes(16))),
          onReply: (reply) => {
            if (!request || reply[0] !== request[0]) return fail('phase');
            phase += 1;
            const keys = rekeyed(secret, request, reply, phase, true);
            request = undefined;
            return ok(keys);
          },
          erase: () => undefined,
        };
      },
      rekeyAnswerer: (secret) => {
        let last: { readonly request: string; readonly reply: Uint8Array } | undefined;
        let phase = 0;
        return {
          onRequest: (request) => {
            if (last?.request === toHex(request)) return ok({ reply: last.reply });
            if (request[0] !== ((phase + 1) & 255)) return fail('phase');
            this.rekeys += 1;
            phase += 1;
            const reply = concatBytes(request.subarray(0, 1), rng.bytes(16));
            last = { request: toHex(request), reply };
            return ok({ reply, keys: rekeyed(secret, request, reply, phase, false) });
          },
          erase: () => undefined,
        };
      },
      hintOf: (pairKey) => hash('hint', pairKey).slice(0, 8),
    };
  };

  #idOf(publicKey: Uint8Array): PeerId {
    const key = toHex(publicKey);
    const id = this.#ids.get(key) ?? this.#peerIdOf(publicKey);
    this.#ids.set(key, id);
    return id;
  }
}

function rekeyed(
  secret: Uint8Array,
  request: Uint8Array,
  reply: Uint8Array,
  phase: number,
  isInitiator: boolean,
): RekeyKeys {
  const a = directionKey(hash('a', secret, request, reply));
  const b = directionKey(hash('b', secret, request, reply));
  return { phase, tx: isInitiator ? a : b, rx: isInitiator ? b : a };
}

function hash(what: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const sum = createHash('sha256').update(what);
  for (const part of parts) sum.update(part);
  return new Uint8Array(sum.digest());
}

function directionKey(key: Uint8Array): DirectionKey {
  return { key, iv: new Uint8Array(24) };
}

function indexOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4, true);
}
