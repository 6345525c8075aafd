import type { PathCounters } from '../dataplane/dataplane.js';
import { isEndpoint, type PathAddress } from '../model/path-address.js';

/** Cost of a path in ms-like units and the terms it is made of (docs/protocol.md §6). */
export interface PathCost {
  readonly cost: number;
  readonly terms: Readonly<Record<string, number>>;
}

const LOSS_CAP = 0.9;
/** A relayed or TCP path: this factor, and so much more. */
const DETOUR_FACTOR = 1.6;
const DETOUR_MS = 15;
const FURTHER_HOP_MS = 5;

/** `hops`: relays on the way, for relayed addresses. Undefined: nothing measured yet. */
export function pathCost(
  counters: PathCounters | undefined,
  address: PathAddress,
  hops: number,
): PathCost | undefined {
  if (!counters || counters.srttUs === 0) return undefined;
  const srttMs = counters.srttUs / 1000;
  const rttvarMs = counters.rttvarUs / 1000;
  const loss = Math.min(counters.lossPermille / 1000, LOSS_CAP);
  const lossFactor = 1 / (1 - loss) ** 2;
  const plain = (srttMs + 2 * rttvarMs) * lossFactor;
  if (isEndpoint(address)) return { cost: plain, terms: { srttMs, rttvarMs, lossFactor } };
  const surchargeMs = surchargeOf(address, hops);
  return {
    cost: DETOUR_FACTOR * plain + surchargeMs,
    terms: { srttMs, rttvarMs, lossFactor, detourFactor: DETOUR_FACTOR, surchargeMs },
  };
}

/** What a path that was not measured yet may cost, from one round trip; 0: not even that is known. */
export function guessCost(rttMs: number, address: PathAddress, hops: number): number {
  if (isEndpoint(address)) return 2 * rttMs;
  return DETOUR_FACTOR * 2 * rttMs + surchargeOf(address, hops);
}

function surchargeOf(address: PathAddress, hops: number): number {
  const further = address.family === 'relay' ? Math.max(0, hops - 1) : 0;
  return DETOUR_MS + FURTHER_HOP_MS * further;
}
