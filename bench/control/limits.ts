import type { Figures } from './measure.js';
import type { StoreFigures } from './store.js';

/** A figure that has to stay below something, or be 0. */
interface Limit<Of> {
  readonly what: string;
  /** Undefined: it never came true. */
  readonly value: (figures: Of) => number | undefined;
  readonly most: number;
}

const OF_MESH: readonly Limit<Figures>[] = [
  { what: 'bytes a second at rest', value: (f) => f.idle.mostBytesPerSecond, most: 5000 },
  { what: 'ms until a newcomer knows all', value: (f) => f.newcomerMs, most: 5000 },
  { what: 'ms until all know the newcomer', value: (f) => f.toldMs, most: 60_000 },
  { what: 'ms until a lost push is found', value: (f) => f.lostPushMs, most: 60_000 },
  { what: 'ms until a partition has healed', value: (f) => f.healMs, most: 60_000 },
  { what: 'disturbances by a pause', value: (f) => f.disturbances.length, most: 0 },
  { what: 'ms until who was away agrees', value: (f) => f.awayMs, most: 60_000 },
  { what: 'deleted or expired by who was away', value: (f) => f.awayHarm, most: 0 },
];

const OF_STORE: readonly Limit<StoreFigures>[] = [
  { what: 'bytes of heap a remote node', value: (f) => f.heapBytesPerNode, most: 4096 },
  { what: 'ms until a newcomer has the store', value: (f) => f.syncMs, most: 120_000 },
];

/** What of the acceptance of docs/performance.md is missed, for people. */
export function missedByMesh(figures: Figures): readonly string[] {
  return missed(OF_MESH, figures, `${figures.nodes} nodes`);
}

export function missedByStore(figures: StoreFigures): readonly string[] {
  return missed(OF_STORE, figures, `store of ${figures.owners}`);
}

function missed<Of>(limits: readonly Limit<Of>[], figures: Of, where: string): readonly string[] {
  return limits.flatMap(({ what, value, most }) => {
    const is = value(figures);
    if (is !== undefined && is <= most) return [];
    return [`${where}: ${what}: ${is === undefined ? 'never' : is.toFixed(0)}, limit ${most}`];
  });
}
