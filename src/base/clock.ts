/** The only readers of time. Everything else is handed `nowMs`. */
export interface Clock {
  /** Milliseconds that never go back and go on during suspend (CLOCK_BOOTTIME's job); origin arbitrary. */
  monotonicMs(): number;
  /** Wall clock, ms since 1970. For record versions and for what people read, never for time-outs. */
  wallMs(): number;
}

/** ISO 8601 in UTC. */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
