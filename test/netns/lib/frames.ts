/*
 * Ethernet frames made by hand, right or wrong as a test wants them. Checksums of IPv4 headers and of ICMPv6 are right;
 * those of TCP and UDP are what the caller says.
 */

export const TCP = 6;
export const UDP = 17;
export const TYPE_IPV4 = 0x0800;
export const TYPE_IPV6 = 0x86dd;

export function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export function ethernet(to: string, from: string, type: number, payload: Uint8Array): Buffer {
  return Buffer.concat([mac(to), mac(from), u16(type), payload]);
}

export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  payload: Uint8Array,
  over: { readonly totalLength?: number; readonly fragment?: number } = {},
): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(over.totalLength ?? 20 + payload.length, 2);
  header.writeUInt16BE(over.fragment ?? 0x4000, 6);
  header[8] = 64;
  header[9] = protocol;
  header.set(ipv4Bytes(source), 12);
  header.set(ipv4Bytes(destination), 16);
  header.writeUInt16BE(~foldedSum(header) & 0xffff, 10);
  return Buffer.concat([header, payload]);
}

export function ipv6(
  source: string,
  destination: string,
  nextHeader: number,
  payload: Uint8Array,
): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = nextHeader;
  header[7] = 255;
  header.set(ipv6Bytes(source), 8);
  header.set(ipv6Bytes(destination), 24);
  return Buffer.concat([header, payload]);
}

/** `checksum` default: the folded pseudo-header sum, which is what a partial checksum holds. */
export function udp(
  source: string,
  destination: string,
  port: number,
  payload: Uint8Array,
  over: { readonly checksum?: number; readonly length?: number } = {},
): Buffer {
  const length = 8 + payload.length;
  const sum = over.checksum ?? pseudoSum(source, destination, UDP, length);
  return Buffer.concat([u16(40_000), u16(port), u16(over.length ?? length), u16(sum), payload]);
}

/** A segment with ACK set; `checksum` as for `udp`. */
export function tcp(
  source: string,
  destination: string,
  port: number,
  payload: Uint8Array,
  over: { readonly checksum?: number; readonly sequence?: number; readonly words?: number } = {},
): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(40_000, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt32BE(over.sequence ?? 1, 4);
  header.writeUInt32BE(1, 8);
  header[12] = (over.words ?? 5) << 4;
  header[13] = 0x10;
  header.writeUInt16BE(1000, 14);
  const sum = pseudoSum(source, destination, TCP, 20 + payload.length);
  header.writeUInt16BE(over.checksum ?? sum, 16);
  return Buffer.concat([header, payload]);
}

/** A router that offers itself as default route and a prefix to make addresses from. */
export function routerAdvertisement(router: string, prefix: string): Buffer {
  const message = Buffer.alloc(48);
  message[0] = 134;
  message[4] = 64;
  message.writeUInt16BE(1800, 6);
  message.set([3, 4, 64, 0xc0], 16);
  message.writeUInt32BE(86_400, 20);
  message.writeUInt32BE(14_400, 24);
  message.set(ipv6Bytes(prefix), 32);
  const all = 'ff02::1';
  const pseudo = Buffer.concat([
    ...[ipv6Bytes(router), ipv6Bytes(all)],
    ...[u16(0), u16(message.length), u16(0), u16(58)],
  ]);
  message.writeUInt16BE(~foldedSum(Buffer.concat([pseudo, message])) & 0xffff, 2);
  return ipv6(router, all, 58, message);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function pseudoSum(source: string, destination: string, protocol: number, length: number): number {
  const addresses = [ipv4Bytes(source), ipv4Bytes(destination)];
  return foldedSum(Buffer.concat([...addresses, u16(protocol), u16(length)]));
}

function foldedSum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function ipv4Bytes(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** With at most one `::`, and no dotted part. */
function ipv6Bytes(text: string): Buffer {
  const [head = '', tail = ''] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.concat([...left, ...middle, ...right].map((group) => u16(parseInt(group, 16))));
}
