import { fail, ok, type Result } from '../base/result.js';
import { endpointFromBytes, type Endpoint } from '../model/endpoint.js';
import { unpackMessage, type PackLimits, type PackRefusal } from './message-pack.js';

/*
 * What every reader of a MessagePack body does: unpack within limits, then look at one field after the other. Bytes are
 * views of the message (msgpackr gives Buffers that may share its memory): what is kept is copied by `ownBytes`.
 */

/** `fields`: MessagePack, but not this message. */
export type BodyRefusal = PackRefusal | 'fields';

/** An array of any length; with `count` given, of exactly that many fields. */
export function unpackArray(
  body: Uint8Array,
  limits: PackLimits,
  count?: number,
): Result<readonly unknown[], BodyRefusal> {
  const unpacked = unpackMessage(body, limits);
  if (!unpacked.ok) return unpacked;
  const { value } = unpacked;
  if (!Array.isArray(value)) return fail('fields');
  return count === undefined || value.length === count ? ok(value) : fail('fields');
}

export function unpackMap(
  body: Uint8Array,
  limits: PackLimits,
): Result<ReadonlyMap<unknown, unknown>, BodyRefusal> {
  const unpacked = unpackMessage(body, limits);
  if (!unpacked.ok) return unpacked;
  return unpacked.value instanceof Map ? ok(unpacked.value) : fail('fields');
}

/** Of any length, or of exactly this one. */
export function isBytes(value: unknown, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

export function isU8(value: unknown): value is number {
  return isUnsigned(value, 0xff);
}

export function isU32(value: unknown): value is number {
  return isUnsigned(value, 0xffff_ffff);
}

function isUnsigned(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

/** An array of at most `max` endpoints of 19 bytes that datagrams can be sent to; undefined: it is none. */
export function readEndpoints(value: unknown, max: number): readonly Endpoint[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined;
  const endpoints: Endpoint[] = [];
  for (const bytes of value as readonly unknown[]) {
    const endpoint = isBytes(bytes) ? endpointFromBytes(bytes) : undefined;
    if (!endpoint || endpoint.port === 0) return undefined;
    endpoints.push(endpoint);
  }
  // As long as it has to be: one is kept of every member.
  return endpoints.slice();
}

export function ownBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
