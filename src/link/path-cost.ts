import type { PathCounters } from '../dataplane/dataplane.js';

/** Cost of a path in ms-like units and the terms it is made of (docs/protocol.md §6). */
export interface PathCost {
  readonly cost: number;
  readonly terms: Readonly<Record<string, number>>;
}

const LOSS_CAP = 0.9;

/** Direct paths only: the surcharge of relays and TCP comes with them. Undefined: nothing measured yet. */
export function pathCost(counters: PathCounters | undefined): PathCost | undefined {
  if (!counters || counters.srttUs === 0) return undefined;
  const srttMs = counters.srttUs / 1000;
  const rttvarMs = counters.rttvarUs / 1000;
  const loss = Math.min(counters.lossPermille / 1000, LOSS_CAP);
  const lossFactor = 1 / (1 - loss) ** 2;
  return { cost: (srttMs + 2 * rttvarMs) * lossFactor, terms: { srttMs, rttvarMs, lossFactor } };
}
