import { ENDPOINT_BYTES, endpointFromBytes, endpointToBytes, formatEndpoint } from './endpoint.js';
import type { Endpoint } from './endpoint.js';

/*
 * Where the datagrams of a path go (docs/protocol.md §6): straight to an endpoint, through relays, or down a TCP
 * connection. Encoded in the 19 bytes of an endpoint, with families of their own:
 *
 *   0        1                    5
 *   family   label | connection   zeros        family 1: relayed, 2: TCP; u32 little-endian
 */

/**
 * Through relays. `label` is ours: what arrives under it came this way, and what is sent to this address goes back the
 * same way, under the label that our neighbour on it chose (`labelSet` of the seam holds both).
 */
export interface RelayedAddress {
  readonly family: 'relay';
  /** Non-zero u32. */
  readonly label: number;
}

/** Down a TCP connection that the data plane holds. */
export interface TcpAddress {
  readonly family: 'tcp';
  /** Non-zero u32: from 2³¹ on for accepted ones, below for ours. */
  readonly connection: number;
}

export type PathAddress = Endpoint | RelayedAddress | TcpAddress;

const FAMILY_RELAY = 1;
const FAMILY_TCP = 2;
const NUMBER_AT = 1;
const NUMBER_END = 5;

export function isEndpoint(address: PathAddress): address is Endpoint {
  return address.family === 4 || address.family === 6;
}

/** Unique text of an address, for people and as a key. */
export function formatPathAddress(address: PathAddress): string {
  switch (address.family) {
    case 'relay':
      return `relay:${address.label.toString(16).padStart(8, '0')}`;
    case 'tcp':
      return `tcp:${address.connection}`;
    default:
      return formatEndpoint(address);
  }
}

export function pathAddressToBytes(address: PathAddress): Uint8Array {
  if (isEndpoint(address)) return endpointToBytes(address);
  const out = new Uint8Array(ENDPOINT_BYTES);
  const isRelayed = address.family === 'relay';
  out[0] = isRelayed ? FAMILY_RELAY : FAMILY_TCP;
  const number = isRelayed ? address.label : address.connection;
  new DataView(out.buffer).setUint32(NUMBER_AT, number, true);
  return out;
}

/** Undefined: malformed. */
export function pathAddressFromBytes(bytes: Uint8Array): PathAddress | undefined {
  if (bytes.length !== ENDPOINT_BYTES) return undefined;
  const [family] = bytes;
  if (family !== FAMILY_RELAY && family !== FAMILY_TCP) return endpointFromBytes(bytes);
  const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(NUMBER_AT, true);
  if (number === 0 || bytes.subarray(NUMBER_END).some((byte) => byte !== 0)) return undefined;
  return family === FAMILY_RELAY
    ? { family: 'relay', label: number }
    : { family: 'tcp', connection: number };
}
