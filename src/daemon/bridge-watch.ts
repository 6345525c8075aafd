import { HostLook } from './host-look.js';
import type { NetworkWatcher, Timers } from './ports.js';

/*
 * Somebody may delete a bridge or a TAP while the daemon runs. Targets' interfaces stay, but nothing joins them: what is
 * gone is made again, then everything that lives on it. The kernel tells of it at once (rtnetlink); a look now and then
 * finds what was not told.
 */

/** A look at one file. */
const LOOK_MS = 10_000;
/** Without word from the kernel, and while something could not be made again. */
const LOOK_SOON_MS = 1000;

export interface WatchedBridge {
  readonly name: string;
  /** Itself, and what is to be there with it. */
  readonly devices: readonly string[];
  /** Makes it, with what the network itself has there. May be repeated. */
  readonly restore: () => Promise<void>;
}

export interface BridgeWatchComponents {
  readonly timers: Timers;
  readonly network: NetworkWatcher;
  /** Names of all interfaces of the host. */
  readonly interfaces: () => ReadonlySet<string>;
  /** Those that shall be there now. */
  readonly bridges: () => readonly WatchedBridge[];
  /** Puts what is attached and exposed onto the bridges again. May be repeated. */
  readonly rejoin: () => Promise<void>;
  readonly onRestored: (bridge: string) => void;
  /** What else may have changed on bridges that are there. Must not fail. */
  readonly follow: () => Promise<void>;
  /** Said once until it works again. */
  readonly onFailure: (bridge: string, error: unknown) => void;
}

export class BridgeWatch {
  readonly #components: BridgeWatchComponents;
  readonly #looking: HostLook;
  readonly #failed = new Set<string>();

  constructor(components: BridgeWatchComponents) {
    this.#components = components;
    const { timers, network } = components;
    this.#looking = new HostLook({
      ...{ timers, network },
      look: async () => {
        await this.#look();
        await components.follow();
      },
      delayMs: (isTold) => (isTold && this.#failed.size === 0 ? LOOK_MS : LOOK_SOON_MS),
      isUrgent: true,
    });
  }

  start(): void {
    this.#looking.start();
  }

  /** Waits for what is under way; nothing begins after this. */
  stop(): Promise<void> {
    return this.#looking.stop();
  }

  async #look(): Promise<void> {
    const { interfaces, bridges, rejoin, onRestored } = this.#components;
    const there = interfaces();
    const gone = bridges().filter(({ name, devices }) => {
      return this.#failed.has(name) || devices.some((device) => !there.has(device));
    });
    const made: string[] = [];
    for (const { name, restore } of gone) {
      if (await this.#try(name, restore)) made.push(name);
    }
    const [first] = made;
    if (first === undefined || !(await this.#try(first, rejoin))) return;
    for (const name of made) onRestored(name);
  }

  async #try(name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#failed.delete(name);
      return true;
    } catch (error) {
      if (!this.#failed.has(name)) this.#components.onFailure(name, error);
      this.#failed.add(name);
      return false;
    }
  }
}
