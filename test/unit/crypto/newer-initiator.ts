import assert from 'node:assert/strict';

import { concatBytes } from '../../../src/base/bytes.js';
import type { Rng } from '../../../src/base/rng.js';
import {
  ciOf,
  cpaceGenerator,
  cpaceIsk,
  cpaceMultiply,
  cpaceScalar,
} from '../../../src/crypto/cpace.js';
import { generateIdentity, peerIdOf, type Identity } from '../../../src/crypto/identity.js';
import {
  confirmation,
  firstStage,
  secondStage,
  sessionKeys,
  type SessionKeys,
} from '../../../src/crypto/key-schedule.js';
import { openPayload, sealPayload } from '../../../src/crypto/sealed-payload.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import {
  encodeFin,
  encodeFinHeader,
  encodeInit,
  initAroundY,
  parseResp,
  respBeforeY,
  respY,
  withCookie,
  type Resp,
} from '../../../src/wire/handshake.js';

/*
 * A node of "version 2" that dials, and also speaks 1 (docs/protocol.md §1.1). It says more than version 1 knows wherever
 * it may:
 *
 *   INIT   version 2 · flags 0x8001 · suites with unknown bits · a TLV of its own where version 1 has zeros
 *   RESP   has to be version 1's: the lower of both
 *   FIN    version 1, as RESP · flag 0x4000 · unknown capabilities inside
 */

export const NEWER_VERSION = 2;
const INIT_FLAGS = 0x8001;
const FIN_FLAGS = 0x4000;
const UNKNOWN_SUITES = 0x7000_0000;
const CAPABILITIES = 0x8000_00f0;
const TLVS_AT = 77;
const TLVS = Uint8Array.from([0x2a, 4, 1, 2, 3, 4, 0x2b, 2, 0xff, 0xff]);

export interface NewerSession {
  readonly fin: Uint8Array;
  readonly resp: Resp;
  readonly peer: PeerId;
  readonly keys: SessionKeys;
}

export class NewerInitiator {
  readonly identity: Identity;
  readonly #init: Uint8Array;
  readonly #sid: Uint8Array;
  readonly #y: Uint8Array;
  readonly #scalar: Uint8Array;
  readonly #localIndex: number;
  readonly #instance: Uint8Array;

  /** `suites`: those of version 1 that it offers, as a bit set. */
  constructor(
    prs: Uint8Array,
    meshId: Uint8Array,
    { localIndex, suites, rng }: { localIndex: number; suites: number; rng: Rng },
  ) {
    this.identity = generateIdentity(rng);
    this.#localIndex = localIndex;
    this.#instance = rng.bytes(8);
    this.#sid = rng.bytes(16);
    this.#scalar = cpaceScalar(rng);
    const y = cpaceMultiply(this.#scalar, cpaceGenerator(prs, ciOf(meshId, 0), this.#sid));
    assert.ok(y);
    this.#y = y;
    this.#init = encodeInit({
      version: NEWER_VERSION,
      flags: INIT_FLAGS,
      senderIndex: localIndex,
      meshId,
      sid: this.#sid,
      y,
      suites: suites | UNKNOWN_SUITES,
      slot: 0,
    });
    this.#init.set(TLVS, TLVS_AT);
  }

  get init(): Uint8Array {
    return this.#init;
  }

  initWithCookie(cookie: Uint8Array): Uint8Array {
    return withCookie(this.#init, cookie);
  }

  /** Asserts that the answer proves the password over this very INIT, with all that version 1 does not know of it. */
  onResp(bytes: Uint8Array): NewerSession {
    const parsed = parseResp(bytes);
    assert.ok(parsed.ok);
    const resp = parsed.value;
    const k = cpaceMultiply(this.#scalar, resp.y);
    assert.ok(k);
    const isk = cpaceIsk({
      sid: this.#sid,
      k,
      yi: this.#y,
      adInitiator: concatBytes(...initAroundY(this.#init)),
      yr: respY(bytes),
      adResponder: respBeforeY(bytes),
    });
    const first = firstStage(isk, this.#init, bytes);
    assert.deepEqual(resp.confirm, confirmation(first, 'responder'), 'confirm_r');
    const opened = openPayload(first, 'responder', resp.sealed);
    assert.ok(opened.ok);

    const head = encodeFinHeader({
      version: resp.version,
      flags: FIN_FLAGS,
      senderIndex: this.#localIndex,
      receiverIndex: resp.senderIndex,
    });
    const second = secondStage(first, resp.confirm, resp.sealed, head);
    const confirm = confirmation(second, 'initiator');
    const sealed = sealPayload(second, 'initiator', this.identity, {
      observed: undefined,
      instance: this.#instance,
      maxDatagramBytes: 1472,
      capabilities: CAPABILITIES,
    });
    return {
      fin: encodeFin(head, { confirm, sealed }),
      resp,
      peer: peerIdOf(opened.value.publicKey),
      keys: sessionKeys(second, confirm, sealed),
    };
  }
}
