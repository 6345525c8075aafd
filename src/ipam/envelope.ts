import { MAX_NETWORK_ID, type NetworkId } from '../model/network.js';
import { packMessage, unpackMessage, type PackLimits } from '../wire/message-pack.js';

/*
 * Which network a message about addresses is about (docs/protocol.md §9). Bodies of the default network's go as they are;
 * of another's they are put in an envelope, [network, body], which none of them can be taken for.
 */

const LIMITS: PackLimits = { bytes: 640, depth: 2, items: 10 };

export interface Unpacked {
  readonly network: NetworkId;
  readonly body: Uint8Array;
}

export function putInEnvelope(network: NetworkId, body: Uint8Array): Uint8Array {
  return network === 0 ? body : packMessage([network, body]);
}

/** What is no envelope is the default network's, whatever it is. */
export function takeFromEnvelope(bytes: Uint8Array): Unpacked {
  const unpacked = unpackMessage(bytes, LIMITS);
  if (unpacked.ok && Array.isArray(unpacked.value) && unpacked.value.length === 2) {
    const [network, body] = unpacked.value as readonly unknown[];
    const isNetwork = Number.isInteger(network) && Number(network) > 0;
    if (isNetwork && Number(network) <= MAX_NETWORK_ID && body instanceof Uint8Array) {
      return { network: Number(network), body: new Uint8Array(body) };
    }
  }
  return { network: 0, body: bytes };
}
