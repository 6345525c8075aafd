import type { Timers } from './ports.js';

/** Above it Node fires at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The loop's one armed timer, for real. A delay beyond 24 days fires early; the loop then arms again. */
export function createNodeTimers(): Timers {
  return {
    set(delayMs, callback) {
      const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
      return () => {
        clearTimeout(timer);
      };
    },
  };
}
