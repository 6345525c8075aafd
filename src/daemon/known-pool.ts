import { fromHex } from '../base/bytes.js';
import { decodeTitle, rangeOf } from '../ipam/title.js';
import { cidrHas, cidrsOverlap, parseCidr, parseInterfaceAddress } from '../model/cidr.js';
import type { StateStore } from './ports.js';

/**
 * Whether this node has lived in a pool before: its own address lies there, or it knows titles of it. What was begun is
 * not refused later, when a route of the host appears or a newer version looks more closely.
 */
export function hasLivedIn(
  state: Pick<StateStore, 'ownAddress' | 'ipamCells'>,
  pool: string,
): boolean {
  const range = parseCidr(pool);
  if (!range) return false;
  const own = parseInterfaceAddress(state.ownAddress() ?? '');
  if (own && cidrHas(range, own.address)) return true;
  for (const [key, value] of state.ipamCells()) {
    const title = key.startsWith('t/') ? decodeTitle(fromHex(value)) : undefined;
    if (title?.ok && cidrsOverlap(rangeOf(title.value), range)) return true;
  }
  return false;
}
