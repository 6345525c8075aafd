import ipaddr from 'ipaddr.js';

import { fail, ok, type Result } from '../base/result.js';
import { parseHostName } from '../model/host-name.js';
import { isBytes, unpackArray, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';
import { MAX_RECORD_BODY_BYTES } from './record.js';

/*
 * What a node calls its attachments (docs/protocol.md §5), records of kind name. Names share records, or a host's
 * quota would end at 256 of them:
 *
 *   key    network u24, page u8
 *   body   [[name, address 4 or 16 …] …]
 */

const KEY_BYTES = 4;
/** Of one name in one record; more of them take another page. */
export const MAX_NAME_ADDRESSES = 32;
const LIMITS: PackLimits = { bytes: MAX_RECORD_BODY_BYTES, depth: 3, items: 512 };

/** A page of names on one network; pages count from 0 to 255. */
export interface NamePage {
  readonly network: number;
  readonly page: number;
}

/** `name` is relative to the domain, `addresses` are canonical texts without length. */
export interface NameEntry {
  readonly name: string;
  readonly addresses: readonly string[];
}

export function encodeNameKey({ network, page }: NamePage): Uint8Array {
  return Uint8Array.of(network, network >> 8, network >> 16, page);
}

export function decodeNameKey(key: Uint8Array): NamePage | undefined {
  const [low = 0, middle = 0, high = 0, page = 0] = key;
  if (key.length !== KEY_BYTES) return undefined;
  return { network: low | (middle << 8) | (high << 16), page };
}

/** The caller sees to it that it has at most 900 bytes. */
export function encodeNameRecord(entries: readonly NameEntry[]): Uint8Array {
  return packMessage(
    entries.map(({ name, addresses }) => [
      name,
      ...addresses.map((text) => Uint8Array.from(ipaddr.parse(text).toByteArray())),
    ]),
  );
}

export function decodeNameRecord(body: Uint8Array): Result<readonly NameEntry[], BodyRefusal> {
  const fields = unpackArray(body, LIMITS);
  if (!fields.ok) return fields;
  const entries: NameEntry[] = [];
  for (const value of fields.value) {
    const entry = entryOf(value);
    if (!entry) return fail('fields');
    entries.push(entry);
  }
  return ok(entries);
}

function entryOf(value: unknown): NameEntry | undefined {
  if (!Array.isArray(value) || value.length < 2) return undefined;
  const [name, ...rest] = value as readonly unknown[];
  if (typeof name !== 'string' || parseHostName(name) !== name) return undefined;
  if (rest.length > MAX_NAME_ADDRESSES) return undefined;
  const addresses: string[] = [];
  for (const bytes of rest) {
    if (!isBytes(bytes, 4) && !isBytes(bytes, 16)) return undefined;
    const address = ipaddr.fromByteArray([...bytes]);
    addresses.push(
      address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString(),
    );
  }
  return { name, addresses };
}
