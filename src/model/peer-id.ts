import { macBytes, macFromBytes, type Mac } from './mac.js';

/** BLAKE2b-128 of the identity's public key, 32 lower-case hex digits (docs/protocol.md §0). */
export type PeerId = string & { readonly __brand: 'PeerId' };

const PEER_ID = /^[0-9a-f]{32}$/;

export function parsePeerId(text: string): PeerId | undefined {
  return PEER_ID.test(text) ? (text as PeerId) : undefined;
}

export function peerIdFromBytes(bytes: Uint8Array): PeerId {
  if (bytes.length !== 16) throw new RangeError(`PeerId wants 16 bytes, got ${bytes.length}`);
  return Buffer.from(bytes).toString('hex') as PeerId;
}

export function peerIdBytes(id: PeerId): Uint8Array {
  return new Uint8Array(Buffer.from(id, 'hex'));
}

/** What logs and tables show: the first 8 digits. */
export function shortPeerId(id: PeerId): string {
  return id.slice(0, 8);
}

/** The bridge's MAC: the id's first six bytes made locally administered and unicast (docs/protocol.md §10). */
export function macOfPeer(id: PeerId): Mac {
  const first = (Number.parseInt(id.slice(0, 2), 16) | 0x02) & 0xfe;
  const others = `${id.slice(2, 4)}:${id.slice(4, 6)}:${id.slice(6, 8)}:${id.slice(8, 10)}:${id.slice(10, 12)}`;
  return `${first.toString(16).padStart(2, '0')}:${others}` as Mac;
}

/** The TAP's MAC: the bridge's with the lowest bit of the last byte turned. */
export function tapMacOfPeer(id: PeerId): Mac {
  return twinOfNodeMac(macOfPeer(id));
}

/** Of a node's bridge its TAP's, and the other way round. */
export function twinOfNodeMac(mac: Mac): Mac {
  const bytes = macBytes(mac);
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return macFromBytes(bytes);
}
