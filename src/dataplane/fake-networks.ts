import { OverlayError } from '../base/errors.js';
import type { Mac } from '../model/mac.js';
import {
  DEFAULT_NETWORK,
  MAX_NETWORK_ID,
  MAX_NETWORKS,
  type NetworkConfig,
  type PeerSlot,
} from './dataplane.js';

/** The networks of a fake data plane beside the default one: which are open, and who is in them. */
export class FakeNetworks {
  readonly #open = new Map<number, NetworkConfig>();
  readonly #members = new Map<number, readonly PeerSlot[]>();

  /** `defaultTap`: the name that is taken. @throws OverlayError OVL_TAP_OPEN */
  open(config: NetworkConfig, defaultTap: string): void {
    const { network, tapName } = config;
    const refuse = (why: string): never => {
      throw new OverlayError('OVL_TAP_OPEN', `Cannot open network ${network}: ${why}`, {
        cure: 'Report this: it is a bug.',
        value: tapName,
      });
    };
    if (network <= DEFAULT_NETWORK || network > MAX_NETWORK_ID) refuse('its id is out of range');
    if (this.#open.has(network)) refuse('it is open already');
    const taken = [defaultTap, ...[...this.#open.values()].map((other) => other.tapName)];
    if (taken.includes(tapName)) refuse(`${tapName} is the TAP of another network`);
    if (this.#open.size >= MAX_NETWORKS) refuse(`${MAX_NETWORKS} networks are open`);
    this.#open.set(network, config);
  }

  close(network: number): void {
    this.#open.delete(network);
  }

  closeAll(): void {
    this.#open.clear();
    this.#members.clear();
  }

  isOpen(network: number): boolean {
    return network === DEFAULT_NETWORK || this.#open.has(network);
  }

  ownMacsOf(network: number): readonly Mac[] {
    return this.#open.get(network)?.ownMacs ?? [];
  }

  setMembers(network: number, peers: readonly PeerSlot[]): void {
    this.#members.set(network, peers);
  }

  membersOf(network: number): readonly PeerSlot[] {
    return this.#members.get(network) ?? [];
  }
}
