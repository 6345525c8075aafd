import { lookup } from 'node:dns/promises';

import ipaddr from 'ipaddr.js';

import type { Resolver } from '../daemon/ports.js';

/*
 * Names to addresses by the system's resolver, so that /etc/hosts and nsswitch count. It blocks one of libuv's four
 * threads for as long as a dead DNS server makes it wait; two at most are used, for the state store needs one, too.
 */

const RESOLVE_TIMEOUT_MS = 3000;
const MAX_RUNNING = 2;
const MAX_ADDRESSES = 16;

type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

export function createResolver(lookupAll: Lookup = systemLookup): Resolver {
  return new SystemResolver(lookupAll);
}

function systemLookup(host: string): Promise<readonly { readonly address: string }[]> {
  return lookup(host, { all: true, verbatim: true });
}

class SystemResolver implements Resolver {
  readonly #lookupAll: Lookup;
  /** Asked and not answered yet, by host: running or in line. */
  readonly #asked = new Map<string, Promise<readonly string[]>>();
  readonly #line: (() => void)[] = [];
  #running = 0;

  constructor(lookupAll: Lookup) {
    this.#lookupAll = lookupAll;
  }

  async resolve(host: string): Promise<readonly string[]> {
    if (isLiteral(host)) return [host];
    const asked = this.#asked.get(host) ?? this.#ask(host);
    const timeout = AbortSignal.timeout(RESOLVE_TIMEOUT_MS);
    return Promise.race([
      asked,
      new Promise<readonly string[]>((resolve) => {
        timeout.addEventListener('abort', () => resolve([]), { once: true });
      }),
    ]);
  }

  /** Goes on after our time-out: its answer serves whoever asks for the host while it runs. */
  #ask(host: string): Promise<readonly string[]> {
    const asked = this.#lookUpInTurn(host).finally(() => this.#asked.delete(host));
    this.#asked.set(host, asked);
    return asked;
  }

  async #lookUpInTurn(host: string): Promise<readonly string[]> {
    while (this.#running >= MAX_RUNNING) {
      await new Promise<void>((resolve) => this.#line.push(resolve));
    }
    this.#running += 1;
    try {
      const found = await this.#lookupAll(host);
      return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
    } catch {
      return [];
    } finally {
      this.#running -= 1;
      this.#line.shift()?.();
    }
  }
}

function isLiteral(host: string): boolean {
  return host.includes(':') ? ipaddr.IPv6.isValid(host) : ipaddr.IPv4.isValidFourPartDecimal(host);
}
