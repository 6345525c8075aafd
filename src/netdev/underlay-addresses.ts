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

/** The interface that has a bare address, besides those to leave out; undefined: none has it. */
export function interfaceOf(
  address: string,
  isLeftOut: (name: string) => boolean,
  interfaces: Interfaces = networkInterfaces(),
): string | undefined {
  const wanted = ipaddr.parse(address).toNormalizedString();
  return Object.entries(interfaces).find(
    ([name, addresses]) =>
      !isLeftOut(name) &&
      addresses?.some((one) => ipaddr.parse(one.address).toNormalizedString() === wanted),
  )?.[0];
}

function isReachable(address: string): boolean {
  return ipaddr.isValid(address) && REACHABLE.includes(ipaddr.process(address).range());
}
