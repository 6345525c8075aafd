import { refused, toCliFailure, usageFailure } from './failure.js';
import type { VerbCall } from './verb.js';

const DEFAULT_TIMEOUT_S = 30;
const MAX_TIMEOUT_S = 86_400;
/** Between two looks. A look costs the daemon well under a millisecond. */
const POLL_MS = 100;

/** Seconds of `--timeout`, in ms. @throws CliFailure OVL_USAGE */
export function timeoutMs(call: VerbCall): number {
  const text = call.option('timeout');
  if (text === undefined) return DEFAULT_TIMEOUT_S * 1000;
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (!(seconds <= MAX_TIMEOUT_S)) {
    throw usageFailure(
      `--timeout is '${text}'`,
      text,
      `Give seconds from 0 to ${MAX_TIMEOUT_S}, for example --timeout 5.`,
    );
  }
  return seconds * 1000;
}

/**
 * Looks until `isDone`, also through the time in which the daemon is not up yet.
 *
 * @param look asks the daemon; gets the ms left, at most a few seconds
 * @param missing what is not there yet, for the time-out's message
 * @throws CliFailure OVL_UNREACHABLE when the daemon could not be asked at the end, OVL_TIMEOUT else
 */
export async function waitUntil<T>(
  call: VerbCall,
  limitMs: number,
  look: (timeoutMs: number) => Promise<T>,
  isDone: (seen: T) => boolean,
  missing: (seen: T) => string,
): Promise<T> {
  const { monotonicMs, sleep } = call.context;
  const deadlineMs = monotonicMs() + limitMs;
  for (;;) {
    let failure;
    try {
      const seen = await look(Math.max(500, Math.min(5000, deadlineMs - monotonicMs())));
      if (isDone(seen)) return seen;
      failure = refused(
        'OVL_TIMEOUT',
        `Waited ${limitMs / 1000} s: ${missing(seen)}`,
        String(limitMs / 1000),
        "'overlayctl status' and 'overlayctl events' say what is in the way.",
      );
    } catch (error) {
      failure = toCliFailure(error);
      if (failure.code !== 'OVL_UNREACHABLE') throw failure;
    }
    const leftMs = deadlineMs - monotonicMs();
    if (leftMs <= 0) throw failure;
    await sleep(Math.min(POLL_MS, leftMs));
  }
}
