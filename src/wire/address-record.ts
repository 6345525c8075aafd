import { fail, ok, type Result } from '../base/result.js';
import { addressBytes, addressFromBytes, formatAddress, parseAddress } from '../model/cidr.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';
import { isBytes, unpackArray, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';
import { MAX_RECORD_BODY_BYTES } from './record.js';

/*
 * Which addresses are at which MAC of this node's host (docs/protocol.md §10), records of kind address. Attachments share
 * records, as names do:
 *
 *   key    network u24, page u8
 *   body   [[MAC 6, address 4 or 16 …] …]
 */

/** Of one MAC in one record; more of them take another entry. */
export const MAX_ENTRY_ADDRESSES = 32;
const LIMITS: PackLimits = { bytes: MAX_RECORD_BODY_BYTES, depth: 3, items: 512 };
const MAC_BYTES = 6;
/** ::ffff:0:0/96 */
const MAPPED_PREFIX = 0xffffn;
/** Headers of MessagePack, at their longest here. */
const ENTRY_HEAD_BYTES = 3 + 2 + MAC_BYTES;

/** `addresses` are canonical texts without length. */
export interface AddressEntry {
  readonly mac: Mac;
  readonly addresses: readonly string[];
}

/** In a record, at most. */
export function addressEntryBytes({ addresses }: AddressEntry): number {
  const each = addresses.map((address) => 2 + (address.includes(':') ? 16 : 4));
  return each.reduce((sum, bytes) => sum + bytes, ENTRY_HEAD_BYTES);
}

/** The caller sees to it that it has at most 900 bytes. */
export function encodeAddressRecord(entries: readonly AddressEntry[]): Uint8Array {
  return packMessage(
    entries.map(({ mac, addresses }) => [
      macBytes(mac),
      ...addresses.flatMap((text) => {
        const address = parseAddress(text);
        return address ? [addressBytes(address)] : [];
      }),
    ]),
  );
}

export function decodeAddressRecord(
  body: Uint8Array,
): Result<readonly AddressEntry[], BodyRefusal> {
  const fields = unpackArray(body, LIMITS);
  if (!fields.ok) return fields;
  const entries: AddressEntry[] = [];
  for (const value of fields.value) {
    const entry = entryOf(value);
    if (!entry) return fail('fields');
    entries.push(entry);
  }
  return ok(entries);
}

function entryOf(value: unknown): AddressEntry | undefined {
  if (!Array.isArray(value) || value.length < 2) return undefined;
  const [mac, ...rest] = value as readonly unknown[];
  if (!isBytes(mac, MAC_BYTES) || rest.length > MAX_ENTRY_ADDRESSES) return undefined;
  const isHost = ((mac[0] ?? 1) & 1) === 0 && mac.some((byte) => byte !== 0);
  const addresses: string[] = [];
  for (const bytes of rest) {
    if (!isBytes(bytes, 4) && !isBytes(bytes, 16)) return undefined;
    const family = bytes.length === 4 ? 4 : 6;
    const value = addressFromBytes(bytes);
    // An IPv4 address in other words would stand beside what others say of it.
    if (family === 6 && value >> 32n === MAPPED_PREFIX) return undefined;
    addresses.push(formatAddress({ family, value }));
  }
  return isHost ? { mac: macFromBytes(mac), addresses } : undefined;
}
