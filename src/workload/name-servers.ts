import type { Attachment } from './model.js';
import type { NameServer } from './ports.js';

/** Those that a target can ask: of the families in which it has addresses, since only from these it can be answered. */
export function serversFor(
  { dns, addresses, target }: Pick<Attachment, 'dns' | 'addresses' | 'target'>,
  servers: readonly NameServer[],
): readonly NameServer[] {
  if (!dns || target.kind === 'tap') return [];
  const isIpv6 = (text: string): boolean => text.includes(':');
  return servers.filter(({ address }) =>
    addresses.some((cidr) => isIpv6(cidr) === isIpv6(address)),
  );
}
