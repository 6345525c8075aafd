import type { DaemonControl } from '../api/control.js';
import type { Clock } from '../base/clock.js';
import type { Rng } from '../base/rng.js';
import type {
  DaemonOptions,
  HostInterface,
  Logger,
  Resolver,
  StateStore,
  Timers,
} from '../daemon/ports.js';
import type { DataPlane } from '../dataplane/dataplane.js';

/** What daemon/daemon.ts exports. */
interface DaemonModule {
  createDaemon(
    components: {
      readonly dataplane: DataPlane;
      readonly host: HostInterface;
      readonly state: StateStore;
      readonly clock: Clock;
      readonly timers: Timers;
      readonly rng: Rng;
      readonly resolver: Resolver;
      readonly log: Logger;
    },
    options: DaemonOptions,
  ): {
    start(): Promise<void>;
    stop(): Promise<void>;
    readonly control: DaemonControl;
    onFatal(callback: (error: unknown) => void): void;
  };
}

export async function loadDaemonModule(): Promise<DaemonModule> {
  return (await import(new URL('../daemon/daemon.js', import.meta.url).href)) as DaemonModule;
}
