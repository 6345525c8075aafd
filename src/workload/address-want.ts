import ipaddr from 'ipaddr.js';

import { OverlayError } from '../base/errors.js';

/*
 * What is typed where an address goes:
 *
 *   [ip:]10.1.2.3/24   [ip:]fd00::5/64   this address
 *   net:10.1.2.0/24   net:default        any address of a subnet of the mesh's pools; nothing typed means the latter
 *   none                                 no address: the target gets its own, by DHCP for instance
 */

/** With fewer host bits there is no address between that of the subnet and its broadcast. */
const MIN_HOST_BITS = 2;

/** What was typed, in order: this very address, or one of a subnet (undefined: of the default one). */
export type AddressWant =
  | { readonly kind: 'this'; readonly cidr: string }
  | { readonly kind: 'any'; readonly subnet: string | undefined };

/** Nothing typed: one address. None at all: `none` was. @throws OVL_ADDRESS_INVALID naming the text */
export function parseWants(texts: readonly string[]): readonly AddressWant[] {
  if (texts.length === 0) return [{ kind: 'any', subnet: undefined }];
  const subnets = texts.filter((text) => text.startsWith('net:'));
  const others = texts.filter((text) => !text.startsWith('net:'));
  if (others.includes('none') && subnets.length > 0) {
    throw invalid('none', `'none' stands beside other addresses`, 'Give one or the other.');
  }
  const fixed = others.length === 0 ? [] : parseAddresses(others);
  return [
    ...fixed.map((cidr) => ({ kind: 'this' as const, cidr })),
    ...[...new Set(subnets)].map((text) => {
      const subnet = text.slice('net:'.length);
      return {
        kind: 'any' as const,
        subnet: subnet === 'default' ? undefined : subnetOf(subnet, text),
      };
    }),
  ];
}

function subnetOf(text: string, typed: string): string {
  const { address, length } = parseCidr(text, typed, MIN_HOST_BITS);
  return `${textOf(networkOf(address, length))}/${length}`;
}

/** Canonical cidr texts, each once. @throws OVL_ADDRESS_INVALID naming the text, OVL_ADDRESS_UNAVAILABLE */
export function parseAddresses(texts: readonly string[]): readonly string[] {
  const chosen = texts.filter((text) => text !== 'none');
  if (texts.length === 0 || chosen.some((text) => text.startsWith('net:'))) {
    throw new OverlayError(
      'OVL_ADDRESS_UNAVAILABLE',
      texts.length === 0 ? 'No address is given' : 'No subnet can stand here',
      {
        value: chosen.find((text) => text.startsWith('net:')) ?? '',
        cure: 'Name an address, like 192.168.0.2/24 or fd00::5/64.',
      },
    );
  }
  if (chosen.length > 0 && chosen.length < texts.length) {
    throw invalid(
      'none',
      `'none' stands beside ${chosen.length} addresses`,
      'Give one or the other.',
    );
  }
  return [...new Set(chosen.map((text) => parseHostAddress(text.replace(/^ip:/, ''), text)))];
}

/** Destination of a route: a subnet, or one address. @throws OVL_ADDRESS_INVALID */
export function parseDestination(text: string): string {
  const { address, length } = parseCidr(text, text, 0);
  const network = networkOf(address, length);
  if (textOf(network) !== textOf(address)) {
    const cure = `Give the subnet by its first address: ${textOf(network)}/${length}.`;
    throw invalid(text, `'${text}' is an address inside its subnet`, cure);
  }
  return `${textOf(network)}/${length}`;
}

/** Canonical text. @throws OVL_ADDRESS_INVALID */
function parseHostAddress(text: string, typed: string): string {
  const { address, length } = parseCidr(text, typed, MIN_HOST_BITS);
  const cidr = `${textOf(address)}/${length}`;
  const range = address.range();
  if (['multicast', 'loopback', 'unspecified', 'broadcast'].includes(range)) {
    throw invalid(typed, `'${typed}' is a ${range} address`, 'Give the address of a host.');
  }
  const isIpv4 = address.kind() === 'ipv4';
  const [edge, what] = isEdge(address, length)
    ? [true, isIpv4 ? 'network or broadcast address' : 'subnet-router address']
    : [false, ''];
  if (edge) {
    throw invalid(typed, `'${typed}' is the ${what} of its subnet`, 'Give the address of a host.');
  }
  return cidr;
}

/** Whether a bare address lies in the subnet of an address with length. */
export function isInSubnetOf(address: string, cidr: string): boolean {
  const [network, length] = ipaddr.parseCIDR(cidr);
  const parsed = ipaddr.parse(address);
  return parsed.kind() === network.kind() && parsed.match(network, length);
}

/** Without its length. */
export function bareAddress(cidr: string): string {
  return cidr.split('/')[0] ?? cidr;
}

/** @throws OVL_ADDRESS_INVALID */
export function parseBareAddress(text: string, what: string): string {
  if (isAddress(text)) return textOf(ipaddr.parse(text));
  throw invalid(text, `${what} '${text}' is not an address`, 'Give it like 10.1.2.3 or fd00::5.');
}

function parseCidr(
  text: string,
  typed: string,
  minHostBits: number,
): { address: ipaddr.IPv4 | ipaddr.IPv6; length: number } {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const [, bare = '', lengthText = ''] = match ?? [];
  if (!isAddress(bare)) {
    const cure = isAddress(text)
      ? `Add the length of its subnet: ${text}/24, for example.`
      : 'Give address/length, like 10.1.2.3/24 or fd00::5/64.';
    throw invalid(typed, `'${typed}' is not an address with its length`, cure);
  }
  const address = ipaddr.parse(bare);
  const length = Number(lengthText);
  const bits = address.kind() === 'ipv4' ? 32 : 128;
  if (length < 1 || length > bits - minHostBits) {
    throw invalid(
      typed,
      `'${typed}' has a length of ${length}: such a subnet has no room for hosts`,
      `Give a length from 1 to ${bits - minHostBits}.`,
    );
  }
  return { address, length };
}

/** Not what ipaddr.js takes besides: octal, hexadecimal and shortened IPv4, zones. */
function isAddress(text: string): boolean {
  return text.includes(':')
    ? /^[0-9a-f:.]+$/i.test(text) && ipaddr.IPv6.isValid(text)
    : /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text) && ipaddr.IPv4.isValid(text);
}

function isEdge(address: ipaddr.IPv4 | ipaddr.IPv6, length: number): boolean {
  const text = textOf(address);
  if (text === textOf(networkOf(address, length))) return true;
  if (address.kind() === 'ipv6') return false;
  return text === ipaddr.IPv4.broadcastAddressFromCIDR(`${text}/${length}`).toString();
}

function networkOf(address: ipaddr.IPv4 | ipaddr.IPv6, length: number): ipaddr.IPv4 | ipaddr.IPv6 {
  const cidr = `${address.toString()}/${length}`;
  return address.kind() === 'ipv4'
    ? ipaddr.IPv4.networkAddressFromCIDR(cidr)
    : ipaddr.IPv6.networkAddressFromCIDR(cidr);
}

function textOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address.kind() === 'ipv4'
    ? address.toString()
    : (address as ipaddr.IPv6).toRFC5952String();
}

function invalid(value: string, message: string, cure: string): OverlayError {
  return new OverlayError('OVL_ADDRESS_INVALID', message, { value, cure });
}
