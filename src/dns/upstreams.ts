import { readFileSync, statSync } from 'node:fs';

import type { Clock } from '../base/clock.js';
import { DNS_PORT, RESOLV_CONF_CHECK_MS } from './constants.js';
import { parseResolvConf } from './resolv-conf.js';

/** A server that knows the names which are not ours. */
export interface Upstream {
  /** IPv4, or IPv6 with its scope if it has one. */
  readonly address: string;
  readonly port: number;
}

/**
 * The servers of the host's resolv.conf. It is looked at when somebody asks, at most once a second, so that nothing
 * runs while nobody asks; by its name and not by a watch, because it is often a link to a file that is replaced.
 */
export class ResolvConfUpstreams {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #isOwn: (address: string) => boolean;
  #checkAtMs = Number.NEGATIVE_INFINITY;
  #signature = '';
  #nameservers: readonly string[] = [];

  /** @param options.isOwn whether we ourselves answer on an address: asking there would go in circles */
  constructor(
    components: { readonly clock: Clock },
    options: { readonly path: string; readonly isOwn: (address: string) => boolean },
  ) {
    this.#clock = components.clock;
    this.#path = options.path;
    this.#isOwn = options.isOwn;
  }

  /** In the order of the file; none when it cannot be read. */
  current(): readonly Upstream[] {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + RESOLV_CONF_CHECK_MS;
      this.#check();
    }
    return this.#nameservers
      .filter((address) => !this.#isOwn(address))
      .map((address) => ({ address, port: DNS_PORT }));
  }

  #check(): void {
    try {
      const { ino, size, mtimeNs } = statSync(this.#path, { bigint: true });
      const signature = `${ino}/${size}/${mtimeNs}`;
      if (signature === this.#signature) return;
      this.#nameservers = parseResolvConf(readFileSync(this.#path, 'utf8')).nameservers;
      this.#signature = signature;
    } catch {
      this.#nameservers = [];
      this.#signature = '';
    }
  }
}
