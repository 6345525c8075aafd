import ipaddr from 'ipaddr.js';

/** A UDP or TCP address of the underlay. `address` is canonical text; an IPv4-mapped IPv6 address is IPv4 here. */
export interface Endpoint {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

/** Encoded size: family u8, address 16 (IPv4 in the first 4), port u16 little-endian. */
export const ENDPOINT_BYTES = 19;

export function makeEndpoint(address: string, port: number): Endpoint | undefined {
  if (!ipaddr.isValid(address) || !Number.isInteger(port) || port < 0 || port > 65535) {
    return undefined;
  }
  if (!address.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(address)) return undefined;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4'
    ? { family: 4, address: parsed.toString(), port }
    : { family: 6, address: (parsed as ipaddr.IPv6).toRFC5952String(), port };
}

export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.family === 6
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** Parses `a.b.c.d:port` or `[v6]:port`; names and missing ports are for `parseContact`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  return makeEndpoint(match[1] ?? match[2] ?? '', Number(match[3]));
}

export function endpointToBytes(endpoint: Endpoint): Uint8Array {
  const out = new Uint8Array(ENDPOINT_BYTES);
  out[0] = endpoint.family;
  out.set(ipaddr.parse(endpoint.address).toByteArray(), 1);
  out[17] = endpoint.port & 0xff;
  out[18] = endpoint.port >> 8;
  return out;
}

/** Called for each datagram of the control plane, so nothing is made text and parsed again. */
export function endpointFromBytes(bytes: Uint8Array): Endpoint | undefined {
  if (bytes.length !== ENDPOINT_BYTES) return undefined;
  const port = (bytes[17] ?? 0) | ((bytes[18] ?? 0) << 8);
  if (bytes[0] === 6) {
    const address = new ipaddr.IPv6([...bytes.subarray(1, 17)]);
    if (!address.isIPv4MappedAddress()) {
      return { family: 6, address: address.toRFC5952String(), port };
    }
    return { family: 4, address: address.toIPv4Address().toString(), port };
  }
  if (bytes[0] !== 4) return undefined;
  for (let at = 5; at < 17; at++) if (bytes[at] !== 0) return undefined;
  return { family: 4, address: bytes.subarray(1, 5).join('.'), port };
}
