import { OverlayError } from '../base/errors.js';
import type { AddressSource } from './ports.js';

/** Of a network without subnets: any address may be named, and none can be given. */
export class NoAddresses implements AddressSource {
  readonly #network: string;

  constructor(network: string) {
    this.#network = network;
  }

  /** @throws OVL_ADDRESS_UNAVAILABLE */
  give(_owner: string, subnet: string | undefined): Promise<string> {
    const message = `The network ${this.#network} has no subnet to give an address of`;
    return Promise.reject(
      new OverlayError('OVL_ADDRESS_UNAVAILABLE', message, {
        value: subnet ?? '',
        cure: "Name an address, like 10.1.2.3/24, or 'none'.",
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
