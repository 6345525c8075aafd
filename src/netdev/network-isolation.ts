import { FirewallTable, rebuiltTable, type TableRules } from './firewall-table.js';
import { guardTable } from './guard-rules.js';

/*
 * The host itself must not be a way from one network to another: Linux answers on any interface for any address it has,
 * and would send the answer out of the network that the address belongs to. So what comes in from the bridge of a network
 * beside the default one is heard only for addresses of that very bridge, and nothing is routed from there or to there;
 * where the host has exposed addresses, only not between the networks.
 * One table of our own in the family inet; bridged frames that br_netfilter shows it stay on their bridge and pass.
 *
 * The sysctls of host-interface.ts say the same of IPv4, as far as they can, where there is no nftables.
 */
export interface IsolatedBridge {
  readonly bridge: string;
  /** The host has exposed addresses there. */
  readonly isExposed: boolean;
}

export class NetworkIsolation {
  readonly #table: FirewallTable<readonly IsolatedBridge[]>;

  /** `ifName`: the default network's bridge. */
  constructor(ifName: string) {
    this.#table = new FirewallTable(isolationTable(`${guardTable(ifName)}-networks`, ifName));
  }

  /** These bridges, and no others. @throws OVL_IFACE_CONFIG, without nftables too */
  set(bridges: readonly IsolatedBridge[]): Promise<void> {
    return this.#table.set([...bridges].sort((a, b) => (a.bridge < b.bridge ? -1 : 1)));
  }

  /** Puts the rules back if they are gone. @throws OVL_IFACE_CONFIG */
  async check(): Promise<void> {
    await this.#table.check();
  }
}

function isolationTable(table: string, ifName: string): TableRules<readonly IsolatedBridge[]> {
  return rebuiltTable(table, {
    comment: 'networks of overlayd',
    chains: [
      'input { type filter hook input priority -290; policy accept; }',
      'forward { type filter hook forward priority -290; policy accept; }',
    ],
    rulesOf: (bridges) => {
      const names = [ifName, ...bridges.map(({ bridge }) => bridge)];
      return bridges.flatMap((bridge) => rulesFor(bridge, names));
    },
  });
}

function rulesFor({ bridge, isExposed }: IsolatedBridge, all: readonly string[]): string[] {
  const others = all.filter((name) => name !== bridge).map((name) => `"${name}"`);
  const elsewhere = isExposed ? `{ ${others.join(', ')} }` : `!= "${bridge}"`;
  return [
    `input iifname "${bridge}" fib daddr . iif type != { local, broadcast, anycast, multicast } drop`,
    `forward iifname "${bridge}" oifname ${elsewhere} drop`,
    `forward iifname ${elsewhere} oifname "${bridge}" drop`,
  ];
}
