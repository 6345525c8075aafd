import { OverlayError } from '../base/errors.js';
import { bareAddress, parseAddresses, parseWants, type AddressWant } from './address-want.js';
import type { AddressSource, AlarmClock, DeclaredStore, ExposureHost } from './ports.js';
import { nameOf } from './request.js';

/*
 * Addresses of the host itself on a network, beside the node's own (which this never touches): one change after the other,
 * each whole or not at all.
 *
 *   expose   asked for in the mesh ─ addresses ─ store ─ masquerade     (what fails is taken back)
 *   hide     addresses ─ store ─ masquerade ─ given back to the mesh
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
  /** The mesh's address management; asked for only when there is something to ask. @throws OVL_NOT_FOUND */
  readonly addresses: () => Pick<AddressSource, 'give' | 'claim' | 'release'>;
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
  /** What the host is called in the address management. */
  readonly #owner: string;
  #exposure = NOTHING;
  #queue: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #trouble: string | undefined;

  constructor(
    components: ExposureComponents,
    options: { readonly domain: string; readonly owner: string; readonly key?: string },
  ) {
    this.#components = components;
    this.#domain = options.domain;
    this.#owner = options.owner;
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

  /**
   * Without addresses one of the mesh's pool. `mayBe` refuses addresses.
   * @returns the addresses asked for, or given. @throws OverlayError, with nothing changed
   */
  expose(
    request: ExposeRequest,
    mayBe: (cidr: string) => void = () => undefined,
  ): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const before = this.#exposure;
      const name = request.name === undefined ? before.name : nameOf(request.name, this.#domain);
      const masquerade =
        request.masquerade ?? (before.addresses.length > 0 ? before.masquerade : true);
      const asked: string[] = [];
      try {
        for (const want of wantsOf(request.addresses)) asked.push(await this.#ask(want, mayBe));
        const addresses = [...new Set([...before.addresses, ...asked])];
        if (addresses.length > MAX_ADDRESSES) {
          throw new OverlayError('OVL_USAGE', `A host exposes at most ${MAX_ADDRESSES} addresses`, {
            cure: 'Hide some first.',
          });
        }
        await this.#change({ addresses, masquerade, name });
      } catch (error) {
        this.#giveBack(asked);
        throw error;
      }
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
      this.#giveBack(gone);
      return gone;
    });
  }

  async #ask(want: AddressWant, mayBe: (cidr: string) => void): Promise<string> {
    const source = this.#components.addresses();
    if (want.kind === 'any') return source.give(this.#owner, want.subnet);
    mayBe(want.cidr);
    this.#mustBeFree(want.cidr);
    await source.claim(this.#owner, want.cidr);
    return want.cidr;
  }

  /** What is not exposed any more, or came to nothing. */
  #giveBack(cidrs: readonly string[]): void {
    for (const cidr of cidrs) {
      if (this.#exposure.addresses.includes(cidr)) continue;
      this.#components.addresses().release(this.#owner, cidr);
    }
  }

  /**
   * An address is in the store before it is set, and until it is removed: what a crash leaves in between is set at the
   * next start, or comes back until it is hidden again. The reverse would leave addresses that nobody knows of.
   */
  async #change(next: Exposure): Promise<void> {
    const { host, onChange } = this.#components;
    const before = this.#exposure;
    const without = (from: Exposure, other: Exposure): string[] =>
      from.addresses.filter((cidr) => !other.addresses.includes(cidr));
    const isMore = without(next, before).length > 0;
    try {
      if (isMore) this.#write(next);
      await host.setAddresses(next.addresses, without(before, next));
      if (!isMore) this.#write(next);
    } catch (error) {
      await host.setAddresses(before.addresses, without(next, before)).catch(() => undefined);
      this.#writeBack(before);
      throw error;
    }
    this.#exposure = next;
    await this.#masquerade();
    onChange(next);
  }

  /** @throws OVL_STATE_DIR */
  #write(exposure: Exposure): void {
    const { store } = this.#components;
    store.writeDeclared(
      this.#key,
      exposure.addresses.length === 0 ? undefined : toStored(exposure),
    );
  }

  #writeBack(before: Exposure): void {
    try {
      this.#write(before);
    } catch {
      // Why is what the operator is told already.
    }
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

/** @throws OVL_ADDRESS_INVALID */
function wantsOf(texts: readonly string[]): readonly AddressWant[] {
  if (!texts.includes('none')) return parseWants(texts);
  throw new OverlayError('OVL_ADDRESS_INVALID', "'none' is no address of this host", {
    value: 'none',
    cure: 'Name an address, like 192.168.0.1/24, or none at all to be given one.',
  });
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
