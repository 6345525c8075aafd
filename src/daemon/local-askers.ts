import type { NetworkId } from '../model/network.js';
import { canonicalAddress } from '../dns/name.js';
import { linkLocalOf } from '../netdev/name-server-address.js';
import { bareAddress } from '../workload/address-want.js';
import type { Attachment } from '../workload/model.js';

/**
 * Addresses that the targets of this host ask for names from, by network: their own and the link-local one of their MAC.
 * Where one was attached without addresses it has some of its own choice, which may be any.
 */
export class LocalAskers {
  readonly #addresses = new Map<NetworkId, Set<string>>();
  readonly #open = new Set<NetworkId>();

  constructor(attached: readonly Attachment[], idOf: (network: string) => NetworkId) {
    for (const { network, mac, addresses } of attached) {
      const id = idOf(network);
      const known = this.#addresses.get(id) ?? new Set();
      this.#addresses.set(id, known);
      const all = mac === undefined ? addresses : [...addresses, linkLocalOf(mac)];
      for (const text of all) known.add(canonicalAddress(bareAddress(text)) ?? text);
      if (addresses.length === 0) this.#open.add(id);
    }
  }

  /** `client`: a bare address, as the kernel writes it. */
  has(network: NetworkId, client: string): boolean {
    return this.#open.has(network) || this.#addresses.get(network)?.has(client) === true;
  }
}
