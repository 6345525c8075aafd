import ipaddr from 'ipaddr.js';

import type { Mac } from '../model/mac.js';

/*
 * Who may say what between the ports of one host (docs/protocol.md §10). The Linux bridge forwards there and the data
 * plane never sees it, so the rules are nftables' of the bridge family, in one table of our own:
 *
 *   prerouting ─ iifname vmap ports ─ p-<port> : source MAC, VLAN 0, ARP, IPv4, neighbour advertisements, IPv6
 *
 * prerouting comes before the bridge learns and before it floods. A port with addresses sends from these, from none yet
 * (0.0.0.0, ::) and from link-local IPv6; one without addresses (DHCP, a router) from any. A frame tagged with VLAN 0, by
 * 802.1Q or 802.1ad, is taken as untagged by its receiver, and would carry an address past the rules for untagged ones.
 * What an advertisement is about is looked for where it is without extension headers, so none has any: no kernel sends
 * such, and all take them.
 *
 * Each port has two counters, p-<port>-mac and p-<port>-ip, which survive changes of other ports.
 */

export interface GuardedPort {
  readonly port: string;
  /** Undefined: any source MAC (a VM that chooses by itself). */
  readonly mac: Mac | undefined;
  /** Bare addresses that it may use; none: any. */
  readonly addresses: readonly string[];
}

/** fe80::/10 and the unspecified address. */
const FREE_IPV6 = ['fe80::/10', '::'];
/** Where the target of an advertisement is: behind 40 bytes of IPv6 and 8 of ICMP; nft 1.0 has no name for it. */
const ADVERTISED = '@nh,384';

export function guardTable(bridge: string): string {
  return `overlayd-${bridge.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
}

/** An interface's name may begin with a digit, a name in nft may not. */
export function counterOf(port: string, what: 'mac' | 'ip'): string {
  return `${chainOf(port)}-${what}`;
}

function chainOf(port: string): string {
  return `p-${port}`;
}

/** The whole table in place of what is there, in one transaction. */
export function wholeGuard(table: string, ports: readonly GuardedPort[]): string {
  const name = `bridge ${table}`;
  return lines([
    ...noGuard(table),
    `add table ${name} { comment "source guard of overlayd; made again when changed"; }`,
    `add map ${name} ports { type ifname : verdict; }`,
    `add chain ${name} prerouting { type filter hook prerouting priority -300; policy accept; }`,
    `add rule ${name} prerouting iifname vmap @ports`,
    ...ports.flatMap((port) => addPort(name, port)),
  ]);
}

/** From one state of our table to another, in one transaction; undefined: nothing to do. */
export function changedGuard(
  table: string,
  before: readonly GuardedPort[],
  after: readonly GuardedPort[],
): string | undefined {
  const name = `bridge ${table}`;
  const held = new Map(before.map((port) => [port.port, port]));
  const wanted = new Set(after.map(({ port }) => port));
  const changed = after.filter((port) => !isSame(held.get(port.port), port));
  const text = [
    ...before.filter(({ port }) => !wanted.has(port)).flatMap((port) => removePort(name, port)),
    ...changed.flatMap((port) => addPort(name, port)),
  ];
  return text.length === 0 ? undefined : lines(text);
}

/** Those that did not change are mostly the same object, and there may be a thousand. */
function isSame(before: GuardedPort | undefined, after: GuardedPort): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}

/** Removes the table, also when there is none. */
export function withoutGuard(table: string): string {
  return lines(noGuard(table));
}

/** How many rules the table has in all while it is whole. */
export function guardRuleCount(ports: readonly GuardedPort[]): number {
  return ports.reduce((sum, port) => sum + rulesOf(port).length, 1);
}

function noGuard(table: string): string[] {
  return [`add table bridge ${table}`, `delete table bridge ${table}`];
}

/** Also when it is there: its chain is emptied and filled again, its counters go on. */
function addPort(name: string, guarded: GuardedPort): string[] {
  const { port } = guarded;
  const chain = chainOf(port);
  return [
    `add counter ${name} ${counterOf(port, 'mac')}`,
    `add counter ${name} ${counterOf(port, 'ip')}`,
    `add chain ${name} ${chain}`,
    `flush chain ${name} ${chain}`,
    ...rulesOf(guarded).map((rule) => `add rule ${name} ${chain} ${rule}`),
    `add element ${name} ports { "${port}" : jump ${chain} }`,
  ];
}

function rulesOf({ port, mac, addresses }: GuardedPort): string[] {
  const byMac = `counter name ${counterOf(port, 'mac')} drop`;
  const byIp = `counter name ${counterOf(port, 'ip')} drop`;
  const v4 = addresses.filter((address) => !address.includes(':'));
  const v6 = addresses.filter((address) => address.includes(':'));
  return [
    ...(mac === undefined
      ? []
      : [`ether saddr != ${mac} ${byMac}`, `arp saddr ether != ${mac} ${byMac}`]),
    `vlan id 0 ${byMac}`,
    `ether type 8021ad vlan id 0 ${byMac}`,
    ...(addresses.length === 0
      ? []
      : [
          `arp saddr ip { ${['0.0.0.0', ...v4].join(', ')} } return`,
          `ether type arp ${byIp}`,
          `ip saddr { ${['0.0.0.0', ...v4].join(', ')} } return`,
          `ether type ip ${byIp}`,
          `${ADVERT} ip6 nexthdr != ipv6-icmp ${byIp}`,
          ...v6.map((address) => `${ADVERT} ${ADVERTISED},128 ${hexOf(address)} return`),
          `${ADVERT} ${ADVERTISED},10 != 0x3fa ${byIp}`,
          `ip6 saddr { ${[...FREE_IPV6, ...v6].join(', ')} } return`,
          `ether type ip6 ${byIp}`,
        ]),
  ];
}

const ADVERT = 'icmpv6 type nd-neighbor-advert';

function removePort(name: string, { port }: GuardedPort): string[] {
  const chain = chainOf(port);
  return [
    `delete element ${name} ports { "${port}" : jump ${chain} }`,
    `flush chain ${name} ${chain}`,
    `delete chain ${name} ${chain}`,
    `delete counter ${name} ${counterOf(port, 'mac')}`,
    `delete counter ${name} ${counterOf(port, 'ip')}`,
  ];
}

function hexOf(address: string): string {
  const bytes = ipaddr.parse(address).toByteArray();
  return `0x${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}
