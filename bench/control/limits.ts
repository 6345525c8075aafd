import type { Away } from '../../test/sim/scale-scenarios.js';
import type { Figures } from './measure.js';
import type { StoreFigures } from './store.js';

/** A figure that has to stay below something, or be 0. */
interface Limit<Of> {
  readonly what: string;
  /** Undefined: its scenario did not run, so nothing is missed. */
  readonly value: (figures: Of) => number | undefined;
  readonly most: number;
}

/** What a time is that never came. */
const NEVER = Infinity;

// prettier-ignore
const OF_MESH: readonly Limit<Figures>[] = [
  { most: 5000, what: 'bytes a second at rest', value: ({ idle }) => idle.mostBytesPerSecond },
  { most: 5000, what: 'ms until a newcomer knows all', value: ({ newcomer: ran }) => ran && (ran.knowsAllMs ?? NEVER) },
  { most: 60_000, what: 'ms until all know the newcomer', value: ({ newcomer: ran }) => ran && (ran.knownToAllMs ?? NEVER) },
  { most: 60_000, what: 'ms until a lost push is found', value: ({ lostPush: ran }) => ran && (ran.foundMs ?? NEVER) },
  { most: 60_000, what: 'ms until a partition has healed', value: ({ partition: ran }) => ran && (ran.healMs ?? NEVER) },
  { most: 0, what: 'disturbances by a pause', value: ({ pause: ran }) => ran?.disturbances.length },
  { most: 60_000, what: 'ms until who was away agrees', value: ({ away: ran }) => ran && (ran.sameMs ?? NEVER) },
  { most: 0, what: 'deleted or expired by who was away', value: ({ away: ran }) => ran && harmOf(ran) },
];

/** Deleted records that it brought back, members that expired or were retired by it. */
export function harmOf({ resurrections, expiries }: Away): number {
  return resurrections + expiries.length;
}

/** A store of many owners, and what it shows beside one of few. */
export interface StoreCost extends StoreFigures {
  /** Heap of each owner beyond those few: what a daemon has anyway is not divided among them. */
  readonly heapBytesEach: number;
}

const OF_STORE: readonly Limit<StoreCost>[] = [
  { most: 4096, what: 'bytes of heap for a further remote node', value: (f) => f.heapBytesEach },
  { most: 120_000, what: 'ms until a newcomer has the store', value: (f) => f.syncMs ?? NEVER },
];

/** What of the acceptance of docs/performance.md is missed, for people. */
export function missedByMesh(figures: Figures): readonly string[] {
  return missed(OF_MESH, figures, `${figures.nodes} nodes`);
}

export function missedByStore(figures: StoreCost): readonly string[] {
  return missed(OF_STORE, figures, `store of ${figures.owners}`);
}

function missed<Of>(limits: readonly Limit<Of>[], figures: Of, where: string): readonly string[] {
  return limits.flatMap(({ what, value, most }) => {
    const is = value(figures);
    if (is === undefined || is <= most) return [];
    return [`${where}: ${what}: ${is === NEVER ? 'never' : is.toFixed(0)}, limit ${most}`];
  });
}
