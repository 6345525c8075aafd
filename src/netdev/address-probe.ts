import { setTimeout as delay } from 'node:timers/promises';

import type { Mac } from '../model/mac.js';
import { parseMac } from '../model/mac.js';
import { findTool, runTool } from './run.js';

/*
 * Is somebody else using this address? ARP probes (RFC 5227 §2.1.1: sender address 0.0.0.0) by iputils' arping,
 * which ends at the first answer. Two of them, each sending one probe, because arping cannot send faster than one a
 * second and one lost broadcast must not hide a clash.
 */

const SECOND_PROBE_AFTER_MS = 200;
const LISTEN_MS = 600;

/** The MAC in `Unicast reply from 10.0.0.2 [02:00:00:00:00:02]  0.6ms`. */
export function macInReply(stdout: string): Mac | undefined {
  const match = /reply from \S+ \[([0-9A-Fa-f:]{17})\]/.exec(stdout);
  return match ? parseMac(match[1] ?? '') : undefined;
}

/** Whether this host can probe at all. Habets' arping, another program of that name, is not looked at. */
export function canProbe(): boolean {
  return findTool('arping') !== undefined;
}

/** The MAC that defends an IPv4 address on `device`, or undefined after 600 ms without an answer. */
export async function probeIpv4(device: string, address: string): Promise<Mac | undefined> {
  if (!canProbe()) return undefined;
  const stop = new AbortController();
  const probe = async (afterMs: number): Promise<Mac | undefined> => {
    // A timer, not AbortSignal.any over AbortSignal.timeout: Node 20 may collect those before they fire, and whoever
    // waits then waits for ever.
    if (afterMs > 0)
      await delay(afterMs, undefined, { signal: stop.signal }).catch(() => undefined);
    if (stop.signal.aborted) return undefined;
    const outcome = await runTool('arping', ['-D', '-c', '1', '-w', '2', '-I', device, address], {
      timeoutMs: LISTEN_MS - afterMs,
      signal: stop.signal,
    });
    const mac = macInReply(outcome.stdout);
    if (mac !== undefined) stop.abort();
    return mac;
  };
  const answers = await Promise.all([probe(0), probe(SECOND_PROBE_AFTER_MS)]);
  return answers.find((mac) => mac !== undefined);
}
