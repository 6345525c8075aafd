import type { NetworkWatcher, Timers } from './ports.js';

export interface HostLookComponents {
  readonly timers: Timers;
  readonly network: NetworkWatcher;
  /** One at a time. Must not fail. */
  readonly look: () => Promise<void>;
  /** Until the next look, counted from the end of the one before. `isTold`: the kernel gives word of changes. */
  readonly delayMs: (isTold: boolean) => number;
  /** Links, addresses or routes of this host changed. */
  readonly onNews: () => void;
}

/** Looks at the host now and then, and hears from the kernel (rtnetlink) when a look is due earlier. */
export class HostLook {
  readonly #components: HostLookComponents;
  #cancel: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #work: Promise<void> | undefined;
  #isStopped = false;

  constructor(components: HostLookComponents) {
    this.#components = components;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    if (this.#isStopped) return;
    const { network, onNews } = this.#components;
    try {
      this.#unwatch = network.watch([], () => {
        if (!this.#isStopped) onNews();
      });
    } catch {
      // That there is no word is said where routes are followed (daemon.ts).
    }
    this.#arm();
  }

  /** Looks without waiting; nothing while a look is under way. */
  now(): void {
    if (this.#isStopped || this.#work !== undefined) return;
    this.#cancel?.();
    this.#work = this.#components.look().finally(() => {
      this.#work = undefined;
      this.#arm();
    });
  }

  /** Waits for what is under way; nothing begins after this. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unwatch?.();
    this.#cancel?.();
    await this.#work;
  }

  #arm(): void {
    if (this.#isStopped) return;
    const { timers, delayMs } = this.#components;
    this.#cancel = timers.set(delayMs(this.#unwatch !== undefined), () => {
      this.now();
    });
  }
}
