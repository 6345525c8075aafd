/** One UDP datagram over IPv4 of a capture. */
export interface Captured {
  readonly source: string;
  readonly destination: string;
  readonly payload: Buffer;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const UDP_BYTES = 8;

/** Ethernet frames of a little-endian pcap file, as tcpdump writes it here. */
export function framesOf(file: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= file.length;) {
    const size = file.readUInt32LE(at + 8);
    at += RECORD_HEADER_BYTES;
    if (at + size > file.length) break; // the last one was being written
    frames.push(file.subarray(at, at + size));
    at += size;
  }
  return frames;
}

/** UDP over IPv4; whatever is longer than one datagram is what GSO and GRO made of several. */
export function datagramsOf(file: Buffer): Captured[] {
  return framesOf(file).flatMap((frame) => {
    const ip = frame.subarray(ETHERNET_BYTES);
    if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || ip[9] !== 17) return [];
    const source = [...ip.subarray(12, 16)].join('.');
    const destination = [...ip.subarray(16, 20)].join('.');
    const payload = ip.subarray(((ip[0] ?? 0) & 0x0f) * 4 + UDP_BYTES);
    return [{ source, destination, payload }];
  });
}
