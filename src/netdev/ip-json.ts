import ipaddr from 'ipaddr.js';

import { mustRun, runTool } from './run.js';

/*
 * What `ip -json` says, parsed once. Fields that a kernel or an `ip` does not print are absent here, too.
 */

/** One network interface, as far as we look at it. */
export interface LinkInfo {
  readonly name: string;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly isUp: boolean;
  /** bridge, tun, veth, dummy …; `physical` when the kernel names no kind. */
  readonly kind: string;
  /** Marked by `ip link set … alias`. */
  readonly alias: string;
  /** The bridge this interface is a port of; empty: none. */
  readonly master: string;
  /** Only of kind tun: whether it outlives the process that opened it. */
  readonly isPersistent: boolean;
  /** Only of kind tun: whether it is a TAP, not a TUN. */
  readonly isTap: boolean;
  readonly gsoMaxBytes: number;
}

export interface AddressInfo {
  /** Canonical cidr text. */
  readonly cidr: string;
  readonly scope: string;
}

export interface RouteInfo {
  /** Cidr text; 0.0.0.0/0 or ::/0 for the default route. */
  readonly destination: string;
  readonly device: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  return isObject(value) ? value : {};
}

function textAt(parent: JsonObject, key: string): string {
  const value = parent[key];
  return typeof value === 'string' ? value : '';
}

function numberAt(parent: JsonObject, key: string): number {
  const value = parent[key];
  return typeof value === 'number' ? value : 0;
}

function listAt(parent: JsonObject, key: string): readonly unknown[] {
  const value = parent[key];
  return Array.isArray(value) ? value : [];
}

/** `ip -json` prints nothing at all instead of `[]`, and `{}` for things it filtered out. */
export function parseIpJson(text: string): readonly JsonObject[] {
  if (text.trim() === '') return [];
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function linkFromJson(link: JsonObject): LinkInfo {
  const info = objectAt(link, 'linkinfo');
  const data = objectAt(info, 'info_data');
  const kind = textAt(info, 'info_kind');
  return {
    name: textAt(link, 'ifname'),
    mac: textAt(link, 'address'),
    mtuBytes: numberAt(link, 'mtu'),
    isUp: listAt(link, 'flags').includes('UP'),
    kind: kind === '' ? 'physical' : kind,
    alias: textAt(link, 'ifalias'),
    master: textAt(link, 'master'),
    isPersistent: data['persist'] === true,
    isTap: textAt(data, 'type') === 'tap',
    gsoMaxBytes: numberAt(link, 'gso_max_size'),
  };
}

/** The interface of that name, or undefined when there is none. */
export async function readLink(name: string): Promise<LinkInfo | undefined> {
  const outcome = await runTool('ip', ['-json', '-details', 'link', 'show', 'dev', name]);
  if (outcome.exitCode !== 0 && /does not exist/.test(outcome.stderr)) return undefined;
  const text =
    outcome.exitCode === 0
      ? outcome.stdout
      : await mustRun('ip', ['-json', '-details', 'link', 'show', 'dev', name]);
  const first = parseIpJson(text).find((link) => textAt(link, 'ifname') === name);
  return first === undefined ? undefined : linkFromJson(first);
}

/** Names of the bridge's ports. */
export async function readPorts(bridge: string): Promise<readonly string[]> {
  const text = await mustRun('ip', ['-json', 'link', 'show', 'master', bridge]);
  return parseIpJson(text)
    .map((link) => textAt(link, 'ifname'))
    .filter((name) => name !== '');
}

export type LinkAlias = Pick<LinkInfo, 'name' | 'alias' | 'master'>;

/** Name, alias and bridge of the interfaces that `ip link show` tells of under these words; none: all. */
export async function readLinkAliases(
  words: readonly string[] = [],
): Promise<readonly LinkAlias[]> {
  return linkAliasesOf(await mustRun('ip', ['-json', 'link', 'show', ...words]));
}

/** What `ip -json link show` printed. */
export function linkAliasesOf(text: string): readonly LinkAlias[] {
  return parseIpJson(text)
    .map((link) => ({
      name: textAt(link, 'ifname'),
      alias: textAt(link, 'ifalias'),
      master: textAt(link, 'master'),
    }))
    .filter(({ name }) => name !== '');
}

export function addressesFromJson(links: readonly JsonObject[]): readonly AddressInfo[] {
  return links
    .flatMap((link) => listAt(link, 'addr_info'))
    .filter(isObject)
    .flatMap((info) => {
      const cidr = canonicalCidr(`${textAt(info, 'local')}/${numberAt(info, 'prefixlen')}`);
      return cidr === undefined ? [] : [{ cidr, scope: textAt(info, 'scope') }];
    });
}

export async function readAddresses(device: string): Promise<readonly AddressInfo[]> {
  return addressesFromJson(
    parseIpJson(await mustRun('ip', ['-json', 'address', 'show', 'dev', device])),
  );
}

export async function readRoutes(family: 4 | 6): Promise<readonly RouteInfo[]> {
  const text = await mustRun('ip', ['-json', `-${family}`, 'route', 'show']);
  return parseIpJson(text).map((route) => {
    const destination = textAt(route, 'dst');
    const length = family === 4 ? 32 : 128;
    return {
      destination:
        destination === 'default'
          ? family === 4
            ? '0.0.0.0/0'
            : '::/0'
          : destination.includes('/')
            ? destination
            : `${destination}/${length}`,
      device: textAt(route, 'dev'),
    };
  });
}

/** The one spelling of an address with prefix length that texts are compared by. */
export function canonicalCidr(text: string): string | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? '';
  if (!ipaddr.isValid(address)) return undefined;
  const parsed = ipaddr.parse(address);
  const length = Number(match?.[2]);
  if (length > (parsed.kind() === 'ipv4' ? 32 : 128)) return undefined;
  const canonical =
    parsed.kind() === 'ipv4' ? parsed.toString() : (parsed as ipaddr.IPv6).toRFC5952String();
  return `${canonical}/${length}`;
}
