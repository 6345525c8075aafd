import { fail, ok, type Result } from '../base/result.js';
import { makeEndpoint } from '../model/endpoint.js';
import { isBytes, ownBytes, unpackMap, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';

/*
 * Two nodes agree on a measurement between their overlay addresses (docs/protocol.md §4):
 *
 *   BENCH_ASK     {id 8, seconds, mbps}
 *   BENCH_ANSWER  {id 8, address, tcp, udp, token 16, proof 16}   come: the sender of the load shows the token,
 *                                                                 the receiver answers with the proof
 *                 {id 8, refused}
 */

export const BENCH_ID_BYTES = 8;
export const BENCH_SECRET_BYTES = 16;
/** What one measurement may last and send, whoever asks. */
export const BENCH_LIMITS = { maxSeconds: 30, maxMbps: 10_000 } as const;
export const BENCH_REFUSALS = ['not allowed', 'busy', 'no address', 'failed'] as const;
export type BenchRefusal = (typeof BENCH_REFUSALS)[number];

const LIMITS: PackLimits = { bytes: 256, depth: 2, items: 20 };

export interface BenchAsk {
  /** Chosen by the sender; repetitions have the same. */
  readonly id: Uint8Array;
  /** Of each kind of load. */
  readonly seconds: number;
  /** 10^6 bits of load a second at most. */
  readonly mbps: number;
}

/** Where the load goes. */
export interface BenchPlace {
  /** Literal, without prefix length. */
  readonly address: string;
  readonly tcp: number;
  readonly udp: number;
  readonly token: Uint8Array;
  readonly proof: Uint8Array;
}

export interface BenchAnswer {
  readonly id: Uint8Array;
  readonly outcome: BenchPlace | { readonly refused: BenchRefusal };
}

export function encodeBenchAsk({ id, seconds, mbps }: BenchAsk): Uint8Array {
  return packMessage({ id, seconds, mbps });
}

export function decodeBenchAsk(body: Uint8Array): Result<BenchAsk, BodyRefusal> {
  const map = unpackMap(body, LIMITS);
  if (!map.ok) return map;
  const [id, seconds, mbps] = ['id', 'seconds', 'mbps'].map((key) => map.value.get(key));
  if (!isBytes(id, BENCH_ID_BYTES)) return fail('fields');
  if (!isWhole(seconds, BENCH_LIMITS.maxSeconds) || !isWhole(mbps, BENCH_LIMITS.maxMbps)) {
    return fail('fields');
  }
  return ok({ id: ownBytes(id), seconds, mbps });
}

export function encodeBenchAnswer({ id, outcome }: BenchAnswer): Uint8Array {
  return packMessage({ id, ...outcome });
}

export function decodeBenchAnswer(body: Uint8Array): Result<BenchAnswer, BodyRefusal> {
  const map = unpackMap(body, LIMITS);
  if (!map.ok) return map;
  const field = (key: string): unknown => map.value.get(key);
  const id = field('id');
  if (!isBytes(id, BENCH_ID_BYTES)) return fail('fields');
  const said = field('refused');
  if (said !== undefined) {
    // A reason of a later version is a refusal all the same.
    const refused = BENCH_REFUSALS.find((known) => known === said) ?? 'failed';
    return ok({ id: ownBytes(id), outcome: { refused } });
  }
  const [address, tcp, udp] = [field('address'), field('tcp'), field('udp')];
  const [token, proof] = [field('token'), field('proof')];
  // Zones are names of this host's interfaces: none of a peer's business.
  if (typeof address !== 'string' || address.includes('%')) return fail('fields');
  if (!isWhole(tcp, 65_535) || !isWhole(udp, 65_535)) {
    return fail('fields');
  }
  const place = makeEndpoint(address, tcp);
  if (!place || !isBytes(token, BENCH_SECRET_BYTES) || !isBytes(proof, BENCH_SECRET_BYTES)) {
    return fail('fields');
  }
  const secrets = { token: ownBytes(token), proof: ownBytes(proof) };
  return ok({ id: ownBytes(id), outcome: { address: place.address, tcp, udp, ...secrets } });
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max;
}
