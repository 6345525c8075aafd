import type {
  AttachmentsDocument,
  DnsNamesDocument,
  ExposuresDocument,
  IpamDocument,
  ReportSections,
  StatusSections,
} from '../api/control.js';
import { TTL_SECONDS } from '../dns/constants.js';

/** The parts beside the node, as documents of their own. */
export interface Parts {
  readonly ipam: IpamDocument;
  readonly dns: DnsNamesDocument;
  readonly exposures: ExposuresDocument;
  readonly attachments: AttachmentsDocument['attachments'];
}

/** What `status` says of them: counts, and what is in the way. */
export function statusSections({ ipam, dns, exposures, attachments }: Parts): StatusSections {
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
      pools: ipam.pools.map(({ range }) => range),
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
  };
}

/** All of them, for `report`. */
export function reportSections({ ipam, dns, exposures, attachments }: Parts): ReportSections {
  const { domain, servers, upstreams, names } = dns;
  const { pools, used, reserved, clashes } = ipam;
  return {
    attachments,
    ipam: { pools, used, reserved, clashes },
    dns: { domain, servers, upstreams, names },
    exposures,
  };
}
