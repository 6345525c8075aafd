import type { LinkPath } from './candidate.js';
import { SWITCH_AFTER_MS, SWITCH_FACTOR, SWITCH_HOLD_MS, SWITCH_LESS_MS } from './constants.js';
import { guessCost } from './path-cost.js';

/*
 * The one rule (docs/protocol.md §6): leave a working path only for one that costs ≤ 0.8 × and ≥ 0.5 ms less for 5 s,
 * and not within 10 s of the last voluntary change. Costs that stand still are a total order, so it cannot flap.
 */

export class PathChoice {
  #holdUntilMs = 0;

  /** Costs were just measured. @returns the path to change to. */
  compare(active: LinkPath, others: readonly LinkPath[], nowMs: number): LinkPath | undefined {
    const now = active.cost;
    if (active.state !== 'working' || now === undefined) return undefined;
    let best: LinkPath | undefined;
    for (const path of others) {
      if (path === active) continue;
      if (!isBetter(path, active, now)) {
        path.betterSinceMs = undefined;
        continue;
      }
      path.betterSinceMs ??= nowMs;
      const isDue = nowMs - path.betterSinceMs >= SWITCH_AFTER_MS;
      if (isDue && (best?.cost ?? Number.POSITIVE_INFINITY) > (path.cost ?? 0)) best = path;
    }
    if (!best || nowMs < this.#holdUntilMs) return undefined;
    this.#holdUntilMs = nowMs + SWITCH_HOLD_MS;
    return best;
  }
}

function isBetter(path: LinkPath, active: LinkPath, now: number): boolean {
  if (path.state !== 'working' || path.cost === undefined) return false;
  const fits = path.pmtu.isSettled || path.pmtu.bytes >= active.pmtu.bytes;
  return fits && path.cost <= SWITCH_FACTOR * now && now - path.cost >= SWITCH_LESS_MS;
}

/** Cheapest of the working ones, by what is known. */
export function bestWorking(paths: readonly LinkPath[]): LinkPath | undefined {
  let best: LinkPath | undefined;
  for (const path of paths) {
    if (path.state === 'working' && (!best || knownCost(path) < knownCost(best))) best = path;
  }
  return best;
}

function knownCost(path: LinkPath): number {
  return path.cost ?? guessCost(path.rttMs, path.address, path.hops);
}
