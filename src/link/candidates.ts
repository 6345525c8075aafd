import ipaddr from 'ipaddr.js';

import { isEndpoint, type PathAddress } from '../model/path-address.js';

/*
 * Which endpoints may become a way to a peer (docs/protocol.md §6). One inside the overlay would carry the tunnel
 * inside itself: it answers while the link is up, wins, and takes the link down with it.
 */

export type Unfit =
  /** In the address pool or another prefix of the overlay. */
  | 'overlay'
  /** Multicast, broadcast, unspecified, or port 0. */
  | 'not unicast';

export type CandidateRule = (address: PathAddress) => Unfit | undefined;

const NOT_UNICAST = ['multicast', 'broadcast', 'unspecified'];

/** `overlay`: cidr texts of pools and own overlay addresses; malformed ones count as nothing. */
export function candidateRule(overlay: readonly string[]): CandidateRule {
  const prefixes = overlay
    .filter((cidr) => ipaddr.isValidCIDR(cidr))
    .map((cidr) => ipaddr.parseCIDR(cidr));
  return (candidate) => {
    if (!isEndpoint(candidate)) return undefined;
    const { address, port } = candidate;
    if (port === 0 || !ipaddr.isValid(address)) return 'not unicast';
    const parsed = ipaddr.process(address);
    if (NOT_UNICAST.includes(parsed.range())) return 'not unicast';
    const isInside = prefixes.some(
      ([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits),
    );
    return isInside ? 'overlay' : undefined;
  };
}
