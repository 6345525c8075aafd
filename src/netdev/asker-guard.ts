import type { Mac } from '../model/mac.js';
import { FirewallTable, rebuiltTable, type TableRules } from './firewall-table.js';
import { ipBatch, runTool } from './run.js';

/*
 * Makes the source address of a DNS query mean one certain port of a bridge. A target on several networks is told the
 * names of all of them by the server of one, so nobody else there may ask, or hear an answer, in its name:
 *
 *   bridge   prerouting   its port, MAC and address together ─► mark          nothing else is marked
 *   inet     input        a query from that address without the mark ─► drop  however the frame was wrapped
 *   neighbour entry       answers to that address go to its MAC, which the bridge has pinned to its port
 *
 * A guest cannot set marks: the kernel takes them off where a packet leaves its namespace.
 */

/** One attachment of a target that is on several networks. */
export interface Asker {
  readonly bridge: string;
  /** Of the bridge. */
  readonly port: string;
  readonly mac: Mac;
  /** Bare; link-local ones too. */
  readonly addresses: readonly string[];
}

const MARK = '0x6f766c64';
/** DNS in one piece: no header of another's may come with a part of it. */
const WHOLE_QUERY = (word: 'ip' | 'ip6'): string =>
  `${word === 'ip' ? 'ip frag-off & 0x3fff == 0 ' : ''}meta l4proto { tcp, udp } th dport 53`;

export class AskerGuard {
  readonly #marks: FirewallTable<readonly Asker[]>;
  readonly #drops: FirewallTable<readonly Asker[]>;
  #bridges: ReadonlySet<string> = new Set();
  #work: Promise<void> = Promise.resolve();

  /** `table`: of this daemon, guardTable(). */
  constructor(table: string) {
    this.#marks = new FirewallTable(marksTable(`${table}-askers`));
    this.#drops = new FirewallTable(dropsTable(`${table}-askers`));
  }

  /** These, and no others; in force when it resolves. @throws OVL_IFACE_CONFIG, without nftables too */
  set(askers: readonly Asker[]): Promise<void> {
    const done = this.#work.catch(() => undefined).then(() => this.#apply(askers));
    this.#work = done;
    return done;
  }

  /** Puts the rules back if they are gone. @throws OVL_IFACE_CONFIG */
  async check(): Promise<void> {
    await this.#marks.check();
    await this.#drops.check();
  }

  async #apply(askers: readonly Asker[]): Promise<void> {
    // In this order: a mark alone does nothing, a drop without marks would take names away.
    await this.#marks.set(askers);
    await this.#drops.set(askers);
    const bridges = new Set(askers.map(({ bridge }) => bridge));
    for (const bridge of new Set([...bridges, ...this.#bridges])) {
      await runTool('ip', ['neighbour', 'flush', 'dev', bridge, 'nud', 'permanent']);
    }
    this.#bridges = bridges;
    if (askers.length === 0) return;
    await ipBatch(
      askers.flatMap(({ bridge, mac, addresses }) =>
        addresses.map(
          (address) => `neighbour replace ${address} lladdr ${mac} dev ${bridge} nud permanent`,
        ),
      ),
    );
  }
}

function marksTable(table: string): TableRules<readonly Asker[]> {
  return rebuiltTable(table, {
    family: 'bridge',
    comment: 'askers of overlayd',
    chains: ['prerouting { type filter hook prerouting priority -290; policy accept; }'],
    rulesOf: (askers) =>
      askers.flatMap(({ port, mac, addresses }) =>
        addresses.map((address) => {
          const word = wordOf(address);
          const from = `iifname "${port}" ether saddr ${mac} ${word} saddr ${address}`;
          return `prerouting ${from} ${WHOLE_QUERY(word)} meta mark set ${MARK}`;
        }),
      ),
  });
}

function dropsTable(table: string): TableRules<readonly Asker[]> {
  return rebuiltTable(table, {
    comment: 'askers of overlayd',
    chains: ['input { type filter hook input priority -289; policy accept; }'],
    rulesOf: (askers) =>
      askers.flatMap(({ bridge, addresses }) =>
        addresses.map((address) => {
          const from = `iifname "${bridge}" ${wordOf(address)} saddr ${address}`;
          return `input ${from} meta l4proto { tcp, udp } th dport 53 meta mark != ${MARK} drop`;
        }),
      ),
  });
}

function wordOf(address: string): 'ip' | 'ip6' {
  return address.includes(':') ? 'ip6' : 'ip';
}
