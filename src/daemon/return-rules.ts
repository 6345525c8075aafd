import type { NetworkId } from '../model/network.js';

/*
 * Rules that let guests of any subnet ask a network's name server where the reverse-path filter is on
 * (netdev/name-server-address.ts). Somebody may switch that on or off while the daemon runs: it is compared whenever the
 * host is looked at (bridge-watch.ts).
 */

export interface ReturnRulesComponents {
  /** Whether the filter is on for a bridge; undefined: it is not there. */
  readonly isFiltered: (bridge: string) => boolean | undefined;
  /** Safe to repeat. @throws OVL_IFACE_CONFIG */
  readonly set: (bridge: string, network: NetworkId, isOn: boolean) => Promise<void>;
  /** Said once until it works again. */
  readonly warn: (message: string) => void;
}

interface Place {
  readonly bridge: string;
  /** As it is set. */
  isOn: boolean;
  isTroubled: boolean;
}

export class ReturnRules {
  readonly #components: ReturnRulesComponents;
  readonly #places = new Map<NetworkId, Place>();

  constructor(components: ReturnRulesComponents) {
    this.#components = components;
  }

  /** The name server of a network is there, with its rule or without. */
  open(network: NetworkId, bridge: string, isOn: boolean): void {
    this.#places.set(network, { bridge, isOn, isTroubled: false });
  }

  /** It goes: whoever takes its address away takes the rule too. */
  close(network: NetworkId): void {
    this.#places.delete(network);
  }

  /** Adds and removes what became wrong. Does not fail. */
  async follow(): Promise<void> {
    for (const [network, place] of [...this.#places]) await this.#follow(network, place);
  }

  async #follow(network: NetworkId, place: Place): Promise<void> {
    const { isFiltered, set, warn } = this.#components;
    const { bridge } = place;
    const isOn = isFiltered(bridge) ?? place.isOn;
    if (isOn === place.isOn || this.#places.get(network) !== place) return;
    try {
      await set(bridge, network, isOn);
      place.isOn = isOn;
      place.isTroubled = false;
      // Closed meanwhile: nobody else takes this one away.
      if (isOn && !this.#places.has(network)) await set(bridge, network, false);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!place.isTroubled) {
        warn(
          `Names are not answered to every subnet of ${bridge}, which filters by source: ${reason}`,
        );
      }
      place.isTroubled = true;
    }
  }
}
