import { fail, ok, type Result } from '../base/result.js';
import { endpointToBytes, formatEndpoint, type Endpoint } from '../model/endpoint.js';
import { isU32, readEndpoints, unpackArray, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';

/*
 * PUNCH (docs/protocol.md §6), sent to a peer that is reached through relays:
 *
 *   [delay ms, [endpoint 19 …]]
 *
 * Ask me at these, beginning so much later; I ask you at the same time, so that what stands between us sees both sides
 * speak first.
 */

export const MAX_PUNCH_ENDPOINTS = 8;
/** Longest delay, ms: a way through relays that is slower than this is no way. */
export const MAX_PUNCH_DELAY_MS = 5000;
const LIMITS: PackLimits = { bytes: 256, depth: 2, items: 16 };

export interface Punch {
  readonly delayMs: number;
  readonly endpoints: readonly Endpoint[];
}

/** What does not fit is left out. */
export function encodePunch({ delayMs, endpoints }: Punch): Uint8Array {
  const distinct = new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
  const listed = [...distinct.values()].slice(0, MAX_PUNCH_ENDPOINTS);
  const delay = Math.min(MAX_PUNCH_DELAY_MS, Math.max(0, Math.round(delayMs)));
  return packMessage([delay, listed.map(endpointToBytes)]);
}

export function decodePunch(body: Uint8Array): Result<Punch, BodyRefusal> {
  const fields = unpackArray(body, LIMITS, 2);
  if (!fields.ok) return fields;
  const [delayMs, listed] = fields.value;
  const endpoints = readEndpoints(listed, MAX_PUNCH_ENDPOINTS);
  if (!isU32(delayMs) || delayMs > MAX_PUNCH_DELAY_MS || !endpoints) return fail('fields');
  return ok({ delayMs, endpoints });
}
