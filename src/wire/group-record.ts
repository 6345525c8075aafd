import { fail, ok, type Result } from '../base/result.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';
import type { BodyRefusal } from './fields.js';

/*
 * Which groups a node listens to on one network (docs/protocol.md §10), its one record of kind group per network:
 *
 *   key   network u24          body   0          1
 *                                     flags u8   group MAC 6 (again, ascending, at most 149 times)
 *
 * Flag 1: all groups, listed or not. Flag 2: a multicast router is there, which wants the reports too. Unknown flags
 * mean nothing. Who has no such record is sent everything.
 */

export const MAX_LISTED_GROUPS = 149;
const EVERYTHING = 1;
const ROUTER = 2;
const MAC_BYTES = 6;
const NETWORK_BYTES = 3;

export interface GroupRecord {
  readonly wantsEverything: boolean;
  readonly hasRouter: boolean;
  readonly groups: readonly Mac[];
}

/** Network as a record's key. */
export function networkKey(network: number): Uint8Array {
  return Uint8Array.of(network & 0xff, (network >> 8) & 0xff, network >> 16);
}

/** Undefined: no such key. */
export function networkOfKey(key: Uint8Array): number | undefined {
  if (key.length !== NETWORK_BYTES) return undefined;
  return (key[0] ?? 0) | ((key[1] ?? 0) << 8) | ((key[2] ?? 0) << 16);
}

/** Of more groups than fit none are listed, and everything is asked for. */
export function encodeGroupRecord(record: GroupRecord): Uint8Array {
  const isTooMany = record.groups.length > MAX_LISTED_GROUPS;
  const wantsEverything = record.wantsEverything || isTooMany;
  const listed = wantsEverything ? [] : [...record.groups].sort();
  const out = new Uint8Array(1 + listed.length * MAC_BYTES);
  out[0] = (wantsEverything ? EVERYTHING : 0) | (record.hasRouter ? ROUTER : 0);
  for (const [at, mac] of listed.entries()) out.set(macBytes(mac), 1 + at * MAC_BYTES);
  return out;
}

export function decodeGroupRecord(body: Uint8Array): Result<GroupRecord, BodyRefusal> {
  if (body.length % MAC_BYTES !== 1 || body.length > 1 + MAX_LISTED_GROUPS * MAC_BYTES) {
    return fail('fields');
  }
  const groups: Mac[] = [];
  for (let at = 1; at < body.length; at += MAC_BYTES) {
    const mac = macFromBytes(body.subarray(at, at + MAC_BYTES));
    const isGroup = ((body[at] ?? 0) & 1) === 1;
    const before = groups.at(-1);
    if (!isGroup || (before !== undefined && mac <= before)) return fail('fields');
    groups.push(mac);
  }
  const flags = body[0] ?? 0;
  return ok({
    wantsEverything: (flags & EVERYTHING) !== 0,
    hasRouter: (flags & ROUTER) !== 0,
    groups,
  });
}
