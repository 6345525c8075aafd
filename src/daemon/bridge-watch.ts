import type { Timers } from './ports.js';

/*
 * Somebody may delete the network's bridge while the daemon runs. The TAP stays, and so do the targets' interfaces, but
 * nothing joins them: the bridge is made again, then everything that lives on it.
 */

/** A look at one file: cheap enough to be done often. */
const LOOK_MS = 1000;

export interface BridgeWatchComponents {
  readonly timers: Timers;
  readonly isThere: () => boolean;
  /** Makes the bridge and all that is on it. May be repeated. */
  readonly restore: () => Promise<void>;
  readonly onRestored: () => void;
  /** Said once until it works again. */
  readonly onFailure: (error: unknown) => void;
}

export class BridgeWatch {
  readonly #components: BridgeWatchComponents;
  #cancel: (() => void) | undefined;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;
  #hasFailed = false;

  constructor(components: BridgeWatchComponents) {
    this.#components = components;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#components.timers.set(LOOK_MS, () => {
      this.#work = this.#look().finally(() => {
        this.start();
      });
    });
  }

  /** Waits for what is under way; nothing begins after this. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#work;
  }

  async #look(): Promise<void> {
    const { isThere, restore, onRestored, onFailure } = this.#components;
    if (isThere() && !this.#hasFailed) return;
    try {
      await restore();
      this.#hasFailed = false;
      onRestored();
    } catch (error) {
      if (!this.#hasFailed) onFailure(error);
      this.#hasFailed = true;
    }
  }
}
