import ipaddr from 'ipaddr.js';

import { MAX_UPSTREAMS } from './constants.js';

/*
 * resolv.conf(5): one keyword and its values a line, `#` and `;` begin a comment, of several `search` or `domain` lines
 * the last one counts. An IPv6 address may carry a scope: `fe80::1%eth0`.
 */

export interface ResolvConf {
  /** Addresses in the order in which they are to be asked. */
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** What cannot be understood is left out, as the C library does. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*[#;]/.test(line)) continue;
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver') {
      const address = parseServerAddress(values[0] ?? '');
      const isNew = address !== undefined && !nameservers.includes(address);
      if (isNew && nameservers.length < MAX_UPSTREAMS) nameservers.push(address);
    } else if (keyword === 'search' || keyword === 'domain') {
      search = values.map((name) => name.toLowerCase().replace(/(?<=.)\.$/, ''));
    } else if (keyword === 'options') {
      options.push(...values);
    }
  }
  return { nameservers, search, options };
}

/** The file for a namespace, with a final newline. Values are ours or were parsed: they hold no white space. */
export function renderResolvConf(conf: ResolvConf): string {
  const lines = conf.nameservers.map((address) => `nameserver ${address}`);
  if (conf.search.length > 0) lines.push(`search ${conf.search.join(' ')}`);
  if (conf.options.length > 0) lines.push(`options ${conf.options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

/** Canonical address of a server, scope kept. */
export function parseServerAddress(text: string): string | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  const [address = '', scope, ...rest] = text.split('%');
  if (!ipaddr.IPv6.isValid(address) || rest.length > 0 || scope === '') return undefined;
  const canonical = ipaddr.IPv6.parse(address).toRFC5952String();
  return scope === undefined ? canonical : `${canonical}%${scope}`;
}
