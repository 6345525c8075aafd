import type {
  AttachmentsDocument,
  DnsNamesDocument,
  ExposuresDocument,
  IpamDocument,
  NetworksDocument,
  ReportSections,
  StatusSections,
} from '../api/control.js';
import { DEFAULT_NETWORK } from '../crypto/mesh.js';
import { TTL_SECONDS } from '../dns/constants.js';

/** The parts beside the node, as documents of their own. */
export interface Parts {
  readonly ipam: IpamDocument;
  readonly dns: DnsNamesDocument;
  readonly exposures: ExposuresDocument;
  readonly attachments: AttachmentsDocument['attachments'];
  readonly networks: NetworksDocument['networks'];
}

/** What `status` says of them: counts, and what is in the way. */
export function statusSections(parts: Parts): StatusSections {
  const { ipam, dns, exposures, attachments, networks } = parts;
  const waitingFor = ipam.pools.flatMap(({ holders }) =>
    holders.filter(({ gone }) => gone).flatMap((holder) => holder.waitingFor),
  );
  const lost = ipam.used.filter(({ active }) => !active).length;
  return {
    attachments: {
      attached: attachments.filter(({ state }) => state === 'attached').length,
      waiting: attachments.filter(({ state }) => state === 'waiting').length,
    },
    ipam: {
      state: ipam.pools.length === 0 ? 'no pool' : waitingFor.length > 0 ? 'waiting' : 'ready',
      pools: ipam.pools
        .filter(({ network }) => network === DEFAULT_NETWORK)
        .map(({ range }) => range),
      used: ipam.used.length,
      lost,
      reserved: ipam.reserved,
      clashes: ipam.clashes.length,
      waitingFor: [...new Set(waitingFor)],
    },
    dns: {
      domain: dns.domain,
      servers: dns.servers,
      upstreams: dns.upstreams,
      ttlSeconds: TTL_SECONDS,
      names: dns.names.length,
    },
    exposures,
    networks: {
      known: networks.length,
      used: networks
        .filter(({ name, targets }) => name !== DEFAULT_NETWORK && targets.length > 0)
        .map(({ name }) => name),
    },
  };
}

/** All of them, for `report`. */
export function reportSections(parts: Parts): ReportSections {
  const { ipam, dns, exposures, attachments, networks } = parts;
  const { domain, servers, upstreams, names } = dns;
  const { pools, used, reserved, clashes } = ipam;
  return {
    attachments,
    ipam: { pools, used, reserved, clashes },
    dns: { domain, servers, upstreams, names },
    ...{ exposures, networks },
  };
}
