import ipaddr from 'ipaddr.js';

import { concatBytes } from '../base/bytes.js';
import { macBytes, type Mac } from '../model/mac.js';

/*
 * "This address is at this MAC now", to everybody on a network, so that nobody waits for an old entry to age:
 *
 *   IPv4  gratuitous ARP request (RFC 5227 §3: sender and target are the address)
 *   IPv6  unsolicited neighbour advertisement to all nodes (RFC 4861 §7.2.6), override set
 *
 * It is sent out of the TAP, to every peer, and out of each other port of the bridge, where its kernel would have sent it;
 * not out of the target's own, which would take it for a clash. While that carries nothing yet the bridge does all this
 * with one frame. No program is started and no namespace entered for it.
 */

const BROADCAST = new Uint8Array(6).fill(0xff);
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const ALL_NODES = Uint8Array.from(ipaddr.parse('ff02::1').toByteArray());

export function announcementFrame(mac: Mac, address: string): Uint8Array {
  const bytes = Uint8Array.from(ipaddr.parse(address).toByteArray());
  return bytes.length === 4
    ? gratuitousArp(macBytes(mac), bytes)
    : advertisement(macBytes(mac), bytes);
}

function gratuitousArp(mac: Uint8Array, address: Uint8Array): Uint8Array {
  return concatBytes(
    ...[BROADCAST, mac, Uint8Array.of(0x08, 0x06)],
    Uint8Array.of(0, 1, 0x08, 0, 6, 4, 0, 1),
    ...[mac, address, new Uint8Array(6), address],
  );
}

function advertisement(mac: Uint8Array, address: Uint8Array): Uint8Array {
  const icmp = concatBytes(
    Uint8Array.of(136, 0, 0, 0, 0x20, 0, 0, 0),
    address,
    Uint8Array.of(2, 1),
    mac,
  );
  const pseudo = concatBytes(address, ALL_NODES, Uint8Array.of(0, 0, 0, icmp.length, 0, 0, 0, 58));
  new DataView(icmp.buffer).setUint16(2, checksum(concatBytes(pseudo, icmp)));
  return concatBytes(
    ...[ALL_NODES_MAC, mac, Uint8Array.of(0x86, 0xdd)],
    Uint8Array.of(0x60, 0, 0, 0, 0, icmp.length, 58, 255),
    ...[address, ALL_NODES, icmp],
  );
}

/** RFC 1071, of an even number of bytes. */
function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
