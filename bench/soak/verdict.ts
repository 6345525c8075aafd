/*
 * What a soak run is judged by: memory that grows, and datagrams that went away without a reason that path changes
 * explain.
 */

export interface MemorySample {
  readonly seconds: number;
  readonly mb: number;
}

/** MB in 10 minutes: least squares over the samples from `warmUpSeconds` on. NaN of fewer than two. */
export function growth(samples: readonly MemorySample[], warmUpSeconds: number): number {
  const used = samples.filter(({ seconds }) => seconds >= warmUpSeconds);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const atSeconds = mean(used.map(({ seconds }) => seconds));
  const atMb = mean(used.map(({ mb }) => mb));
  let above = 0;
  let below = 0;
  for (const { seconds, mb } of used) {
    above += (seconds - atSeconds) * (mb - atMb);
    below += (seconds - atSeconds) ** 2;
  }
  return (above / below) * 600;
}

/** The least time after warm-up in which a slope means something. */
export const MIN_JUDGED_SECONDS = 600;
export const MAX_GROWTH_MB = 1;

/**
 * Drop reasons that a path which is cut, shrunk or moved brings with it, or that mean a full queue; and frames of the
 * host itself that concern nobody else. Any other reason in such a run is a fault of ours.
 */
const EXPLAINED: ReadonlySet<string> = new Set([
  // The way is gone, or just coming back.
  ...['no_peer', 'no_session', 'no_path', 'send_error', 'unknown_session', 'key_phase'],
  'group_nobody',
  // What was under way at its old size when an MTU shrank, and questions for a size.
  'too_big',
  // What overtook something, or came by both ways.
  ...['replay', 'fragment_timeout'],
  // Full queues.
  ...['send_enobufs', 'arena_full', 'fragment_full', 'relay_rate', 'gate_rate'],
  // Ways through relays that have just ended.
  ...['relay_unknown', 'relay_source', 'relay_ttl'],
  // The host's own neighbour discovery before anybody is there; protocols for the next bridge.
  ...['flood_no_members', 'reserved_multicast'],
]);

/** Reasons, and how often, that the path changes do not explain. */
export function unexplained(
  drops: Readonly<Record<string, number>>,
): readonly (readonly [reason: string, count: number])[] {
  return Object.entries(drops).filter(([reason, count]) => count > 0 && !EXPLAINED.has(reason));
}

/** Drops of what was opened already. */
const INNER = ['inner_short', 'inner_kind', 'inner_network', 'inner_flags', 'partial_checksum']
  .concat('partial_checksum_offsets', 'own_mac', 'own_source', 'multicast_source', 'zero_source')
  .concat('ecn', 'fragment_bad', 'fragment_timeout', 'fragment_full', 'tap_write', 'tap_einval')
  .concat('control_quota', 'source_guard');
/** Control messages are opened and reach no TAP: PINGs, reports, records. */
const CONTROL_PER_SECOND = 200;

/**
 * Datagrams that were opened and neither reached the TAP, nor were a fragment or control message, nor are counted as
 * dropped; negative: more frames than came. Zero within what control messages and the moment of reading may be.
 */
export function missing(
  counters: Readonly<Record<string, number>>,
  drops: Readonly<Record<string, number>>,
  seconds: number,
): number {
  const of = (name: string): number => counters[name] ?? 0;
  const dropped = INNER.reduce((sum, name) => sum + (drops[name] ?? 0), 0);
  // Fragments are opened one by one and leave as one.
  const fragments = of('fragments_rx') - of('reassembled');
  const rest = of('opened') - of('tap_tx_frames') - fragments - dropped;
  const allowed = CONTROL_PER_SECOND * seconds;
  if (rest > allowed) return rest - allowed;
  return Math.min(0, rest + of('opened') * 0.001);
}
