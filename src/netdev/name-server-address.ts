import { createHash } from 'node:crypto';

import { macBytes, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { ipAttempts, ipBatch } from './run.js';
import { disableIpv6Of, readSysctl, reversePathFilter } from './sysctl.js';

/*
 * Where a network's name server answers: link-local addresses of its bridge, which every attachment reaches whatever
 * its subnet is, also when the node has no address of its own.
 *
 *   IPv4   169.254.x.y/32, derived from node and network. Answers leave by the bridge because the sockets are bound to
 *          it. Where the reverse-path filter is on, a rule tells it that guests of any subnet are to be expected there:
 *            from 169.254.x.y lookup <table> · table <table>: default dev <bridge>
 *          Only there: the first rule of a host makes Linux walk the rules for each packet of every interface.
 *          A whole 169.254.0.0/16 there would take the way to a cloud's metadata service away.
 *   IPv6   the fe80:: address that the bridge has by itself, from its MAC. The kernel gives it once it sees a carrier, up
 *          to a second later; nobody could bind to it until then, so it is given here as well.
 */

export interface BridgeAddresses {
  readonly v4: string;
  /** Undefined: the host does without IPv6. */
  readonly v6: string | undefined;
  /** Whether there is a rule, since the bridge filters. */
  readonly hasRule: boolean;
}

const RULE_PRIORITY = 6783;
const MOST_EQUAL_RULES = 8;
/** Tables of ours: this and the network's 24 bits. */
const TABLE_BASE = 0x6f00_0000;
/** Used by clouds: metadata 169.254.169.254 and its neighbours, credentials 169.254.170.2. */
const CLOUD_OCTETS = [169, 170];

export function nameServerAddress(peer: PeerId, network: number): string {
  for (let round = 0; ; round += 1) {
    const text = ['overlayd/1', 'name server', peer, String(network), String(round)].join('\0');
    const [third = 0, fourth = 0] = createHash('blake2b512').update(text).digest();
    // The first and last 256 of the range are reserved (RFC 3927 §2.1).
    const isFree = third > 0 && third < 255 && !CLOUD_OCTETS.includes(third);
    if (isFree && fourth > 0 && fourth < 255) return `169.254.${third}.${fourth}`;
  }
}

/** What EUI-64 makes of a MAC (RFC 4291, appendix A). */
export function linkLocalOf(mac: Mac): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return `fe80::${words.map((word) => word.toString(16)).join(':')}`;
}

/** Safe to repeat. @throws OVL_IFACE_CONFIG */
export async function addNameServerAddress(
  bridge: string,
  network: number,
  { peer, mac }: { readonly peer: PeerId; readonly mac: Mac },
): Promise<BridgeAddresses> {
  const v4 = nameServerAddress(peer, network);
  const v6 = readSysctl(disableIpv6Of(bridge)) === '0' ? linkLocalOf(mac) : undefined;
  const hasRule = isFilteringReturns(bridge) ?? false;
  await ipAttempts(ruleRemovals(v4));
  await ipBatch([
    `address replace ${v4}/32 dev ${bridge} scope link`,
    ...(v6 === undefined ? [] : [`address replace ${v6}/64 dev ${bridge} scope link nodad`]),
    ...(hasRule ? ruleOf(v4, bridge, network) : []),
  ]);
  return { v4, v6, hasRule };
}

/** Whether guests of foreign subnets need the rule; undefined: the bridge is not there. */
export function isFilteringReturns(bridge: string): boolean | undefined {
  if (readSysctl(`net/ipv4/conf/${bridge}/rp_filter`) === undefined) return undefined;
  return reversePathFilter(bridge) !== 0;
}

/** The rule alone, beside addresses that are there. Safe to repeat. @throws OVL_IFACE_CONFIG */
export async function setNameServerRule(
  bridge: string,
  network: number,
  { peer, isOn }: { readonly peer: PeerId; readonly isOn: boolean },
): Promise<void> {
  const v4 = nameServerAddress(peer, network);
  await ipAttempts([...ruleRemovals(v4), ...(isOn ? [] : [tableFlush(bridge, network)])]);
  if (isOn) await ipBatch(ruleOf(v4, bridge, network));
}

/** Also when part of it, or the bridge, is gone. */
export async function removeNameServerAddress(
  bridge: string,
  network: number,
  peer: PeerId,
): Promise<void> {
  const v4 = nameServerAddress(peer, network);
  await ipAttempts([
    ...ruleRemovals(v4),
    tableFlush(bridge, network),
    `address del ${v4}/32 dev ${bridge}`,
  ]);
}

function ruleOf(v4: string, bridge: string, network: number): readonly string[] {
  const table = String(TABLE_BASE + network);
  return [
    `route replace default dev ${bridge} scope link table ${table}`,
    `rule add from ${v4} lookup ${table} priority ${RULE_PRIORITY}`,
  ];
}

function tableFlush(bridge: string, network: number): string {
  return `route flush table ${String(TABLE_BASE + network)} dev ${bridge}`;
}

/** A rule is added beside an equal one: those of earlier runs go first. */
function ruleRemovals(v4: string): readonly string[] {
  const removal = `rule del from ${v4} priority ${RULE_PRIORITY}`;
  return Array.from({ length: MOST_EQUAL_RULES }, () => removal);
}
