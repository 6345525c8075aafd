import type { NetworkWatcher, Timers } from './ports.js';

export interface HostLookComponents {
  readonly timers: Timers;
  readonly network: NetworkWatcher;
  /** One at a time. `hasNews`: links, addresses or routes of this host changed since the look before. Must not fail. */
  readonly look: (hasNews: boolean) => Promise<void>;
  /** Until the next look, counted from the end of the one before. `isTold`: the kernel gives word of changes. */
  readonly delayMs: (isTold: boolean) => number;
  /** A change is looked at when it is told, what is told during a look right behind it; else with the next look. */
  readonly isUrgent: boolean;
}

/** Looks at the host now and then, and hears from the kernel (rtnetlink) what changed meanwhile. */
export class HostLook {
  readonly #components: HostLookComponents;
  #cancel: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #work: Promise<void> | undefined;
  #hasNews = false;
  #isStopped = false;

  constructor(components: HostLookComponents) {
    this.#components = components;
  }

  start(): void {
    if (this.#isStopped) return;
    const { network, isUrgent } = this.#components;
    try {
      this.#unwatch = network.watch([], () => {
        this.#hasNews = true;
        if (isUrgent) this.#begin();
      });
    } catch {
      // That there is no word is said where routes are followed (daemon.ts).
    }
    this.#arm();
  }

  /** Waits for what is under way; nothing begins after this. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unwatch?.();
    this.#cancel?.();
    await this.#work;
  }

  #begin(): void {
    if (this.#isStopped || this.#work !== undefined) return;
    this.#cancel?.();
    this.#work = this.#look().finally(() => {
      this.#work = undefined;
      this.#arm();
    });
  }

  async #look(): Promise<void> {
    const { look, isUrgent } = this.#components;
    do await look(this.#takeNews());
    while (isUrgent && this.#hasNews && !this.#isStopped);
  }

  #takeNews(): boolean {
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    return hasNews;
  }

  #arm(): void {
    if (this.#isStopped) return;
    const { timers, delayMs } = this.#components;
    this.#cancel = timers.set(delayMs(this.#unwatch !== undefined), () => {
      this.#begin();
    });
  }
}
