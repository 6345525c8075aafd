/** What docs/performance.md asks of overlayd ÷ the other. `floor` is the least that a release may have. */
export type Target =
  | { readonly kind: 'target' | 'floor'; readonly atLeast: number }
  | { readonly kind: 'target' | 'floor'; readonly atMost: number };

/** By the name of the other. */
export type Targets = Readonly<Record<string, readonly Target[]>>;

export const target = (atLeast: number): Target => ({ kind: 'target', atLeast });
export const floor = (atLeast: number): Target => ({ kind: 'floor', atLeast });
export const targetAtMost = (atMost: number): Target => ({ kind: 'target', atMost });
export const floorAtMost = (atMost: number): Target => ({ kind: 'floor', atMost });

/** Resident memory of a daemon, MB. */
export const IDLE_MB = floorAtMost(90);
export const LOADED_MB = targetAtMost(140);

/** "target >= 11 reached". */
export function verdict(value: number, asked: Target): string {
  const [sign, limit, isReached] =
    'atLeast' in asked
      ? ['>=', asked.atLeast, value >= asked.atLeast]
      : ['<=', asked.atMost, value <= asked.atMost];
  return `${asked.kind} ${sign} ${String(limit)} ${isReached ? 'reached' : 'MISSED'}`;
}
