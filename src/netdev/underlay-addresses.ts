import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/** Of any interface: what another host might send to. */
const REACHABLE = ['unicast', 'private', 'uniqueLocal', 'carrierGradeNat', 'reserved'];
const MAX_ADDRESSES = 16;

type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * Addresses of this host that peers may try, without the interfaces of the overlay itself: no loopback, no link-local.
 * IPv4 first, then in the kernel's order; at most 16.
 */
export function underlayAddresses(
  ignored: readonly string[],
  interfaces: Interfaces = networkInterfaces(),
): readonly string[] {
  const found: string[] = [];
  for (const [name, addresses] of Object.entries(interfaces)) {
    if (ignored.includes(name)) continue;
    for (const { address, internal } of addresses ?? []) {
      if (!internal && isReachable(address)) found.push(address);
    }
  }
  const ordered = [...new Set(found)].sort(
    (a, b) => Number(a.includes(':')) - Number(b.includes(':')),
  );
  return ordered.slice(0, MAX_ADDRESSES);
}

function isReachable(address: string): boolean {
  return ipaddr.isValid(address) && REACHABLE.includes(ipaddr.process(address).range());
}
