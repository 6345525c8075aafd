import { macBytes, type Mac } from '../model/mac.js';
import { macOfGroup } from './group-mac.js';
import type { GroupAddress } from './membership-message.js';

/*
 * The questions a snooping bridge asks its own ports: IGMPv3 and MLDv2 queries, which hosts of older versions answer in
 * theirs (RFC 3376 §7.3.1, RFC 3810 §8.2.1).
 *
 * The IPv4 source is 0.0.0.0, so that no router takes the question for one of a router (RFC 4541 §2.1.1). IPv6 hosts
 * answer link-local sources only: it is made of the MAC.
 */

const IPV4_ALL_HOSTS = 'e0000001' as GroupAddress;
const IPV6_ALL_NODES = 'ff020000000000000000000000000001' as GroupAddress;
/** Robustness variable 2. */
const ROBUSTNESS = 2;
const INTERVAL_S = 125;

export interface Query {
  readonly family: 4 | 6;
  /** Undefined: all groups. */
  readonly group?: GroupAddress | undefined;
  /** Hosts answer at a random moment within this; at most 12.7 s. */
  readonly maxResponseMs: number;
}

/** A frame for this host's bridge. */
export function queryFrame(query: Query, source: Mac): Uint8Array {
  return query.family === 4 ? igmpQuery(query, source) : mldQuery(query, source);
}

/** The address that MLD queries of this MAC come from (RFC 4291, appendix A). */
export function linkLocalOf(mac: Mac): Uint8Array {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
}

function igmpQuery({ group, maxResponseMs }: Query, source: Mac): Uint8Array {
  const to = Buffer.from(group ?? IPV4_ALL_HOSTS, 'hex');
  const igmp = new Uint8Array(12);
  igmp.set([0x11, Math.min(127, Math.round(maxResponseMs / 100))]);
  if (group) igmp.set(to, 4);
  igmp.set([ROBUSTNESS, INTERVAL_S], 8);
  putSum(igmp, 2, sumOf(igmp));
  // Header of 24 bytes, for the router alert option (RFC 2113); ttl 1.
  const ip = new Uint8Array(24);
  ip.set([0x46, 0xc0, 0, ip.length + igmp.length, 0, 0, 0x40, 0, 1, 2]);
  ip.set(to, 16);
  ip.set([0x94, 4, 0, 0], 20);
  putSum(ip, 10, sumOf(ip));
  return frameOf(group ?? IPV4_ALL_HOSTS, source, 0x0800, ip, igmp);
}

function mldQuery({ group, maxResponseMs }: Query, source: Mac): Uint8Array {
  const to = Buffer.from(group ?? IPV6_ALL_NODES, 'hex');
  const from = linkLocalOf(source);
  const mld = new Uint8Array(28);
  mld[0] = 130;
  mld.set([maxResponseMs >> 8, maxResponseMs & 0xff], 4);
  if (group) mld.set(to, 8);
  mld.set([ROBUSTNESS, INTERVAL_S], 24);
  const pseudo = Uint8Array.of(...from, ...to, 0, 0, 0, mld.length, 0, 0, 0, 58);
  putSum(mld, 2, sumOf(Uint8Array.of(...pseudo, ...mld)));
  // Hop-by-hop header with the router alert option (RFC 2711); hop limit 1.
  const options = Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0);
  const ip = new Uint8Array(40);
  ip.set([0x60, 0, 0, 0, 0, options.length + mld.length, 0, 1]);
  ip.set(from, 8);
  ip.set(to, 24);
  return frameOf(group ?? IPV6_ALL_NODES, source, 0x86dd, ip, options, mld);
}

function frameOf(to: GroupAddress, source: Mac, type: number, ...parts: Uint8Array[]): Uint8Array {
  const head = [...macBytes(macOfGroup(to)), ...macBytes(source), type >> 8, type & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.from(head), ...parts]));
}

/** RFC 1071. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function putSum(bytes: Uint8Array, at: number, sum: number): void {
  bytes[at] = sum >> 8;
  bytes[at + 1] = sum & 0xff;
}
