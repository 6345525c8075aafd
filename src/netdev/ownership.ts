import type { NetworkId } from '../model/network.js';
import type { LinkInfo } from './ip-json.js';
import { canonicalCidr } from './ip-json.js';

/*
 * Whose interface is this? The kernel keeps our mark, with the interface, in its alias:
 *
 *   overlayd:<mesh, 8 hex>:<peer, 8 hex>[@<bridge of the default network>:<network, 6 hex>][/<own address>,…]
 *
 * so the mark outlives a crash, never outlives the interface, and needs no file. The addresses are those the daemon
 * itself set: after a crash exactly these are taken back, and none that an operator or `expose` added.
 */

/** IFALIASZ of the kernel is 256 with the closing zero. */
const ALIAS_BYTES = 255;

export interface Mark {
  /** First 8 hex digits of the mesh id. */
  readonly mesh: string;
  /** Short id of the peer that made the interface. */
  readonly peer: string;
  /** Of a network beside the default one: whose it is, and which. */
  readonly network?: NetworkMark | undefined;
  /** Cidr texts; those that do not fit the kernel's 255 bytes are left out. */
  readonly ownAddresses: readonly string[];
}

/** Which network's an interface is, and on which daemon of this host: that with this `--ifname`. */
export interface NetworkMark {
  readonly ifName: string;
  readonly id: NetworkId;
}

export function formatMark(mark: Mark): string {
  const { network } = mark;
  const of = network ? `@${network.ifName}:${network.id.toString(16).padStart(6, '0')}` : '';
  let text = `overlayd:${mark.mesh}:${mark.peer}${of}`;
  mark.ownAddresses.forEach((cidr, index) => {
    const longer = `${text}${index === 0 ? '/' : ','}${cidr}`;
    if (longer.length <= ALIAS_BYTES) text = longer;
  });
  return text;
}

export function parseMark(alias: string): Mark | undefined {
  const [, head, of, addresses = ''] =
    /^(overlayd:[0-9a-f]{8}:[0-9a-f]{8})(?:@([\w.-]{1,13}:[0-9a-f]{6}))?(?:\/([0-9a-f.:,/]*))?$/.exec(
      alias,
    ) ?? [];
  if (head === undefined) return undefined;
  const [, mesh = '', peer = ''] = head.split(':');
  const [ifName = '', id = ''] = of?.split(':') ?? [];
  const ownAddresses = addresses.split(',').flatMap((text) => canonicalCidr(text) ?? []);
  const network = of === undefined ? undefined : { ifName, id: Number.parseInt(id, 16) };
  return { mesh, peer, ownAddresses, ...(network && { network }) };
}

/** On a bridge's port: which attachment it is, which namespace its other end was put into, and how it was made. */
export interface PortMark {
  /** 16 hex digits. */
  readonly attachment: string;
  /** 0: none, a TAP. */
  readonly inode: number;
  /** 8 hex digits: another shape wants another interface. */
  readonly shape: string;
}

export function formatPortMark({ attachment, inode, shape }: PortMark): string {
  return `overlayd-port:${attachment}:${inode}:${shape}`;
}

export function parsePortMark(alias: string): PortMark | undefined {
  const match = /^overlayd-port:([0-9a-f]{16}):(\d{1,16}):([0-9a-f]{8})$/.exec(alias);
  if (!match) return undefined;
  return { attachment: match[1] ?? '', inode: Number(match[2]), shape: match[3] ?? '' };
}

/** Why an interface may not be taken, with what to do; undefined: it is free, or a leftover of ours. */
export interface Refusal {
  readonly value: string;
  readonly message: string;
  readonly cure: string;
}

/** What preflight found under the two names. */
export interface Found {
  readonly bridge: LinkInfo | undefined;
  readonly tap: LinkInfo | undefined;
  /** Ports of the bridge, the TAP among them if it is one. */
  readonly ports: readonly string[];
}

/**
 * Leftovers of the same mesh are adopted, whatever identity made them (the state directory may have been lost). A
 * leftover of another mesh is adopted only when nothing is attached to it. A TAP that is not persistent exists only
 * while a process holds it open: then another daemon runs.
 */
export function judgeFound(
  names: { ifName: string; tapName: string },
  mesh: string,
  found: Found,
): Refusal | undefined {
  const { bridge, tap } = found;
  const useOther = 'start overlayd with another --ifname';
  if (tap !== undefined && (tap.kind !== 'tun' || !tap.isTap)) {
    return {
      value: tap.name,
      message: `Interface ${tap.name} exists and is not a TAP of overlayd (kind ${tap.kind})`,
      cure: `Remove it (ip link delete ${tap.name}) if nothing needs it, or ${useOther}`,
    };
  }
  if (tap !== undefined && !tap.isPersistent) {
    return {
      value: tap.name,
      message: `Interface ${tap.name} is held open by another process`,
      cure: `Stop the overlayd that uses ${names.ifName}, or ${useOther}`,
    };
  }
  if (tap !== undefined && parseMark(tap.alias) === undefined && tap.master !== names.ifName) {
    return {
      value: tap.name,
      message: `Interface ${tap.name} exists and was not made by overlayd (persistent TAP without our mark)`,
      cure: `Remove it (ip link delete ${tap.name}) if nothing needs it, or ${useOther}`,
    };
  }
  if (bridge === undefined) return undefined;
  const mark = parseMark(bridge.alias);
  if (bridge.kind !== 'bridge' || mark === undefined) {
    return {
      value: bridge.name,
      message: `Interface ${bridge.name} exists and was not made by overlayd (kind ${bridge.kind})`,
      cure: `Remove it (ip link delete ${bridge.name}) if nothing needs it, or ${useOther}`,
    };
  }
  const attached = found.ports.filter((port) => port !== names.tapName);
  if (mark.mesh !== mesh && attached.length > 0) {
    return {
      value: bridge.name,
      message: `Interface ${bridge.name} belongs to another mesh (${mark.mesh}) and still has ports: ${attached.join(', ')}`,
      cure: `Detach them or remove it (ip link delete ${bridge.name}), or ${useOther}`,
    };
  }
  return undefined;
}
