import { createHash } from 'node:crypto';

import { OverlayError } from '../base/errors.js';
import type { HostWarning } from '../daemon/ports.js';
import {
  cidrAround,
  cidrContains,
  cidrsOverlap,
  formatCidr,
  lastOfCidr,
  parseCidr,
  sizeOfCidr,
  type Cidr,
} from '../model/cidr.js';
import { readLinkAliases, readRoutes, type RouteInfo } from './ip-json.js';
import { parseMark } from './ownership.js';

/*
 * A pool of addresses and the routes of this host must not overlap: the more specific of the two would take the
 * other's traffic. Whoever is refused a range is told one that is free here.
 *
 * Not in the way are routes of bridges that carry our mark (several meshes may share a machine), and those that stand
 * in for the default route, like the halves 0.0.0.0/1 and 128.0.0.0/1 of a VPN: shorter than any network there is.
 */

/** A route shorter than this leads to "everywhere", not to a network. */
const CATCH_ALL_BITS = 8;

const PRIVATE_RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];
/** The smallest range that is worth a suggestion. */
const SMALLEST_BITS = 24;
/** Of an IPv6 network of one's own (RFC 4193). */
const UNIQUE_LOCAL_BITS = 48;

/**
 * Refuses a range that a route of this host overlaps. A host whose routes cannot be read refuses none.
 * @param others Ranges that a suggestion must leave out, too.
 * @throws OVL_POOL_OVERLAP naming the route and a free range
 */
export async function refuseOverlap(
  range: string,
  others: readonly string[],
  cureOf: (free: string) => string,
): Promise<void> {
  const clash = await findOverlap(range, others);
  if (!clash) return;
  const { route, free } = clash;
  throw new OverlayError(
    'OVL_POOL_OVERLAP',
    `The address pool ${range} overlaps the route ${route.destination} of this host${deviceOf(route)}`,
    {
      value: range,
      cure: free === undefined ? 'Choose a range that no host has a route to.' : cureOf(free),
    },
  );
}

/**
 * Pools that the mesh has and routes of this host overlap. They are in use by then, here or elsewhere: nothing is
 * refused, and who reads it may choose which of the two gives way.
 */
export async function overlapWarnings(pools: readonly string[]): Promise<readonly HostWarning[]> {
  const warnings: HostWarning[] = [];
  for (const range of pools) {
    const clash = await findOverlap(range, pools);
    if (!clash) continue;
    const { route, free = '<range>' } = clash;
    warnings.push({
      code: 'pool-overlap',
      message: `The address pool ${range} of the mesh overlaps the route ${route.destination} of this host${deviceOf(route)}: this host reaches those addresses there, not in the overlay`,
      cure: `Remove the route, or give the mesh another pool (overlayctl ipam pool add ${free}; free here) and end this one when nothing uses it: overlayctl ipam pool remove ${range}`,
    });
  }
  return warnings;
}

/** The most specific route of this host that overlaps a range, and a range that none does. */
async function findOverlap(
  range: string,
  others: readonly string[],
): Promise<{ readonly route: RouteInfo; readonly free: string | undefined } | undefined> {
  const cidr = parseCidr(range);
  if (!cidr) return undefined;
  const routes = await foreignRoutes(cidr.family);
  const route = overlappingRoute(cidr, routes);
  if (!route) return undefined;
  const taken = [...routes.map(({ destination }) => destination), ...others, range].flatMap(
    (text) => parseCidr(text, 'cut') ?? [],
  );
  const free = freeRange(cidr, taken);
  return { route, free: free && formatCidr(free) };
}

/** Routes of this host that are no bridge's of ours. */
export async function foreignRoutes(family: 4 | 6): Promise<readonly RouteInfo[]> {
  const routes = await readRoutes(family).catch(() => []);
  if (routes.length === 0) return [];
  const links = await readLinkAliases().catch(() => []);
  const own = new Set(
    links.filter(({ alias }) => parseMark(alias) !== undefined).map(({ name }) => name),
  );
  return routes.filter(({ device }) => !own.has(device));
}

/** The most specific route that overlaps a range. */
export function overlappingRoute(range: Cidr, routes: readonly RouteInfo[]): RouteInfo | undefined {
  return routes
    .flatMap((route) => {
      const cidr = parseCidr(route.destination, 'cut');
      return cidr && cidr.bits >= CATCH_ALL_BITS && cidrsOverlap(cidr, range)
        ? [{ route, bits: cidr.bits }]
        : [];
    })
    .sort((a, b) => b.bits - a.bits)[0]?.route;
}

/** `(on eth0)`, if the route has a device. */
export function deviceOf({ device }: RouteInfo): string {
  return device === '' ? '' : ` (on ${device})`;
}

/**
 * A private range that overlaps nothing taken: as large as the one that was wanted and close behind it if possible,
 * else smaller.
 */
export function freeRange(wanted: Cidr, taken: readonly Cidr[]): Cidr | undefined {
  const walls = taken.filter(
    ({ family, bits }) => family === wanted.family && bits >= CATCH_ALL_BITS,
  );
  if (wanted.family === 6) return freeUniqueLocal(wanted, walls);
  const spaces = PRIVATE_RANGES.flatMap((text) => parseCidr(text) ?? []);
  for (let { bits } = wanted; bits <= SMALLEST_BITS; bits++) {
    for (const space of spaces.filter((each) => each.bits <= bits)) {
      const found = freeIn(space, bits, wanted, walls);
      if (found) return found;
    }
  }
  return undefined;
}

/** From the wanted range on, if that lies in the space; then from the beginning. */
function freeIn(space: Cidr, bits: number, wanted: Cidr, walls: readonly Cidr[]): Cidr | undefined {
  const near = walls.filter((wall) => cidrsOverlap(wall, space));
  if (near.some((wall) => cidrContains(wall, space))) return undefined;
  const isAround = cidrContains(space, wanted);
  const starts = isAround ? [wanted.first, space.first] : [space.first];
  for (const start of starts) {
    let at = cidrAround({ family: space.family, value: start }, bits);
    while (at.first <= lastOfCidr(space)) {
      const wall = near.find((other) => cidrsOverlap(other, at));
      if (!wall) return at;
      const next = (lastOfCidr(wall) > lastOfCidr(at) ? lastOfCidr(wall) : lastOfCidr(at)) + 1n;
      if (next + sizeOfCidr(at) - 1n > lastOfCidr(space)) break;
      at = cidrAround({ family: space.family, value: next }, bits);
    }
  }
  return undefined;
}

function freeUniqueLocal(wanted: Cidr, walls: readonly Cidr[]): Cidr | undefined {
  const bits = Math.max(wanted.bits, UNIQUE_LOCAL_BITS);
  for (let attempt = 0; attempt < 8; attempt++) {
    const draw = createHash('sha256')
      .update(`${formatCidr(wanted)} ${attempt}`)
      .digest();
    const id = draw.subarray(0, 5).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0xfdn);
    const found = cidrAround({ family: 6, value: id << 80n }, bits);
    if (!walls.some((wall) => cidrsOverlap(wall, found))) return found;
  }
  return undefined;
}
