import type { Away } from '../../test/sim/scale-scenarios.js';
import type { Figures } from './measure.js';
import type { StoreFigures } from './store.js';

/** A figure that has to stay below something, or be 0. */
interface Limit<Of> {
  readonly what: string;
  /** Undefined: it never came true. */
  readonly value: (figures: Of) => number | undefined;
  readonly most: number;
}

/** A limit of one scenario: nothing is missed where that did not run. */
function ofPhase<Phase>(
  what: string,
  phase: (figures: Figures) => Phase | undefined,
  value: (of: Phase) => number | undefined,
  most: number,
): Limit<Figures> {
  return {
    what,
    value: (figures) => {
      const ran = phase(figures);
      return ran === undefined ? 0 : value(ran);
    },
    most,
  };
}

const OF_MESH: readonly Limit<Figures>[] = [
  { what: 'bytes a second at rest', value: (f) => f.idle.mostBytesPerSecond, most: 5000 },
  ofPhase(
    'ms until a newcomer knows all',
    (f) => f.newcomer,
    (p) => p.knowsAllMs,
    5000,
  ),
  ofPhase(
    'ms until all know the newcomer',
    (f) => f.newcomer,
    (p) => p.knownToAllMs,
    60_000,
  ),
  ofPhase(
    'ms until a lost push is found',
    (f) => f.lostPush,
    (p) => p.foundMs,
    60_000,
  ),
  ofPhase(
    'ms until a partition has healed',
    (f) => f.partition,
    (p) => p.healMs,
    60_000,
  ),
  ofPhase(
    'disturbances by a pause',
    (f) => f.pause,
    (p) => p.disturbances.length,
    0,
  ),
  ofPhase(
    'ms until who was away agrees',
    (f) => f.away,
    (p) => p.sameMs,
    60_000,
  ),
  ofPhase('deleted or expired by who was away', (f) => f.away, harmOf, 0),
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
  { what: 'bytes of heap for a further remote node', value: (f) => f.heapBytesEach, most: 4096 },
  { what: 'ms until a newcomer has the store', value: (f) => f.syncMs, most: 120_000 },
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
    if (is !== undefined && is <= most) return [];
    return [`${where}: ${what}: ${is === undefined ? 'never' : is.toFixed(0)}, limit ${most}`];
  });
}
