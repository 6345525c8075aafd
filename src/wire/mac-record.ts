import { fail, ok, type Result } from '../base/result.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';
import type { BodyRefusal } from './fields.js';
import { networkKey, networkOfKey } from './group-record.js';

/*
 * That a MAC is on a port of this node (docs/protocol.md §10), a record of kind location for each:
 *
 *   key   0             3               body   0
 *         network u24   MAC 6                  sequence u32
 *
 * A node that takes a MAC over says one more than it ever heard of it: the highest sequence has it, of equal ones the
 * smaller PeerId's. Longer bodies are accepted, later versions append.
 */

const SEQUENCE_BYTES = 4;
const MAX_BODY_BYTES = 64;
const NETWORK_BYTES = 3;
const KEY_BYTES = 9;
export const MAX_MAC_SEQUENCE = 0xffff_ffff;

export interface MacPlace {
  readonly network: number;
  readonly mac: Mac;
}

export function macKey({ network, mac }: MacPlace): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  key.set(networkKey(network));
  key.set(macBytes(mac), NETWORK_BYTES);
  return key;
}

/** Undefined: not the key of a host's MAC. */
export function macOfKey(key: Uint8Array): MacPlace | undefined {
  if (key.length !== KEY_BYTES) return undefined;
  const network = networkOfKey(key.subarray(0, NETWORK_BYTES)) ?? 0;
  const bytes = key.subarray(NETWORK_BYTES);
  const isHost = ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
  return isHost ? { network, mac: macFromBytes(bytes) } : undefined;
}

export function encodeMacRecord(sequence: number): Uint8Array {
  const out = new Uint8Array(SEQUENCE_BYTES);
  new DataView(out.buffer).setUint32(0, sequence, true);
  return out;
}

/** The sequence. */
export function decodeMacRecord(body: Uint8Array): Result<number, BodyRefusal> {
  if (body.length < SEQUENCE_BYTES || body.length > MAX_BODY_BYTES) return fail('fields');
  return ok(new DataView(body.buffer, body.byteOffset).getUint32(0, true));
}
