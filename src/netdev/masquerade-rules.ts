import { rebuiltTable, type TableRules } from './firewall-table.js';

/*
 * What `expose` needs of the host's firewall: one table of our own in the family inet, so that nothing of others' is
 * touched and nothing of ours is left.
 *
 *   routed out of the overlay   takes the address of the interface by which it leaves
 *   routed into the overlay     takes the exposed address, so that targets need no route back
 *
 * A frame that br_netfilter merely shows to this chain on its way through a bridge, and what the host itself sends, have
 * no input interface there: index 0, and keep their address.
 */

/** For the bridges with a masqueraded exposure. */
export function masqueradeTable(table: string): TableRules<readonly string[]> {
  return rebuiltTable(table, {
    comment: 'expose of overlayd',
    chains: ['postrouting { type nat hook postrouting priority 100; policy accept; }'],
    rulesOf: (bridges) => bridges.flatMap(rulesOf),
  });
}

function rulesOf(bridge: string): string[] {
  return [
    `postrouting iifname "${bridge}" oifname != "${bridge}" masquerade`,
    `postrouting meta iif != 0 iifname != "${bridge}" oifname "${bridge}" masquerade`,
  ];
}
