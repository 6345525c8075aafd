import type { Exposures, ExposeRequest, Exposure } from './exposures.js';
import { DEFAULT_NETWORK } from './model.js';
import type { DeclaredStore, NetworkHost } from './ports.js';
import { mustBeOn } from './request.js';

/*
 * Addresses of the host itself, by network: on one beside the default one its bridge comes with the first and goes with
 * the last that is there, exposed or attached (daemon/network-bridges.ts).
 */

/** Keys of the state store: this and the network's name. */
export const EXPOSE_KEY = 'expose/';

export interface NetworkExposuresComponents {
  readonly make: (network: string) => Exposures;
  readonly networks: NetworkHost;
  readonly store: DeclaredStore;
  readonly warn: (message: string, about: { readonly err?: unknown }) => void;
}

export class NetworkExposures {
  readonly #components: NetworkExposuresComponents;
  readonly #exposures = new Map<string, Exposures>();

  constructor(components: NetworkExposuresComponents) {
    this.#components = components;
    this.#of(DEFAULT_NETWORK);
    for (const [key] of components.store.declared(EXPOSE_KEY)) {
      this.#of(key.slice(EXPOSE_KEY.length));
    }
  }

  /** What is exposed on a network. */
  on(network: string): Exposure {
    return this.#of(network).exposure;
  }

  /** Cidr texts; of any network, whether or not something was ever exposed there. */
  addressesOn(network: string): readonly string[] {
    return this.#exposures.get(network)?.exposure.addresses ?? [];
  }

  /** Networks that something is exposed on. */
  get used(): readonly string[] {
    return [...this.#exposures].flatMap(([network, { exposure }]) =>
      exposure.addresses.length > 0 ? [network] : [],
    );
  }

  /** The default network's bridge is up. What cannot be exposed elsewhere is said. */
  async start(): Promise<void> {
    for (const [network, exposures] of this.#exposures) {
      try {
        if (exposures.exposure.addresses.length > 0) {
          await this.#components.networks.bring(network);
        }
      } catch (err) {
        this.#components.warn(`Nothing can be exposed on the network ${network}`, { err });
      }
      await exposures.start();
    }
  }

  async stop(): Promise<void> {
    for (const exposures of this.#exposures.values()) await exposures.stop();
  }

  /** Bridges were made anew. */
  async restore(): Promise<void> {
    for (const exposures of this.#exposures.values()) await exposures.restore();
  }

  /** For `reset`, after `stop`. */
  async removeRules(): Promise<void> {
    for (const exposures of this.#exposures.values()) await exposures.removeRules();
  }

  /** @returns the addresses asked for. @throws OverlayError, with nothing changed */
  async expose(
    request: ExposeRequest & { readonly network?: string | undefined },
  ): Promise<readonly string[]> {
    const { networks } = this.#components;
    const network = networks.find(request.network ?? DEFAULT_NETWORK);
    const isNew = !this.#exposures.has(network.name);
    const exposures = this.#of(network.name);
    await networks.bring(network.name);
    try {
      if (isNew) await exposures.start();
      return await exposures.expose(request, (cidr) => mustBeOn(network, cidr));
    } finally {
      if (exposures.exposure.addresses.length === 0) await this.#leave(network.name);
    }
  }

  /** No addresses: all. @returns those that went */
  async hide(addresses: readonly string[], name = DEFAULT_NETWORK): Promise<readonly string[]> {
    const exposures = this.#exposures.get(name);
    if (exposures === undefined) return [];
    const gone = await exposures.hide(addresses);
    if (exposures.exposure.addresses.length === 0) await this.#leave(name);
    return gone;
  }

  async #leave(network: string): Promise<void> {
    await this.#components.networks.leave(network).catch((err: unknown) => {
      this.#components.warn(`What the network ${network} left cannot be removed`, { err });
    });
  }

  #of(network: string): Exposures {
    const held = this.#exposures.get(network);
    if (held !== undefined) return held;
    const made = this.#components.make(network);
    this.#exposures.set(network, made);
    return made;
  }
}
