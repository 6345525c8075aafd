/** What one packet of a load costs in the data plane alone: no kernel, no cipher. */
export interface PacketCost {
  readonly instructions: number;
  /** Calls to the TAP and the UDP socket, which are the system calls of the hot path. */
  readonly calls: number;
}

/** Committed figures, by load. */
export interface Baseline {
  /** Another compiler makes other code: named when something is off. */
  readonly compiler: string;
  readonly loads: Readonly<Record<string, PacketCost>>;
}

export interface Verdict {
  readonly load: string;
  readonly figure: keyof PacketCost;
  readonly now: number;
  readonly before: number;
  /** Undefined: as good as before. */
  readonly complaint: string | undefined;
}

/** More than this part above the baseline is a regression. */
const TOLERANCE = 0.1;

/** Compares every figure of both sides; a load that only one side knows is a complaint of its own. */
export function judge(now: Baseline['loads'], before: Baseline['loads']): Verdict[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((load) =>
    (['instructions', 'calls'] as const).map((figure) => {
      const pair = { now: now[load]?.[figure] ?? Number.NaN, before: before[load]?.[figure] ?? 0 };
      return { load, figure, ...pair, complaint: complaintOf(pair) };
    }),
  );
}

function complaintOf({ now, before }: { now: number; before: number }): string | undefined {
  if (Number.isNaN(now)) return 'was not measured';
  if (before === 0) return 'has no baseline';
  const more = now / before - 1;
  return more > TOLERANCE ? `${(more * 100).toFixed(0)} % more` : undefined;
}
