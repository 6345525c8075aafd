import { createHash } from 'node:crypto';

import { macFromBytes, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { targetKey, type Target } from '../model/target.js';
import type { Attachment } from './model.js';

/*
 * Ids, MACs and interface names that follow from what they stand for: the same attachment gets the same ones again
 * even where the state directory was lost.
 */

const ID_DIGITS = 16;
const PORT_DIGITS = 10;
const SHAPE_DIGITS = 8;

/** `ifName` is that of the daemon: two on one host have different ports for the same target. */
export function attachmentId(ifName: string, network: string, target: Target): string {
  return digest('attachment', ifName, network, targetKey(target))
    .toString('hex')
    .slice(0, ID_DIGITS);
}

/** What the host itself is called in the address management of a network. */
export function exposureOwner(ifName: string, network: string): string {
  return digest('exposure', ifName, network).toString('hex').slice(0, ID_DIGITS);
}

/** Name of the bridge's port: ovl and ten digits; a TAP is its own. */
export function portName(id: string, target: Target): string {
  return target.kind === 'tap' ? target.name : `ovl${id.slice(0, PORT_DIGITS)}`;
}

/** Locally administered, unicast. */
export function attachmentMac(peer: PeerId, id: string): Mac {
  const bytes = new Uint8Array(digest('mac', peer, id).subarray(0, 6));
  bytes[0] = ((bytes[0] ?? 0) | 0x02) & 0xfe;
  return macFromBytes(bytes);
}

/** What of an attachment cannot be changed once its interface exists; 8 hex digits. */
export function shapeOf({ ifName, mac, mtuBytes }: Attachment): string {
  return digest('shape', ifName, mac ?? '', String(mtuBytes))
    .toString('hex')
    .slice(0, SHAPE_DIGITS);
}

function digest(...parts: readonly string[]): Buffer {
  return createHash('blake2b512')
    .update(['overlayd/1', ...parts].join('\0'))
    .digest();
}
