import { existsSync, readFileSync } from 'node:fs';

import type { HostWarning } from '../daemon/ports.js';
import { parseCidr } from '../model/cidr.js';
import { CAP_NET_RAW, ownCapability } from './capabilities.js';
import type { RouteInfo } from './ip-json.js';
import { readRoutes } from './ip-json.js';
import { deviceOf, foreignRoutes, overlappingRoute } from './pool-overlap.js';
import { findTool, runTool } from './run.js';
import { disableIpv6Of, readSysctl, reversePathFilter } from './sysctl.js';

/*
 * Things on this host that will hurt, each with its cure. Nothing here changes anything, and a tool that is missing
 * or fails leaves its warning out: a doubt is no warning.
 */

export interface WarningQuestions {
  readonly ifName: string;
  /** Address pool, cidr text. */
  readonly pool: string;
  /** Whether ARP probing works on this host. */
  readonly canProbe: boolean;
}

export async function findHostWarnings(ask: WarningQuestions): Promise<readonly HostWarning[]> {
  const routes = await readRoutes(4).catch(() => []);
  const found = [
    await bridgeFilterWarning(ask.ifName),
    poolOverlapWarning(ask.pool, await foreignRoutes(4)),
    reversePathWarning(ask.ifName, routes),
    probeWarning(ask.canProbe),
    nftWarning(findTool('nft') !== undefined),
    ipv6Warning(ask.ifName, readSysctl(disableIpv6Of(ask.ifName))),
  ];
  return found.filter((warning) => warning !== undefined);
}

export function nftWarning(hasNft: boolean): HostWarning | undefined {
  if (hasNft) return undefined;
  return {
    code: 'no-nftables',
    message:
      'The tool nft is missing: targets attached here are not guarded against each other, and exposed addresses are not masqueraded',
    cure: 'apt-get install nftables',
  };
}

/** br_netfilter hands bridged packets to the host's FORWARD chain; with a dropping policy attachments are cut off. */
async function bridgeFilterWarning(ifName: string): Promise<HostWarning | undefined> {
  if (readSysctl('net/bridge/bridge-nf-call-iptables') !== '1') return undefined;
  const dropping = (await droppingNftChain(ifName)) ?? (await droppingLegacyChain(ifName));
  if (dropping === undefined) return undefined;
  return {
    code: 'bridge-filter',
    message: `Bridged packets pass the host's firewall (net.bridge.bridge-nf-call-iptables=1) and ${dropping} drops them by policy`,
    cure: `sysctl -w net.bridge.bridge-nf-call-iptables=0, or allow them: iptables -I FORWARD -i ${ifName} -o ${ifName} -j ACCEPT`,
  };
}

async function droppingNftChain(ifName: string): Promise<string | undefined> {
  if (findTool('nft') === undefined) return undefined;
  const outcome = await runTool('nft', ['-j', 'list', 'ruleset']).catch(() => undefined);
  if (outcome === undefined || outcome.exitCode !== 0) return undefined;
  return droppingForwardChain(outcome.stdout, ifName);
}

/**
 * The base chain, as text, that drops forwarded packets by policy and has no rule accepting those of `ifName`.
 * Families ip and inet: those that br_netfilter calls for IPv4.
 */
export function droppingForwardChain(rulesetJson: string, ifName: string): string | undefined {
  const ruleset = JSON.parse(rulesetJson) as { nftables?: readonly NftObject[] };
  const objects = ruleset.nftables ?? [];
  const chains = objects
    .flatMap((object) => object.chain ?? [])
    .filter((chain) => chain.hook === 'forward' && chain.policy === 'drop')
    .filter((chain) => chain.family === 'ip' || chain.family === 'inet');
  const rules = objects.flatMap((object) => object.rule ?? []);
  const dropping = chains.find(
    (chain) =>
      !rules.some(
        (rule) =>
          rule.family === chain.family &&
          rule.table === chain.table &&
          rule.chain === chain.name &&
          acceptsInterface(rule.expr ?? [], ifName),
      ),
  );
  if (dropping === undefined) return undefined;
  return `chain ${dropping.family} ${dropping.table} ${dropping.name}`;
}

