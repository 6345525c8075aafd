import { OverlayError } from '../base/errors.js';
import { bareAddress, parseAddresses } from './address-want.js';
import type { AlarmClock, DeclaredStore, ExposureHost } from './ports.js';
import { nameOf } from './request.js';

/*
 * Addresses of the host itself on a network, beside the node's own (which this never touches): one change after the other,
 * each whole or not at all.
 *
 *   expose   addresses ─ masquerade ─ store     (what fails is taken back)
 *   hide     store ─ addresses ─ masquerade
 *   start, and every few seconds: all of it again, for what others removed
 *
 * Without nftables an address is exposed all the same, and that nothing is masqueraded is said.
 */

const LOOK_MS = 6000;
const MAX_ADDRESSES = 32;

/** What is exposed on a network. */
export interface Exposure {
  /** With length. */
  readonly addresses: readonly string[];
  readonly masquerade: boolean;
  /** Relative to the domain; undefined: none. */
  readonly name: string | undefined;
}

export interface ExposeRequest {
  readonly addresses: readonly string[];
  readonly masquerade?: boolean | undefined;
  readonly name?: string | undefined;
}

export interface ExposureComponents {
  readonly host: ExposureHost;
  readonly store: DeclaredStore;
  readonly alarm: AlarmClock;
  /** Who has a bare address on this host: a target, or the node itself. */
  readonly holderOf: (address: string) => string | undefined;
  readonly onChange: (exposure: Exposure) => void;
  /** Said once per change. */
  readonly warn: (message: string, about: { readonly err?: unknown }) => void;
}

const NOTHING: Exposure = { addresses: [], masquerade: true, name: undefined };

export class Exposures {
  readonly #components: ExposureComponents;
  readonly #domain: string;
  /** In the state store. */
  readonly #key: string;
  #exposure = NOTHING;
  #queue: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #trouble: string | undefined;

  constructor(
    components: ExposureComponents,
    options: { readonly domain: string; readonly key?: string },
  ) {
    this.#components = components;
    this.#domain = options.domain;
    this.#key = options.key ?? 'expose/default';
    for (const [key, value] of components.store.declared(this.#key)) {
      if (key === this.#key) this.#exposure = fromStored(value) ?? NOTHING;
    }
  }

  get exposure(): Exposure {
    return this.#exposure;
  }

  /** The bridge is up. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#settle();
      this.#components.onChange(this.#exposure);
      this.#arm();
    });
  }

  /** The bridge was made anew. */
  restore(): Promise<void> {
    return this.#inTurn(() => this.#settle());
  }

  /** Addresses stay as long as the bridge does. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#queue;
  }

  /** For `reset`, after `stop`. */
  async removeRules(): Promise<void> {
    await this.#components.host.setMasquerade(false);
  }

  /** `mayBe` refuses addresses. @returns the addresses asked for. @throws OverlayError, with nothing changed */
  expose(
    request: ExposeRequest,
    mayBe: (cidr: string) => void = () => undefined,
  ): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const asked = parseAddresses(request.addresses);
      for (const cidr of asked) {
        mayBe(cidr);
        this.#mustBeFree(cidr);
      }
      const before = this.#exposure;
      const addresses = [...new Set([...before.addresses, ...asked])];
      if (addresses.length > MAX_ADDRESSES) {
        throw new OverlayError('OVL_USAGE', `A host exposes at most ${MAX_ADDRESSES} addresses`, {
          cure: 'Hide some first.',
        });
      }
      const name = request.name === undefined ? before.name : nameOf(request.name, this.#domain);
      const masquerade =
        request.masquerade ?? (before.addresses.length > 0 ? before.masquerade : true);
      await this.#change({ addresses, masquerade, name });
      return asked;
    });
  }

  /** No addresses: all. @returns those that went. @throws OVL_ADDRESS_INVALID, OVL_IFACE_CONFIG, OVL_STATE_DIR */
  hide(texts: readonly string[]): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const before = this.#exposure;
      const asked = texts.length === 0 ? before.addresses : parseAddresses(texts);
      const gone = before.addresses.filter((cidr) => asked.includes(cidr));
      const addresses = before.addresses.filter((cidr) => !gone.includes(cidr));
      if (gone.length === 0) return [];
      await this.#change(addresses.length === 0 ? NOTHING : { ...before, addresses });
      return gone;
    });
  }

  async #change(next: Exposure): Promise<void> {
    const { host, store, onChange } = this.#components;
    const before = this.#exposure;
    const without = (from: Exposure, other: Exposure): string[] =>
      from.addresses.filter((cidr) => !other.addresses.includes(cidr));
    try {
      await host.setAddresses(next.addresses, without(before, next));
      store.writeDeclared(this.#key, next.addresses.length === 0 ? undefined : toStored(next));
    } catch (error) {
      await host.setAddresses(before.addresses, without(next, before)).catch(() => undefined);
      throw error;
    }
    this.#exposure = next;
    await this.#masquerade();
    onChange(next);
  }

  async #settle(): Promise<void> {
    const { host, warn } = this.#components;
    try {
      if (this.#exposure.addresses.length > 0) {
        await host.setAddresses(this.#exposure.addresses, []);
      }
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      if (reason !== this.#trouble) warn(`Exposed addresses cannot be set: ${reason}`, { err });
      this.#trouble = reason;
      return;
    }
    await this.#masquerade();
  }

  async #masquerade(): Promise<void> {
    const { host, warn } = this.#components;
    const { addresses, masquerade } = this.#exposure;
    const isOn = masquerade && addresses.length > 0;
    try {
      await host.setMasquerade(isOn);
      if (isOn) await host.checkMasquerade();
      this.#trouble = undefined;
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      if (reason !== this.#trouble) {
        warn(`Exposed addresses are not masqueraded: ${reason}`, { err });
      }
      this.#trouble = reason;
    }
  }

  #arm(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#components.alarm.set(LOOK_MS, () => {
      void this.#inTurn(async () => {
        if (this.#exposure.addresses.length > 0) await this.#settle();
        this.#arm();
      });
    });
  }

  #mustBeFree(cidr: string): void {
    const holder = this.#components.holderOf(bareAddress(cidr));
    if (holder === undefined) return;
    throw new OverlayError('OVL_ADDRESS_IN_USE', `${cidr} is the address of ${holder}`, {
      value: cidr,
      cure: 'Choose another one.',
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}

function toStored({ addresses, masquerade, name }: Exposure): object {
  return { addresses, masquerade, name: name ?? null };
}

function fromStored(value: unknown): Exposure | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { addresses, masquerade, name } = value as Readonly<Record<string, unknown>>;
  if (!Array.isArray(addresses) || !addresses.every((text) => typeof text === 'string')) {
    return undefined;
  }
  return {
    addresses: addresses,
    masquerade: masquerade !== false,
    name: typeof name === 'string' ? name : undefined,
  };
}
