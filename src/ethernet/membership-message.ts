/*
 * What hosts and routers say about groups: IGMPv1 to v3 (RFC 1112, 2236, 3376) and MLDv1 and v2 (RFC 2710, 3810), read
 * out of Ethernet frames. Any host may have written these bytes: every length is checked, checksums are not (a broken
 * one costs a group too many).
 *
 * A listener that wants some sources only counts as one of the group.
 */

/** An address in hex, without separators: 8 digits are IPv4, 32 IPv6. */
export type GroupAddress = string & { readonly __brand: 'GroupAddress' };

export type MembershipMessage =
  | {
      readonly kind: 'report';
      readonly joined: readonly GroupAddress[];
      readonly left: readonly GroupAddress[];
    }
  | { readonly kind: 'query'; readonly family: 4 | 6; readonly source: Uint8Array };

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const IGMP = 2;
const ICMPV6 = 58;

const IGMP_QUERY = 0x11;
const IGMP_REPORT_V1 = 0x12;
const IGMP_REPORT_V2 = 0x16;
const IGMP_LEAVE = 0x17;
const IGMP_REPORT_V3 = 0x22;
const MLD_QUERY = 130;
const MLD_REPORT = 131;
const MLD_DONE = 132;
const MLD_REPORT_V2 = 143;

/** Group records of version 3 and 2 (RFC 3376 §4.2.12). */
const IS_EXCLUDE = 2;
const TO_INCLUDE = 3;
const TO_EXCLUDE = 4;
const BLOCK_SOURCES = 6;

/** Undefined: not such a message, or cut off. */
export function readMembership(frame: Uint8Array): MembershipMessage | undefined {
  if (frame.length < ETHERNET_BYTES + IPV4_BYTES) return undefined;
  const type = u16(frame, 12);
  if (type === IPV4) return readIgmp(frame);
  return type === IPV6 ? readMld(frame) : undefined;
}

function readIgmp(frame: Uint8Array): MembershipMessage | undefined {
  const ip = frame.subarray(ETHERNET_BYTES);
  const header = ((ip[0] ?? 0) & 0x0f) * 4;
  const total = u16(ip, 2);
  if (ip[9] !== IGMP || header < IPV4_BYTES || total > ip.length) return undefined;
  const message = ip.subarray(header, total);
  if (message.length < 8) return undefined;
  const group = message.subarray(4, 8);
  switch (message[0]) {
    case IGMP_QUERY:
      return isZero(group) ? { kind: 'query', family: 4, source: ip.slice(12, 16) } : undefined;
    case IGMP_REPORT_V1:
    case IGMP_REPORT_V2:
      return { kind: 'report', joined: groups(group), left: [] };
    case IGMP_LEAVE:
      return { kind: 'report', joined: [], left: groups(group) };
    case IGMP_REPORT_V3:
      return readRecords(message, 4);
    default:
      return undefined;
  }
}

function readMld(frame: Uint8Array): MembershipMessage | undefined {
  const ip = frame.subarray(ETHERNET_BYTES);
  if (ip.length < IPV6_BYTES + 8 || ip[6] !== 0 || ip[IPV6_BYTES] !== ICMPV6) return undefined;
  const end = IPV6_BYTES + u16(ip, 4);
  const at = IPV6_BYTES + ((ip[IPV6_BYTES + 1] ?? 0) + 1) * 8;
  if (end > ip.length || end < at + 8) return undefined;
  const message = ip.subarray(at, end);
  if (message[0] === MLD_REPORT_V2) return readRecords(message, 16);
  if (message.length < 24) return undefined;
  const group = message.subarray(8, 24);
  switch (message[0]) {
    case MLD_QUERY:
      return isZero(group) ? { kind: 'query', family: 6, source: ip.slice(8, 24) } : undefined;
    case MLD_REPORT:
      return { kind: 'report', joined: groups(group), left: [] };
    case MLD_DONE:
      return { kind: 'report', joined: [], left: groups(group) };
    default:
      return undefined;
  }
}

/** IGMPv3 and MLDv2 reports differ in the size of an address only. */
function readRecords(message: Uint8Array, addressBytes: number): MembershipMessage {
  const joined: GroupAddress[] = [];
  const left: GroupAddress[] = [];
  let at = 8;
  for (let rest = u16(message, 6); rest > 0; rest--) {
    const fixed = 4 + addressBytes;
    if (at + fixed > message.length) break;
    const sources = u16(message, at + 2);
    const group = message.subarray(at + 4, at + fixed);
    const type = message[at] ?? 0;
    if (type === IS_EXCLUDE || type === TO_EXCLUDE) joined.push(...groups(group));
    else if (sources > 0 && type < BLOCK_SOURCES) joined.push(...groups(group));
    else if (type === TO_INCLUDE) left.push(...groups(group));
    at += fixed + sources * addressBytes + (message[at + 1] ?? 0) * 4;
  }
  return { kind: 'report', joined, left };
}

/** The address, if it is a group's. */
function groups(address: Uint8Array): GroupAddress[] {
  const first = address[0] ?? 0;
  const isGroup = address.length === 4 ? first >> 4 === 0xe : first === 0xff;
  return isGroup ? [Buffer.from(address).toString('hex') as GroupAddress] : [];
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
