import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `condition` gives something other than undefined or false, and gives that. Asks every 20 ms.
 * A condition that throws counts as not yet; its last error is the cause of ours.
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= endMs) {
      throw new Error(`Waited ${String(timeoutMs)} ms in vain for ${what}`, { cause });
    }
    await delay(20);
  }
}
