import { concatBytes, utf8Bytes } from '../base/bytes.js';
import { fail, ok, type Result } from '../base/result.js';
import {
  ENDPOINT_BYTES,
  endpointFromBytes,
  endpointToBytes,
  type Endpoint,
} from '../model/endpoint.js';
import type { Identity } from './identity.js';
import { payloadKey, type Role, type Stage } from './key-schedule.js';
import { attempt, sodium, wipe } from './sodium.js';

/*
 * Who somebody is, sealed inside RESP and FIN (docs/protocol.md §1): 176 bytes, little-endian.
 *
 *   0           32          96                  115        123            125           129      176
 *   public key  signature   observed endpoint   instance   max_datagram   capabilities  zeros
 *
 * The signature is over role and transcript hash, so it can be shown to nobody else and in no other exchange.
 */

export const INSTANCE_BYTES = 8;
const PAYLOAD_BYTES = 176;
const SIGNATURE = 32;
const OBSERVED = 96;
const INSTANCE = OBSERVED + ENDPOINT_BYTES;
const MAX_DATAGRAM = INSTANCE + INSTANCE_BYTES;
const CAPABILITIES = MAX_DATAGRAM + 2;
const ZEROS = CAPABILITIES + 4;

const ZERO_NONCE = new Uint8Array(12);
const DOMAIN = {
  initiator: utf8Bytes('overlayd/1 initiator'),
  responder: utf8Bytes('overlayd/1 responder'),
} as const;

export interface Payload {
  readonly publicKey: Uint8Array;
  /** How the writer sees the reader; undefined (19 zeros): not directly. */
  readonly observed: Endpoint | undefined;
  readonly instance: Uint8Array;
  readonly maxDatagramBytes: number;
  readonly capabilities: number;
}

/** Signed by `identity` over this stage's transcript, then sealed. */
export function sealPayload(
  stage: Stage,
  role: Role,
  identity: Identity,
  payload: Omit<Payload, 'publicKey'>,
): Uint8Array {
  const plain = new Uint8Array(PAYLOAD_BYTES);
  const fields = new DataView(plain.buffer);
  plain.set(identity.publicKey);
  plain.set(
    sodium.crypto_sign_detached(concatBytes(DOMAIN[role], stage.th), identity.secretKey),
    SIGNATURE,
  );
  if (payload.observed) plain.set(endpointToBytes(payload.observed), OBSERVED);
  plain.set(payload.instance, INSTANCE);
  fields.setUint16(MAX_DATAGRAM, payload.maxDatagramBytes, true);
  fields.setUint32(CAPABILITIES, payload.capabilities, true);
  const key = payloadKey(stage, role);
  const sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
    plain,
    stage.th,
    null,
    ZERO_NONCE,
    key,
  );
  wipe(key, plain);
  return sealed;
}

/** `sealed`: forged or of another transcript; `signature`: the writer does not own the key it names; `payload`: nonsense inside. */
export type PayloadRefusal = 'sealed' | 'signature' | 'payload';

export function openPayload(
  stage: Stage,
  role: Role,
  sealed: Uint8Array,
): Result<Payload, PayloadRefusal> {
  const key = payloadKey(stage, role);
  const plain = attempt(() =>
    sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, stage.th, ZERO_NONCE, key),
  );
  wipe(key);
  if (!plain || plain.length !== PAYLOAD_BYTES) return fail('sealed');
  const publicKey = plain.slice(0, SIGNATURE);
  const signature = plain.subarray(SIGNATURE, OBSERVED);
  const signed = concatBytes(DOMAIN[role], stage.th);
  if (!sodium.crypto_sign_verify_detached(signature, signed, publicKey)) return fail('signature');
  const observedBytes = plain.subarray(OBSERVED, INSTANCE);
  const observed = endpointFromBytes(observedBytes);
  const isNonsense = !observed && observedBytes.some((byte) => byte !== 0);
  if (isNonsense || plain.subarray(ZEROS).some((byte) => byte !== 0)) return fail('payload');
  const fields = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  return ok({
    publicKey,
    observed,
    instance: plain.slice(INSTANCE, MAX_DATAGRAM),
    maxDatagramBytes: fields.getUint16(MAX_DATAGRAM, true),
    capabilities: fields.getUint32(CAPABILITIES, true),
  });
}
