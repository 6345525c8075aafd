import { OverlayError } from '../base/errors.js';
import { DEFAULT_NETWORK } from '../crypto/mesh.js';
import type { NetworkDefinition, NetworkId } from '../model/network.js';
import { DEFAULT_NETWORK_ID } from '../model/network.js';
import type { Mac } from '../model/mac.js';
import type { NetworkHost, NetworkView } from '../workload/ports.js';
import { tapNameOf } from '../netdev/host-interface.js';
import type { WatchedBridge } from './bridge-watch.js';
import type { HostInterface } from './ports.js';

/*
 * The networks of this host beside the default one. Each has a bridge and a TAP of its own, from the first thing that is
 * put on it to the last:
 *
 *   bring   preflight ─ isolation ─ data plane (TAP) ─ bridge ─ name server     (what fails is taken back, in reverse)
 *   leave   name server ─ bridge ─ data plane ─ isolation
 *
 * One after the other, so that what leaves and what comes at once do not meet half-way.
 */

/** Each costs a TAP, two interfaces and a name server. */
const MAX_BRIDGES = 63;

export interface NetworkBridgesComponents {
  /** Of all networks of the mesh. */
  readonly names: () => readonly string[];
  /** @throws OVL_NOT_FOUND */
  readonly find: (name: string) => NetworkDefinition;
  readonly idOf: (name: string) => NetworkId;
  readonly bridgeOf: (id: NetworkId) => string;
  /** Ranges that addresses of a network come from, cidr texts. */
  readonly poolsOf: (id: NetworkId) => readonly string[];
  readonly makeHost: (network: NetworkDefinition, bridge: string) => HostInterface;
  /** In the data plane and the mesh. */
  readonly open: (network: NetworkDefinition, bridge: string) => void;
  readonly close: (id: NetworkId) => void;
  readonly openNames: (network: NetworkDefinition, bridge: string) => Promise<void>;
  readonly closeNames: (id: NetworkId) => Promise<void>;
  /** Keeps these bridges apart from all else of this host; what cannot be is said. */
  readonly isolate: (bridges: readonly string[]) => Promise<void>;
  /** Something is attached or exposed there. */
  readonly isHeld: (name: string) => boolean;
  readonly mac: Mac;
  readonly hasInterface: (name: string) => boolean;
  /** The network's TAP was deleted: another one of that name takes its place. @throws OVL_TAP_OPEN */
  readonly reopen: (network: NetworkDefinition, bridge: string) => void;
  /** A bridge or a TAP was gone and was made again. */
  readonly onRestored: (device: string) => void;
}

interface Bridge {
  readonly id: NetworkId;
  readonly host: HostInterface;
  readonly network: NetworkDefinition;
}

/** The port of workload/ports.ts. */
export class NetworkBridges implements NetworkHost {
  readonly #components: NetworkBridgesComponents;
  /** By name. */
  readonly #up = new Map<string, Bridge>();
  /** Made again only in part. */
  readonly #broken = new Set<string>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(components: NetworkBridgesComponents) {
    this.#components = components;
  }

  get names(): readonly string[] {
    return this.#components.names();
  }

  find(name: string): NetworkView {
    const network = this.#components.find(name);
    const { id, mtuBytes } = network;
    const isOpen = id === DEFAULT_NETWORK_ID || network.subnets.length === 0;
    const pools = isOpen ? [] : this.#components.poolsOf(id);
    const subnets = isOpen ? [] : [...new Set([...network.subnets, ...pools])];
    return { id, name: network.name, bridge: this.#components.bridgeOf(id), mtuBytes, subnets };
  }

  bridgeOf(name: string): string {
    return this.#components.bridgeOf(this.#components.idOf(name));
  }

  /** Those that are there, beside the default network's. */
  get bridges(): readonly string[] {
    return [...this.#up.values()].map(({ id }) => this.#components.bridgeOf(id));
  }

  /** Whether its bridge is there. */
  isUp({ id, name }: NetworkDefinition): boolean {
    return id === DEFAULT_NETWORK_ID || this.#up.has(name);
  }

  isThere(name: string): boolean {
    const up = this.#up.get(name);
    if (up === undefined) return name === DEFAULT_NETWORK;
    const { bridgeOf, hasInterface } = this.#components;
    const bridge = bridgeOf(up.id);
    return !this.#broken.has(name) && hasInterface(bridge) && hasInterface(tapNameOf(bridge));
  }

  /** Those that are there, or shall be, beside the default network's. */
  get watched(): readonly WatchedBridge[] {
    return [...this.#up].map(([name, { id }]) => {
      const bridge = this.#components.bridgeOf(id);
      const restore = (): Promise<void> =>
        this.#inTurn(async () => {
          const up = this.#up.get(name);
          if (up !== undefined && !this.isThere(name)) await this.#restore(up);
        });
      return { name: bridge, devices: [bridge, tapNameOf(bridge)], restore };
    });
  }

  bring(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const up = this.#up.get(name);
      if (up !== undefined) {
        if (!this.isThere(name)) await this.#restore(up);
        return;
      }
      const network = this.#components.find(name);
      if (network.id === DEFAULT_NETWORK_ID) return;
      if (this.#up.size >= MAX_BRIDGES) {
        throw new OverlayError('OVL_USAGE', `This host is on ${MAX_BRIDGES} networks already`, {
          value: name,
          cure: 'Detach everything of one of them first (overlayctl network list).',
        });
      }
      await this.#bring(network);
    });
  }

  leave(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const bridge = this.#up.get(name);
      if (bridge === undefined || this.#components.isHeld(name)) return;
      this.#up.delete(name);
      this.#broken.delete(name);
      const { close, closeNames } = this.#components;
      await closeNames(bridge.id);
      try {
        await bridge.host.down();
      } finally {
        close(bridge.id);
        await this.#components.isolate(this.bridges);
      }
    });
  }

  /** Bridges stay as long as something is attached to them. */
  stop(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { host } of this.#up.values()) await host.down();
      this.#up.clear();
    });
  }

  /** Somebody deleted the bridge, so that what was attached hangs on nothing, or the TAP, or both. */
  async #restore({ id, host, network }: Bridge): Promise<void> {
    const { bridgeOf, openNames, closeNames, mac, onRestored, hasInterface } = this.#components;
    const bridge = bridgeOf(id);
    const tap = tapNameOf(bridge);
    const gone = [bridge, tap].filter((device) => !hasInterface(device));
    const hasNames = !gone.includes(bridge) && !this.#broken.has(network.name);
    this.#broken.add(network.name);
    if (gone.includes(tap)) this.#components.reopen(network, bridge);
    await host.up(mac);
    if (!hasNames) {
      await closeNames(id);
      await openNames(network, bridge);
    }
    this.#broken.delete(network.name);
    onRestored(gone.join(' and ') || bridge);
  }

  async #bring(network: NetworkDefinition): Promise<void> {
    const { bridgeOf, makeHost, open, close, openNames, closeNames, mac } = this.#components;
    const { id, name } = network;
    const bridge = bridgeOf(id);
    const host = makeHost(network, bridge);
    await host.preflight();
    await this.#components.isolate([...this.bridges, bridge]);
    open(network, bridge);
    try {
      await host.up(mac);
      await openNames(network, bridge);
    } catch (error) {
      await closeNames(id);
      await host.down().catch(() => undefined);
      close(id);
      await this.#components.isolate(this.bridges);
      throw error;
    }
    this.#up.set(name, { id, host, network });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}
