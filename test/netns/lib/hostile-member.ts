import { once } from 'node:events';
import assert from 'node:assert/strict';
import { createSystemRng } from '../../../src/base/system-rng.js';
import {
  type HandshakeDone,
  type LocalParty,
  startInitiator,
} from '../../../src/crypto/handshake.js';
import { generateIdentity } from '../../../src/crypto/identity.js';
import { meshIdOf } from '../../../src/crypto/mesh.js';
import { derivePrs } from '../../../src/crypto/password.js';
import { sodium, sodiumReady } from '../../../src/crypto/sodium.js';
import { SUITE_CHACHA20POLY1305 } from '../../../src/dataplane/dataplane.js';
import { nativeOs } from '../../../src/dataplane/native.js';
import { makeEndpoint, type Endpoint } from '../../../src/model/endpoint.js';
import { parseRetry, RESP_TYPE, RETRY_TYPE } from '../../../src/wire/handshake.js';
import type { Arrival, Attacker } from './attacker.js';
import { PASSWORD } from './daemon.js';

/*
 * Somebody with the right password and no manners: the product's own handshake, then frames sealed as it pleases.
 * It never reads what is sealed for it.
 */

const KIND_FRAME = 0;
export const FLAG_PARTIAL_CHECKSUM = 0x01;
export const FLAG_CONTINUES = 0x02;

const rng = createSystemRng();

export function endpointOf(text: string): Endpoint {
  const colon = text.lastIndexOf(':');
  const made = makeEndpoint(text.slice(0, colon), Number(text.slice(colon + 1)));
  assert.ok(made, text);
  return made;
}

export async function passwordSecret(password = PASSWORD): Promise<Uint8Array> {
  await sodiumReady();
  return derivePrs(password, meshIdOf('default'), nativeOs());
}

export function newParty(): LocalParty {
  return {
    identity: generateIdentity(rng),
    meshId: meshIdOf('default'),
    instance: rng.bytes(8),
    suites: [SUITE_CHACHA20POLY1305],
    maxDatagramBytes: 1472,
    capabilities: 0,
  };
}

export function newIndex(): number {
  return (new DataView(rng.bytes(4).buffer).getUint32(0, true) | 1) >>> 0;
}

/** One handshake as far as FIN, which is not sent: what a test captures, breaks and finally sends itself. */
export interface Exchange {
  readonly init: Uint8Array;
  readonly resp: Uint8Array;
  readonly fin: Uint8Array;
  readonly done: HandshakeDone;
}

export async function exchange(
  attacker: Attacker,
  at: string,
  victim: string,
  prs: Uint8Array,
  party: LocalParty = newParty(),
): Promise<Exchange> {
  const localIndex = newIndex();
  const handshake = startInitiator(party, { prs, slot: 0 }, localIndex, rng);
  let { init } = handshake;
  for (let round = 0; round < 10; round++) {
    const answer = nextArrival(attacker, at, 1000);
    await attacker.send(at, victim, [init]);
    const got = await answer;
    if (got?.bytes[0] === RETRY_TYPE) {
      const retry = parseRetry(got.bytes);
      assert.ok(retry.ok);
      init = handshake.initWithCookie(retry.value.cookie);
    } else if (got?.bytes[0] === RESP_TYPE) {
      const result = handshake.onResp(got.bytes, endpointOf(victim));
      assert.ok(result.ok, `RESP refused: ${JSON.stringify(result)}`);
      return { init, resp: got.bytes, ...result.value };
    }
  }
  throw new Error(`${victim} did not answer ${at}`);
}

/** The next datagram that comes to this endpoint of the attacker. */
export async function nextArrival(
  attacker: Attacker,
  at: string,
  timeoutMs: number,
): Promise<Arrival | undefined> {
  const signal = AbortSignal.timeout(timeoutMs);
  let end: (() => void) | undefined;
  const arrived = new Promise<Arrival>((resolve) => {
    end = attacker.onArrival((arrival) => {
      if (arrival.at === at) resolve(arrival);
    });
  });
  const given = await Promise.race([arrived, once(signal, 'abort').then(() => undefined)]);
  end?.();
  return given;
}

export class HostileMember {
  readonly #attacker: Attacker;
  readonly #at: string;
  readonly #victim: string;
  readonly #done: HandshakeDone;
  #counter = 0n;

  private constructor(attacker: Attacker, at: string, victim: string, done: HandshakeDone) {
    this.#attacker = attacker;
    this.#at = at;
    this.#victim = victim;
    this.#done = done;
  }

  static async join(
    attacker: Attacker,
    at: string,
    victim: string,
    prs: Uint8Array,
  ): Promise<HostileMember> {
    const { fin, done } = await exchange(attacker, at, victim, prs);
    const answer = nextArrival(attacker, at, 2000);
    await attacker.send(at, victim, [fin]);
    assert.equal((await answer)?.bytes[0], 0x10, 'the session is confirmed by DATA');
    return new HostileMember(attacker, at, victim, done);
  }

  /** A frame sealed with the next counter. */
  seal(flags: number, frame: Uint8Array): Uint8Array {
    const inner = new Uint8Array(6 + frame.length);
    inner.set([KIND_FRAME, flags]);
    inner.set(frame, 6);
    const header = new Uint8Array(16);
    const fields = new DataView(header.buffer);
    header[0] = 0x10;
    fields.setUint32(4, this.#done.remoteIndex, true);
    fields.setBigUint64(8, this.#counter, true);
    const { key, iv } = this.#done.tx;
    const nonce = iv.slice(0, 12);
    const counter = new Uint8Array(header.buffer, 8, 8);
    for (let index = 0; index < 8; index++) nonce[4 + index] = nonce[4 + index]! ^ counter[index]!;
    this.#counter += 1n;
    const sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
      ...([inner, header, null, nonce, key] as const),
    );
    return Buffer.concat([header, sealed]);
  }

  /** Frames as they are, each in a datagram of its own. */
  async sendFrames(frames: readonly Uint8Array[], flags = 0): Promise<void> {
    await this.sendSealed(frames.map((frame) => this.seal(flags, frame)));
  }

  async sendSealed(datagrams: readonly Uint8Array[]): Promise<void> {
    await this.#attacker.send(this.#at, this.#victim, datagrams);
  }
}
