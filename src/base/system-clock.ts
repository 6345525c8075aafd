import type { Clock } from './clock.js';

/**
 * The machine's clock. `bootTimeMs` reads CLOCK_BOOTTIME, which Node cannot; without it time stands still during
 * suspend, so that keys would look younger than they are.
 */
export function createSystemClock(bootTimeMs: () => number = uptimeMs): Clock {
  return { monotonicMs: bootTimeMs, wallMs: () => Date.now() };
}

function uptimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
