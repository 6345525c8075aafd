import { FirewallTable } from './firewall-table.js';
import {
  changedGuard,
  counterOf,
  guardRuleCount,
  guardTable,
  withoutGuard,
  wholeGuard,
  type GuardedPort,
} from './guard-rules.js';

/** Frames that a port sent under another's MAC or address, dropped since it was attached. */
export interface SpoofCount {
  readonly mac: number;
  readonly address: number;
}

/** The guard between a bridge's ports, as rules of the kernel. The port of workload/ports.ts. */
export class NftPortGuard {
  readonly #table: FirewallTable<readonly GuardedPort[]>;
  #ports: readonly GuardedPort[] = [];

  constructor(bridge: string) {
    const table = guardTable(bridge);
    this.#table = new FirewallTable({
      address: ['bridge', table],
      isEmpty: (ports) => ports.length === 0,
      none: () => withoutGuard(table),
      whole: (ports) => wholeGuard(table, ports),
      change: (before, after) => changedGuard(table, before, after),
      ruleCount: guardRuleCount,
    });
  }

  /** These ports, and no others, are guarded. @throws OVL_IFACE_CONFIG, OVL_NOT_PERMITTED */
  async set(ports: readonly GuardedPort[]): Promise<void> {
    this.#ports = ports;
    await this.#table.set(ports);
  }

  /** Puts the rules back if they are gone. @returns what was dropped, by port; none when they had gone */
  async check(): Promise<ReadonlyMap<string, SpoofCount>> {
    const counted = await this.#table.check();
    const spoofs = new Map<string, SpoofCount>();
    for (const { port } of this.#ports) {
      const mac = counted?.get(counterOf(port, 'mac')) ?? 0;
      const address = counted?.get(counterOf(port, 'ip')) ?? 0;
      if (mac + address > 0) spoofs.set(port, { mac, address });
    }
    return spoofs;
  }
}
