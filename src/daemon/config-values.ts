import ipaddr from 'ipaddr.js';

import { OverlayError } from '../base/errors.js';
import type { CipherSuite } from '../dataplane/dataplane.js';
import {
  SUITE_AES256GCM,
  SUITE_CHACHA20POLY1305,
  SUITE_XSALSA20POLY1305,
} from '../dataplane/dataplane.js';
import { parseContact } from '../model/contact.js';
import { nearest } from '../base/suggest.js';

/*
 * One function a value: text in, checked value out, or an error that shows the text and says what would do. `flag` is
 * the name without dashes; it stands in the message, because the same value may come from the file.
 */

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Bytes of a unix socket's path, sun_path without its zero. */
const SOCKET_PATH_BYTES = 107;
/** IFNAMSIZ without the zero, less `-t` of the TAP. */
const IFNAME_CHARACTERS = 13;
/** IPv6 needs the lower one; above the other a frame would not fit an ordinary jumbo path even once. */
const MTU_MIN_BYTES = 1280;
const MTU_MAX_BYTES = 9000;
const LABEL_BYTES = 63;
/** The last sixteenth of the pool holds the nodes' own addresses, so a smaller pool leaves no room for them. */
const POOL_LENGTH_MIN = 8;
const POOL_LENGTH_MAX = 26;

const SUITES: ReadonlyMap<string, CipherSuite> = new Map([
  ['aes256gcm', SUITE_AES256GCM],
  ['chacha20poly1305', SUITE_CHACHA20POLY1305],
  ['xsalsa20poly1305', SUITE_XSALSA20POLY1305],
]);

function bad(flag: string, text: string, why: string, cure: string): OverlayError {
  return new OverlayError('OVL_USAGE', `Bad --${flag} '${text}': ${why}`, { cure, value: text });
}

function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

export function parsePort(flag: string, text: string): number {
  const port = wholeNumber(text);
  if (port >= 1 && port <= 65535) return port;
  throw bad(flag, text, 'not a port', 'Give a number from 1 to 65535');
}

export function parseMtu(flag: string, text: string): number {
  const mtuBytes = wholeNumber(text);
  if (mtuBytes >= MTU_MIN_BYTES && mtuBytes <= MTU_MAX_BYTES) return mtuBytes;
  const why = Number.isNaN(mtuBytes) ? 'not a number' : 'out of range';
  throw bad(
    flag,
    text,
    why,
    `Give bytes from ${MTU_MIN_BYTES} to ${MTU_MAX_BYTES}; 1388 fits nearly every path`,
  );
}

export function parseIfName(flag: string, text: string): string {
  if (text.length > IFNAME_CHARACTERS) {
    const cure = `Give at most ${IFNAME_CHARACTERS}: the TAP beside it is called <ifname>-t`;
    throw bad(flag, text, `${text.length} characters are too many`, cure);
  }
  // `all` and `default` are no interfaces under /proc/sys/net.
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text) || ['all', 'default', 'lo'].includes(text)) {
    throw bad(
      flag,
      text,
      'not a name for an interface',
      'Use letters, digits, ., _ and -, such as overlay0',
    );
  }
  return text;
}

export function parseSuites(flag: string, text: string): readonly CipherSuite[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  const suites = names.map((name) => {
    const suite = SUITES.get(name);
    if (suite !== undefined) return suite;
    const meant = nearest(name, [...SUITES.keys()]);
    const cure =
      meant === undefined
        ? `Choose from ${[...SUITES.keys()].join(', ')}`
        : `Did you mean ${meant}?`;
    throw bad(flag, text, name === '' ? 'a name is empty' : `unknown cipher '${name}'`, cure);
  });
  return [...new Set(suites)];
}

export function parseLogLevel(flag: string, text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw bad(flag, text, 'not a level', `Choose from ${LOG_LEVELS.join(', ')}`);
}

/** A label for people: nickname, mesh name. */
export function parseLabel(flag: string, text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes === 0 || bytes > LABEL_BYTES) {
    throw bad(flag, text, `${bytes} bytes`, `Give 1 to ${LABEL_BYTES} bytes`);
  }
  if (/\p{C}/u.test(text)) throw bad(flag, text, 'invisible characters', 'Leave them out');
  return text;
}

export function parseDnsDomain(flag: string, text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, '');
  const isDomain =
    domain.length <= 200 &&
    domain.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$/.test(label));
  if (isDomain) return domain;
  throw bad(flag, text, 'not a domain name', 'Give one such as overlay.internal or mesh.example');
}

export function parseBind(flag: string, text: string): string {
  const isLiteral = text.includes(':')
    ? ipaddr.IPv6.isValid(text)
    : ipaddr.IPv4.isValidFourPartDecimal(text);
  if (isLiteral) return text;
  throw bad(flag, text, 'not an IP address', 'Give an address of this host');
}

/** An endpoint to dial or to tell; kept as typed, names are resolved at every attempt. */
export function parseContactText(flag: string, text: string): string {
  // Which port stands in for a missing one does not matter to whether it parses.
  if (parseContact(text, 1) !== undefined) return text;
  throw new OverlayError('OVL_ENDPOINT_INVALID', `Bad --${flag} '${text}': not an endpoint`, {
    cure: 'Give host, host:port or [v6]:port',
    value: text,
  });
}

