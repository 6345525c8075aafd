import { HostLook } from './host-look.js';
import type { HostWarning, NetworkWatcher, Timers } from './ports.js';

/*
 * Pools that this node learned from the mesh, or that a route of this host came to overlap while it runs. A node that is
 * new to a pool of its own configuration is refused at the start; here others live in the pool already, so it is said,
 * in `status` as long as it lasts, and nothing is refused.
 */

/** Looks that find the same pools and heard of no change of the host's network cost nothing. */
const LOOK_MS = 2000;

export interface PoolWatchComponents {
  readonly timers: Timers;
  readonly network: NetworkWatcher;
  /** Of the default network, cidr texts: others are none of the host's routes' business. */
  readonly pools: () => readonly string[];
  readonly overlaps: (pools: readonly string[]) => Promise<readonly HostWarning[]>;
  /** Once for each that was not there before. */
  readonly onWarning: (warning: HostWarning) => void;
}

export class PoolWatch {
  readonly #components: PoolWatchComponents;
  readonly #looking: HostLook;
  #warnings: readonly HostWarning[] = [];
  #seen = '';

  constructor(components: PoolWatchComponents) {
    this.#components = components;
    const { timers, network } = components;
    this.#looking = new HostLook({
      ...{ timers, network },
      look: (hasNews) => this.#look(hasNews).catch(() => undefined),
      delayMs: () => LOOK_MS,
      isUrgent: false,
    });
  }

  /** Those that stand now. */
  get warnings(): readonly HostWarning[] {
    return this.#warnings;
  }

  start(): void {
    this.#looking.start();
  }

  /** Waits for what is under way; nothing begins after this. */
  stop(): Promise<void> {
    return this.#looking.stop();
  }

  async #look(hasNews: boolean): Promise<void> {
    const { pools, overlaps, onWarning } = this.#components;
    const now = pools();
    const seen = now.join();
    if (seen === this.#seen && !hasNews) return;
    const before = new Set(this.#warnings.map(({ message }) => message));
    const found = await overlaps(now);
    this.#seen = seen;
    this.#warnings = found;
    for (const warning of found) if (!before.has(warning.message)) onWarning(warning);
  }
}
