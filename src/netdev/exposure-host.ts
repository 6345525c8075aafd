import { macOfPeer, type PeerId } from '../model/peer-id.js';
import { announcementFrame } from './announcement.js';
import { FirewallTable } from './firewall-table.js';
import { guardTable } from './guard-rules.js';
import { tapNameOf } from './host-interface.js';
import { readAddresses } from './ip-json.js';
import { masqueradeTable } from './masquerade-rules.js';
import { ipBatch } from './run.js';

/** Addresses of this host on a network's bridge, beside the node's own. The port of workload/ports.ts. */
export class BridgeExposureHost {
  readonly #bridge: string;
  readonly #peer: PeerId;
  readonly #sendFrame: (device: string, frame: Uint8Array) => void;
  readonly #table: FirewallTable<readonly string[]>;

  readonly #isRouter: (isOn: boolean) => void;

  /** `isRouter`: told whether anything is exposed, before it is. */
  constructor(
    bridge: string,
    peer: PeerId,
    sendFrame: (device: string, frame: Uint8Array) => void,
    isRouter: (isOn: boolean) => void = () => undefined,
  ) {
    this.#bridge = bridge;
    this.#peer = peer;
    this.#sendFrame = sendFrame;
    this.#table = new FirewallTable(masqueradeTable(guardTable(bridge)));
    this.#isRouter = isRouter;
  }

  async setAddresses(wanted: readonly string[], gone: readonly string[]): Promise<void> {
    this.#isRouter(wanted.length > 0);
    const present = (await readAddresses(this.#bridge)).map(({ cidr }) => cidr);
    const missing = wanted.filter((cidr) => !present.includes(cidr));
    await ipBatch([
      ...gone
        .filter((cidr) => present.includes(cidr))
        .map((cidr) => `address del ${cidr} dev ${this.#bridge}`),
      ...missing.map(
        (cidr) =>
          `address add ${cidr} dev ${this.#bridge} ${cidr.includes(':') ? 'nodad' : 'broadcast +'}`,
      ),
    ]);
    for (const cidr of missing) this.#announce(cidr.split('/')[0] ?? cidr);
  }

  async setMasquerade(isOn: boolean): Promise<void> {
    await this.#table.set(isOn ? [this.#bridge] : []);
  }

  async checkMasquerade(): Promise<void> {
    await this.#table.check();
  }

  /** Out of the TAP for peers, and out of the bridge for everybody: twice is no harm, and either may be down. */
  #announce(address: string): void {
    const frame = announcementFrame(macOfPeer(this.#peer), address);
    for (const device of [tapNameOf(this.#bridge), this.#bridge]) {
      try {
        this.#sendFrame(device, frame);
      } catch {
        // Down: then nobody there needs to know.
      }
    }
  }
}