export function parseAddressMode(
  flag: string,
  text: string,
): 'auto' | 'none' | { readonly cidr: string } {
  if (text === 'auto' || text === 'none') return text;
  const parsed = parseCidr(text);
  if (parsed === undefined)
    throw badAddress(
      flag,
      text,
      'not address/length',
      'Give auto, none or one such as 10.47.0.9/12',
    );
  const [address, length] = parsed;
  const bits = address.kind() === 'ipv4' ? 32 : 128;
  const range = address.range();
  if (['multicast', 'loopback', 'unspecified', 'broadcast'].includes(range)) {
    throw badAddress(flag, text, `a ${range} address`, 'Give an address of a host');
  }
  if (length === 0 || (bits === 32 && length < 31 && isEdge(address.toByteArray(), length))) {
    throw badAddress(
      flag,
      text,
      'the network or broadcast address of its subnet',
      'Give an address of a host',
    );
  }
  return { cidr: `${addressText(address)}/${length}` };
}

/** An IPv4 pool, given by its network address. */
export function parsePool(flag: string, text: string): string {
  const parsed = parseCidr(text);
  if (parsed === undefined)
    throw badAddress(flag, text, 'not network/length', 'Give one such as 10.32.0.0/12');
  const [address, length] = parsed;
  if (address.kind() !== 'ipv4') {
    throw badAddress(
      flag,
      text,
      'not IPv4',
      'Give an IPv4 network; IPv6 addresses come from the mesh by themselves',
    );
  }
  if (length < POOL_LENGTH_MIN || length > POOL_LENGTH_MAX) {
    throw badAddress(
      flag,
      text,
      `prefix length ${length}`,
      `Give one from /${POOL_LENGTH_MIN} to /${POOL_LENGTH_MAX}`,
    );
  }
  const network = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  if (network !== address.toString()) {
    throw badAddress(
      flag,
      text,
      'not the network address of its subnet',
      `Give ${network}/${length}`,
    );
  }
  return `${network}/${length}`;
}

/** A subnet that lies in `pool`. */
export function parseSubnetOf(flag: string, text: string, pool: string): string {
  const parsed = parseCidr(text);
  if (parsed === undefined || parsed[0].kind() !== 'ipv4') {
    throw badAddress(flag, text, 'not an IPv4 network/length', `Give a subnet of ${pool}`);
  }
  const [poolAddress, poolLength] = ipaddr.parseCIDR(pool);
  const isInside = parsed[1] >= poolLength && parsed[0].match(poolAddress, poolLength);
  if (!isInside)
    throw badAddress(flag, text, `outside of ${pool}`, 'Give a subnet of --ipalloc-range');
  const network = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  if (network === parsed[0].toString()) return `${network}/${parsed[1]}`;
  throw badAddress(
    flag,
    text,
    'not the network address of its subnet',
    `Give ${network}/${parsed[1]}`,
  );
}

const MS_OF_UNIT: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A time in ms, or `never`. */
export function parseLease(flag: string, text: string): number | 'never' {
  if (text === 'never') return 'never';
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const ms = Number(match?.[1]) * (MS_OF_UNIT[match?.[2] ?? ''] ?? Number.NaN);
  if (ms >= 60_000) return ms;
  throw bad(
    flag,
    text,
    'not a time of a minute or more',
    'Give one such as 24h, 90m, 7d, or never',
  );
}

export function parseSocketPath(flag: string, text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes > 0 && bytes <= SOCKET_PATH_BYTES && !text.includes('\0')) return text;
  throw new OverlayError('OVL_SOCKET_PATH', `Bad --${flag} '${text}': ${bytes} bytes`, {
    cure: `The kernel takes 1 to ${SOCKET_PATH_BYTES}; give a shorter path with --socket`,
    value: text,
  });
}

function badAddress(flag: string, text: string, why: string, cure: string): OverlayError {
  return new OverlayError('OVL_ADDRESS_INVALID', `Bad --${flag} '${text}': ${why}`, {
    cure,
    value: text,
  });
}

function parseCidr(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? '';
  const isLiteral = address.includes(':')
    ? ipaddr.IPv6.isValid(address)
    : ipaddr.IPv4.isValidFourPartDecimal(address);
  if (!isLiteral) return undefined;
  const parsed = ipaddr.parse(address);
  const length = Number(match?.[2]);
  return length <= (parsed.kind() === 'ipv4' ? 32 : 128) ? [parsed, length] : undefined;
}

function addressText(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address.kind() === 'ipv4'
    ? address.toString()
    : (address as ipaddr.IPv6).toRFC5952String();
}

/** Whether all host bits are zero, or all one. */
function isEdge(bytes: readonly number[], length: number): boolean {
  const host = bytes.flatMap((byte, index) =>
    Array.from({ length: 8 }, (_, bit) => (byte >> (7 - bit)) & 1).filter(
      (_, bit) => index * 8 + bit >= length,
    ),
  );
  return host.every((bit) => bit === 0) || host.every((bit) => bit === 1);
}
