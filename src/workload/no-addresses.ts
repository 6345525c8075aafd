import { OverlayError } from '../base/errors.js';
import type { AddressSource } from './ports.js';

/** Of a network without pools: any address may be named, and none can be given. */
export class NoAddresses implements AddressSource {
  readonly #network: string;

  constructor(network: string) {
    this.#network = network;
  }

  /** @throws OVL_ADDRESS_UNAVAILABLE */
  give(_owner: string, subnet: string | undefined): Promise<string> {
    const message = `The network ${this.#network} has no pool to give an address of`;
    return Promise.reject(
      new OverlayError('OVL_ADDRESS_UNAVAILABLE', message, {
        value: subnet ?? '',
        cure: `Name an address, like 10.1.2.3/24, or 'none'; or add a pool: overlayctl ipam pool add --network ${this.#network} <cidr>.`,
      }),
    );
  }

  async claim(): Promise<void> {
    // Nobody's business.
  }

  release(): void {
    // Nobody had it.
  }

  keep(): void {
    // Nobody had anything.
  }
}
