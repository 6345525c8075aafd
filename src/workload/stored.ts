import { parseHostName } from '../model/host-name.js';
import { parseMac } from '../model/mac.js';
import { parseNetworkName } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import type { Target } from '../model/target.js';
import { attachmentId, attachmentMac, portName } from './derive.js';
import type { Attachment } from './model.js';

/*
 * An attachment in the state store:
 *
 *   {target, network, ifName, mac (null unless chosen), addresses, name (or null), dns, gateway (or null), routes,
 *    mtuBytes}
 *
 * What follows from it (id, port, the MAC nobody chose) is not stored: a node with another identity has other MACs.
 */

type Stored = Readonly<Record<string, unknown>>;

export function toStored(attachment: Attachment): object {
  const { target, network, ifName, mac, isMacGiven, addresses, gateway, routes, mtuBytes } =
    attachment;
  const { name, dns } = attachment;
  return {
    ...{ target, network, ifName, addresses, routes, mtuBytes, dns },
    mac: isMacGiven ? (mac ?? null) : null,
    gateway: gateway ?? null,
    name: name ?? null,
  };
}

/** `node`: whose interface and identity the ids and MACs follow from. Undefined: damaged. */
export function fromStored(
  value: unknown,
  node: { readonly ifName: string; readonly peer: PeerId },
): Attachment | undefined {
  if (!isObject(value)) return undefined;
  const { network, ifName, mac, addresses, gateway, routes, mtuBytes, name, dns } = value;
  const target = targetFrom(value['target']);
  if (target === undefined || typeof network !== 'string') return undefined;
  if (parseNetworkName(network) !== network) return undefined;
  if (typeof ifName !== 'string' || typeof mtuBytes !== 'number') return undefined;
  if (!isTexts(addresses) || !isTexts(routes)) return undefined;
  const id = attachmentId(node.ifName, network, target);
  const given = typeof mac === 'string' ? parseMac(mac) : undefined;
  return {
    ...{ id, target, network, ifName, addresses, routes, mtuBytes },
    port: portName(id, target),
    mac: given ?? (target.kind === 'tap' ? undefined : attachmentMac(node.peer, id)),
    isMacGiven: given !== undefined,
    gateway: typeof gateway === 'string' ? gateway : undefined,
    name: typeof name === 'string' ? parseHostName(name) : undefined,
    dns: dns !== false,
  };
}

function targetFrom(value: unknown): Target | undefined {
  if (!isObject(value)) return undefined;
  const { kind, name, path, pid, startTicks } = value;
  if ((kind === 'netns' || kind === 'tap') && typeof name === 'string') return { kind, name };
  if (kind === 'path' && typeof path === 'string') return { kind, path };
  if (kind === 'pid' && typeof pid === 'number' && typeof startTicks === 'string') {
    return { kind, pid, startTicks };
  }
  return undefined;
}

function isObject(value: unknown): value is Stored {
  return typeof value === 'object' && value !== null;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