interface NftObject {
  readonly chain?: {
    readonly family: string;
    readonly table: string;
    readonly name: string;
    readonly hook?: string;
    readonly policy?: string;
  };
  readonly rule?: {
    readonly family: string;
    readonly table: string;
    readonly chain: string;
    readonly expr?: readonly Readonly<Record<string, unknown>>[];
  };
}

function acceptsInterface(
  expressions: readonly Readonly<Record<string, unknown>>[],
  ifName: string,
): boolean {
  const accepts = expressions.some((expression) => 'accept' in expression);
  return accepts && JSON.stringify(expressions).includes(`"right":"${ifName}"`);
}

/** The older iptables, whose tables nft does not show. Asked only when its table exists: asking creates it. */
async function droppingLegacyChain(ifName: string): Promise<string | undefined> {
  const names = '/proc/net/ip_tables_names';
  try {
    if (!existsSync(names) || !readFileSync(names, 'utf8').split('\n').includes('filter'))
      return undefined;
  } catch {
    return undefined;
  }
  if (findTool('iptables-legacy') === undefined) return undefined;
  const outcome = await runTool('iptables-legacy', ['-w', '2', '-S', 'FORWARD']).catch(
    () => undefined,
  );
  return outcome?.exitCode === 0 ? droppingLegacyPolicy(outcome.stdout, ifName) : undefined;
}

export function droppingLegacyPolicy(rules: string, ifName: string): string | undefined {
  const lines = rules.split('\n');
  if (!lines.includes('-P FORWARD DROP')) return undefined;
  const isAllowed = lines.some(
    (line) => line.includes(`-i ${ifName} `) && line.endsWith('-j ACCEPT'),
  );
  return isAllowed ? undefined : 'chain FORWARD (iptables-legacy)';
}

/**
 * A route of this host that overlaps the pool: hosts there, or targets in the pool, become unreachable. A node that is
 * new to the pool is refused instead.
 */
export function poolOverlapWarning(
  pool: string,
  routes: readonly RouteInfo[],
): HostWarning | undefined {
  const range = parseCidr(pool);
  const clash = range && overlappingRoute(range, routes);
  if (!clash) return undefined;
  return {
    code: 'pool-overlap',
    message: `The address pool ${pool} overlaps the route ${clash.destination} of this host${deviceOf(clash)}`,
    cure: 'Remove the route, or choose another pool on all nodes: --ipalloc-range <cidr>',
  };
}

/** Strict reverse-path filtering with two uplinks: what comes in by the other one than the route back is dropped. */
export function reversePathWarning(
  ifName: string,
  routes: readonly RouteInfo[],
  readFilter?: (device: string) => string | undefined,
): HostWarning | undefined {
  const defaults = routes.filter(
    (route) => route.destination === '0.0.0.0/0' && route.device !== ifName,
  );
  const uplinks = [...new Set(defaults.map((route) => route.device))].filter(
    (device) => device !== '',
  );
  if (uplinks.length < 2) return undefined;
  const strict = uplinks.find((device) => reversePathFilter(device, readFilter) === 1);
  if (strict === undefined) return undefined;
  return {
    code: 'reverse-path-filter',
    message: `This host has several uplinks (${uplinks.join(', ')}) and ${strict} filters by strict reverse path: datagrams of peers may be dropped`,
    cure: `sysctl -w net.ipv4.conf.${strict.replaceAll('.', '/')}.rp_filter=2`,
  };
}

function probeWarning(canProbe: boolean): HostWarning | undefined {
  if (canProbe && ownCapability(CAP_NET_RAW)) return undefined;
  return {
    code: 'no-address-probe',
    message: canProbe
      ? 'An address clash cannot be looked for by ARP: CAP_NET_RAW is missing'
      : 'An address clash cannot be looked for by ARP: arping is not installed',
    cure: canProbe ? 'Add CAP_NET_RAW to the service' : 'apt-get install iputils-arping',
  };
}

function ipv6Warning(ifName: string, disabled: string | undefined): HostWarning | undefined {
  if (disabled === '0') return undefined;
  return {
    code: 'ipv6-off',
    message: `IPv6 is switched off on ${ifName}: this node has no IPv6 address on the overlay`,
    cure:
      disabled === undefined
        ? 'Start the kernel without ipv6.disable=1'
        : `sysctl -w net.ipv6.conf.default.disable_ipv6=0 and restart overlayd`,
  };
}
