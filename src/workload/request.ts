import { OverlayError } from '../base/errors.js';
import type { AttachRequest } from '../model/attachment.js';
import { cidrContains, parseCidr } from '../model/cidr.js';
import { relativeName } from '../model/host-name.js';
import { parseMac, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { formatTarget, type Target } from '../model/target.js';
import {
  bareAddress,
  isInSubnetOf,
  parseAddresses,
  parseBareAddress,
  parseDestination,
} from './address-want.js';
import { attachmentId, attachmentMac, portName } from './derive.js';
import type { Attachment } from './model.js';
import type { NetworkView } from './ports.js';

export interface WorkloadOptions {
  /** The daemon's bridge: the default network's. */
  readonly ifName: string;
  readonly peer: PeerId;
  /** Of the names. */
  readonly domain: string;
}

/** Where a request is for, and what its target is on already. */
export interface Place extends WorkloadOptions {
  readonly network: NetworkView;
  /** Attachments of the target, on any network. */
  readonly others: readonly Attachment[];
}

const DEFAULT_IFNAME = 'eth-ovl';
const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
const MIN_MTU_BYTES = 1280;
export const MAX_ADDRESSES = 32;
export const MAX_ROUTES = 64;

/**
 * The attachment that stands for a request: a new one, or the one there is with more addresses.
 * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_UNAVAILABLE, OVL_NAME_INVALID, OVL_USAGE, OVL_TARGET_CONFLICT
 */
export function attachmentOf(
  request: AttachRequest,
  target: Target,
  existing: Attachment | undefined,
  place: Place,
): { readonly attachment: Attachment; readonly asked: readonly string[] } {
  const asked = parseAddresses(request.addresses);
  for (const cidr of asked) mustBeOn(place.network, cidr);
  const addresses = [...new Set([...(existing?.addresses ?? []), ...asked])];
  if (addresses.length > MAX_ADDRESSES) throw tooMany('addresses', MAX_ADDRESSES);
  const routes = request.routes?.map(parseDestination) ?? existing?.routes ?? [];
  if (routes.length > MAX_ROUTES) throw tooMany('routes', MAX_ROUTES);
  const fixed = existing ?? newAttachment(request, target, place);
  if (existing !== undefined) mustFit(request, existing);
  const attachment = {
    ...fixed,
    addresses,
    routes,
    ...namingOf(request, target, existing, place.domain),
    gateway: gatewayOf(request.gateway, addresses) ?? existing?.gateway,
  };
  if (target.kind === 'tap' && (attachment.gateway !== undefined || routes.length > 0)) {
    throw usage(formatTarget(target), 'A TAP has no routes on this host', 'Set them in the VM.');
  }
  return { attachment, asked };
}

function newAttachment(
  request: AttachRequest,
  target: Target,
  { ifName, peer, network, others }: Place,
): Attachment {
  const { mtuBytes } = network;
  const id = attachmentId(ifName, network.name, target);
  const [other] = others;
  if (target.kind === 'tap' && other !== undefined) {
    const text = formatTarget(target);
    throw new OverlayError('OVL_TARGET_CONFLICT', `${text} is on the network ${other.network}`, {
      value: text,
      cure: `Detach it first, or give the VM another TAP: overlayctl detach ${text}`,
    });
  }
  const given = request.mac === undefined ? undefined : macOf(request.mac);
  if (target.kind === 'tap' && request.ifname !== undefined) {
    throw usage(request.ifname, 'A TAP is called as the target says', 'Leave out --ifname.');
  }
  const free = target.kind === 'tap' ? target.name : freeIfName(others);
  const inside = request.ifname ?? free;
  if (!INTERFACE_NAME.test(inside)) {
    const cure = 'Give at most 15 letters, digits, dots, dashes and underscores.';
    throw usage(inside, `'${inside}' cannot be an interface's name`, cure);
  }
  const mtu = request.mtu ?? mtuBytes;
  if (mtu < MIN_MTU_BYTES || mtu > mtuBytes) {
    throw usage(
      String(mtu),
      `The MTU ${mtu} does not fit the network's`,
      `Give one from ${MIN_MTU_BYTES} to ${mtuBytes}.`,
    );
  }
  return {
    ...{ id, target, network: network.name, ifName: inside },
    port: portName(id, target),
    mac: given ?? (target.kind === 'tap' ? undefined : attachmentMac(peer, id)),
    isMacGiven: given !== undefined,
    ...{ addresses: [], name: undefined, dns: true, gateway: undefined, routes: [], mtuBytes: mtu },
  };
}

/** eth-ovl, then eth-ovl1 and so on. */
function freeIfName(others: readonly Attachment[]): string {
  const taken = new Set(others.map(({ ifName }) => ifName));
  for (let at = 0; ; at += 1) {
    const name = at === 0 ? DEFAULT_IFNAME : `${DEFAULT_IFNAME}${at}`;
    if (!taken.has(name)) return name;
  }
}

/** @throws OVL_ADDRESS_INVALID */
export function mustBeOn({ name, subnets }: NetworkView, cidr: string): void {
  const asked = parseCidr(cidr, 'cut');
  const isInside = subnets.some((text) => {
    const subnet = parseCidr(text);
    return subnet && asked && cidrContains(subnet, asked);
  });
  if (isInside || subnets.length === 0) return;
  throw new OverlayError('OVL_ADDRESS_INVALID', `${cidr} is in no subnet of the network ${name}`, {
    value: cidr,
    cure: `Give an address of ${subnets.join(' or ')}.`,
  });
}

/** A name may change under an attachment; without one being given it stays. */
function namingOf(
  { name: given, dns }: AttachRequest,
  target: Target,
  existing: Attachment | undefined,
  domain: string,
): Pick<Attachment, 'name' | 'dns'> {
  if (given === undefined) {
    if (dns === false || existing?.dns === false) return { name: undefined, dns: false };
    if (existing !== undefined) return { name: existing.name, dns: existing.dns };
    const name = target.kind === 'netns' ? relativeName(target.name, domain) : undefined;
    return { name, dns: true };
  }
  if (dns === false) {
    throw usage(given, '--name and --no-dns contradict each other', 'Leave out one of them.');
  }
  return { name: nameOf(given, domain), dns: true };
}

/** @throws OVL_NAME_INVALID */
export function nameOf(text: string, domain: string): string {
  const name = relativeName(text, domain);
  if (name !== undefined) return name;
  throw new OverlayError('OVL_NAME_INVALID', `'${text}' cannot be a name here`, {
    value: text,
    cure: `Give labels of at most 63 letters, digits, dashes and underscores, like web; with dots only in front of the domain, like web.${domain}.`,
  });
}

/** What an interface is called, its MAC and its MTU, once in use, do not change under it. */
function mustFit(request: AttachRequest, existing: Attachment): void {
  const differences = [
    ['--ifname', request.ifname, existing.ifName],
    ['--mac', request.mac === undefined ? undefined : macOf(request.mac), existing.mac],
    ['--mtu', request.mtu, existing.mtuBytes],
  ] as const;
  for (const [flag, wanted, present] of differences) {
    if (wanted === undefined || wanted === present) continue;
    throw new OverlayError(
      'OVL_TARGET_CONFLICT',
      `${formatTarget(existing.target)} is attached already, with ${flag} ${present ?? 'free'}`,
      {
        value: String(wanted),
        cure: `Detach it first: overlayctl detach ${formatTarget(existing.target)}`,
      },
    );
  }
}

function macOf(text: string): Mac {
  const mac = parseMac(text);
  const first = Number.parseInt(text.slice(0, 2), 16);
  if (mac !== undefined && first % 2 === 0 && mac !== '00:00:00:00:00:00') return mac;
  throw usage(text, `'${text}' is not the MAC of a host`, 'Give it like 02:11:22:33:44:55.');
}

function gatewayOf(text: string | undefined, addresses: readonly string[]): string | undefined {
  if (text === undefined) return undefined;
  const gateway = parseBareAddress(text, 'The gateway');
  const isNear = addresses.some(
    (cidr) => isInSubnetOf(gateway, cidr) && bareAddress(cidr) !== gateway,
  );
  if (isNear) return gateway;
  throw new OverlayError(
    'OVL_ADDRESS_INVALID',
    `The gateway ${gateway} is in no subnet of ${addresses.join(' ') || 'the target'}`,
    { value: text, cure: 'Give an address of another host in the same subnet.' },
  );
}

function tooMany(what: string, limit: number): OverlayError {
  return usage('', `A target has at most ${limit} ${what}`, 'Detach some first.');
}

function usage(value: string, message: string, cure: string): OverlayError {
  return new OverlayError('OVL_USAGE', message, { value, cure });
}
