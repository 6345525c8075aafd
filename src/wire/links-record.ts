import { fail, ok, type Result } from '../base/result.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import type { BodyRefusal } from './fields.js';

/*
 * Whom a relay reaches directly, and at what cost (docs/protocol.md §5), body of its one record of kind links:
 *
 *   0             16       17
 *   peer id 16    step u8  (again, at most 48 times)
 *
 * Steps are of × 1.5 (routing/topology.ts), so that small changes write nothing. The cheapest are listed.
 */

export const MAX_LISTED_LINKS = 48;
const ENTRY_BYTES = 17;
const ID_BYTES = 16;

/** Cost steps by peer; of more than 48 the cheapest. */
export function encodeLinksRecord(steps: ReadonlyMap<PeerId, number>): Uint8Array {
  const cheapest = [...steps].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  const listed = cheapest.slice(0, MAX_LISTED_LINKS);
  const out = new Uint8Array(listed.length * ENTRY_BYTES);
  for (const [at, [peer, step]] of listed.entries()) {
    out.set(peerIdBytes(peer), at * ENTRY_BYTES);
    out[at * ENTRY_BYTES + ID_BYTES] = step;
  }
  return out;
}

export function decodeLinksRecord(
  body: Uint8Array,
): Result<ReadonlyMap<PeerId, number>, BodyRefusal> {
  if (body.length % ENTRY_BYTES !== 0 || body.length > MAX_LISTED_LINKS * ENTRY_BYTES) {
    return fail('fields');
  }
  const steps = new Map<PeerId, number>();
  for (let at = 0; at < body.length; at += ENTRY_BYTES) {
    steps.set(peerIdFromBytes(body.subarray(at, at + ID_BYTES)), body[at + ID_BYTES] ?? 0);
  }
  return steps.size * ENTRY_BYTES === body.length ? ok(steps) : fail('fields');
}
