import type { Host, LinkOptions } from './topology.js';
import { must } from './exec.js';

/*
 * A switch is a bridge in a namespace of its own. What it does not carry it drops in silence, as a network does and
 * as a firewall on the sender's own host would not (that one tells the sender).
 *
 *     a eth0 ---- p1 +-----------+ p2 ---- eth0 b        cut(a, b): nothing goes from p1 to p2 nor back
 *                    | bridge br0|
 *     c eth0 ---- p3 +-----------+                       blockUdp(c): no UDP to or from p3
 */

const RULES = `
  add table bridge cuts
  add set bridge cuts pairs { type ifname . ifname; }
  add set bridge cuts noudp { type ifname; }
  add chain bridge cuts forward { type filter hook forward priority 0; }
  add rule bridge cuts forward iifname . oifname @pairs drop
  add rule bridge cuts forward meta l4proto udp iifname @noudp drop
  add rule bridge cuts forward meta l4proto udp oifname @noudp drop
`;

export class Switch {
  readonly host: Host;
  readonly #subnet: number;
  readonly #ports = new Map<Host, string>();

  private constructor(host: Host, subnet: number) {
    this.host = host;
    this.#subnet = subnet;
  }

  /** @param host of its own, empty */
  static async create(host: Host, subnet: number): Promise<Switch> {
    await host.ip(['link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0']);
    await host.ip(['link', 'set', 'br0', 'up']);
    await host.nft(RULES);
    return new Switch(host, subnet);
  }

  /** The host's next interface; gives its name. */
  async plug(host: Host, options: LinkOptions = {}): Promise<string> {
    const ifName = host.nextInterface();
    const number = this.#ports.size + 1;
    const port = `p${String(number)}`;
    this.#ports.set(host, port);
    await must(
      ['ip', 'link', 'add', ifName, 'netns', host.namespace, 'type', 'veth'].concat([
        ...['peer', 'name', port, 'netns', this.host.namespace],
      ]),
    );
    await this.host.ip(['link', 'set', port, 'master', 'br0']);
    await this.host.tune(port, options);
    await host.configure(ifName, this.#subnet, number, options);
    return ifName;
  }

  /** Everything from one to the other is dropped; the way back too unless `oneWay`. */
  async cut(from: Host, to: Host, { oneWay = false } = {}): Promise<void> {
    await this.#change('add', 'pairs', this.#pairs(from, to, oneWay));
  }

  async heal(from: Host, to: Host): Promise<void> {
    // An element must be there to be deleted.
    await this.#change('add', 'pairs', this.#pairs(from, to, false));
    await this.#change('delete', 'pairs', this.#pairs(from, to, false));
  }

  /** No UDP to or from this host; TCP and the rest pass. */
  async blockUdp(host: Host): Promise<void> {
    await this.#change('add', 'noudp', this.#port(host));
  }

  async allowUdp(host: Host): Promise<void> {
    await this.#change('delete', 'noudp', this.#port(host));
  }

  #port(host: Host): string {
    const port = this.#ports.get(host);
    if (port === undefined) throw new Error(`${host.name} is not on this switch`);
    return port;
  }

  #pairs(from: Host, to: Host, oneWay: boolean): string {
    const [a, b] = [this.#port(from), this.#port(to)];
    return oneWay ? `${a} . ${b}` : `${a} . ${b}, ${b} . ${a}`;
  }

  async #change(verb: 'add' | 'delete', set: string, elements: string): Promise<void> {
    await this.host.nft(`${verb} element bridge cuts ${set} { ${elements} }`);
  }
}
