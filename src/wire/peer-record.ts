import { fail, ok, type Result } from '../base/result.js';
import { endpointToBytes, formatEndpoint, type Endpoint } from '../model/endpoint.js';
import { isAddressList, isNickname, isVersionText, MAX_ADDRESSES } from './control.js';
import { readEndpoints, unpackMap, type BodyRefusal } from './fields.js';
import { packMessage, type PackLimits } from './message-pack.js';

/*
 * What a node says about itself to everybody (docs/protocol.md §5), body of its one record of kind peer:
 *
 *   {n: nickname, e: [endpoint 19 …], a: [cidr …], v: version, r: relays}
 */

export const MAX_RECORD_ENDPOINTS = 8;
const LIMITS: PackLimits = { bytes: 900, depth: 3, items: 48 };

export interface PeerRecord {
  readonly nickname: string;
  /** Where it listens, as far as it knows: its own addresses, then how others see it. At most 8. */
  readonly endpoints: readonly Endpoint[];
  /** Own addresses on the default network, cidr text. At most 8. */
  readonly addresses: readonly string[];
  /** Of overlayd, for people. */
  readonly version: string;
  /** Carries the traffic of others. */
  readonly isRelay: boolean;
}

/** What does not fit is left out. */
export function encodePeerRecord(record: PeerRecord): Uint8Array {
  const endpoints = new Map(
    record.endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]),
  );
  return packMessage({
    n: record.nickname,
    e: [...endpoints.values()].slice(0, MAX_RECORD_ENDPOINTS).map(endpointToBytes),
    a: record.addresses.slice(0, MAX_ADDRESSES),
    v: record.version,
    r: record.isRelay,
  });
}

export function decodePeerRecord(body: Uint8Array): Result<PeerRecord, BodyRefusal> {
  const unpacked = unpackMap(body, LIMITS);
  if (!unpacked.ok) return unpacked;
  const fields = unpacked.value;
  const [nickname, addresses, version] = [fields.get('n'), fields.get('a'), fields.get('v')];
  const [endpoints, isRelay] = [
    readEndpoints(fields.get('e'), MAX_RECORD_ENDPOINTS),
    fields.get('r'),
  ];
  if (typeof nickname !== 'string' || !isNickname(nickname)) return fail('fields');
  if (!isAddressList(addresses) || !isVersionText(version)) return fail('fields');
  if (!endpoints || typeof isRelay !== 'boolean') return fail('fields');
  return ok({ nickname, endpoints, addresses, version, isRelay });
}
