import { setTimeout as delay } from 'node:timers/promises';

/** How many times longer everything may take: more than 1 where other suites run beside (scripts/test.sh). */
export const PATIENCE = Number(process.env['OVERLAYD_TEST_PATIENCE'] ?? 1);

/**
 * Waits until `condition` gives something other than undefined or false, and gives that. Asks every 20 ms.
 * The time is for a machine at rest (PATIENCE): what must be so within a time is measured, not waited for.
 * A condition that throws counts as not yet; its last error is the cause of ours.
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endMs = performance.now() + timeoutMs * PATIENCE;
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
      throw new Error(`Waited ${String(timeoutMs * PATIENCE)} ms in vain for ${what}`, { cause });
    }
    await delay(20);
  }
}
