import { SCHEMA_VERSION, type IpamDocument } from '../api/control.js';
import type { Ipam } from '../ipam/ipam.js';
import { formatAddress, formatCidr, formatRange } from '../model/cidr.js';
import type { PeerId } from '../model/peer-id.js';

export interface IpamNames {
  readonly self: PeerId;
  /** Of the network whose addresses these are. */
  readonly network: string;
  /** How people call a peer. */
  readonly nameOf: (peer: PeerId) => string;
}

/** Pools, holders and addresses of one network, as operators see them. Before the start there is nothing. */
export function ipamDocument(
  ipam: Ipam | undefined,
  { self, network, nameOf }: IpamNames,
): IpamDocument {
  return {
    schema: SCHEMA_VERSION,
    pools: (ipam?.pools() ?? []).map(({ pool, holders, titles }) => ({
      range: formatCidr(pool.range),
      network,
      id: pool.id,
      titles,
      holders: holders.map(({ peer, addresses, blocks, isGone, waitingFor }) => ({
        id: peer,
        nickname: nameOf(peer),
        self: peer === self,
        addresses: Number(addresses),
        blocks,
        gone: isGone,
        waitingFor: waitingFor.map(nameOf),
      })),
    })),
    used: (ipam?.used() ?? []).map(({ address, owner, isActive }) => ({
      ...{ address: formatAddress(address), network, owner, active: isActive },
    })),
    reserved: (ipam?.reserved() ?? []).map(formatRange),
    clashes: (ipam?.clashes() ?? []).map(({ address, holder, loser }) => ({
      address: formatAddress(address),
      network,
      holder: nameOf(holder),
      loser: nameOf(loser),
    })),
  };
}
