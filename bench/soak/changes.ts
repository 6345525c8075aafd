import { setTimeout as delay } from 'node:timers/promises';
import { seededRng } from '../../src/base/rng.js';
import type { Host } from '../../test/netns/lib/topology.js';

/*
 * What happens to the underlay of two hosts during a soak run. Each change is undone after some seconds, but a new
 * address stays.
 *
 *      alice ══ eth0, eth1 ══ bob
 *        └── eth2 ── relay ──┘
 */

export interface Change {
  readonly what: string;
  apply(): Promise<void>;
  undo(): Promise<void>;
}

/** Between changes, and how long each lasts, ms. */
const PAUSE_MS = { least: 1000, most: 6000 };
const MTUS = [1280, 1400, 1500, 4000, 9000];
const USUAL_MTU = 1500;

export class Changes {
  readonly #alice: Host;
  readonly #bob: Host;
  readonly #rng: ReturnType<typeof seededRng>;
  #address: string;
  #nextHost = 10;
  /** By what they were. */
  readonly counts = new Map<string, number>();

  constructor(alice: Host, bob: Host, seed: number) {
    this.#alice = alice;
    this.#bob = bob;
    this.#rng = seededRng(seed);
    this.#address = alice.address(4);
  }

  /** One after the other until `isOver`; the underlay is whole again when it returns. */
  async run(isOver: () => boolean, say: (text: string) => void): Promise<void> {
    while (!isOver()) {
      await this.#wait(isOver);
      const change = this.#next();
      this.counts.set(change.what, (this.counts.get(change.what) ?? 0) + 1);
      say(change.what);
      await change.apply();
      await this.#wait(isOver);
      await change.undo();
    }
  }

  async #wait(isOver: () => boolean): Promise<void> {
    const { least, most } = PAUSE_MS;
    let leftMs = least + this.#rng.fraction() * (most - least);
    for (; leftMs > 0 && !isOver(); leftMs -= 100) await delay(100);
  }

  #next(): Change {
    const changes = [
      () => this.#cut('link down', ['eth0']),
      () => this.#cut('both links down', ['eth0', 'eth1']),
      () => this.#mtu(),
      () => this.#newAddress(),
      () => this.#offload(),
    ];
    const change = changes[Math.floor(this.#rng.fraction() * changes.length)];
    if (change === undefined) throw new Error('no change was drawn');
    return change();
  }

  #cut(what: string, links: readonly string[]): Change {
    const set = async (state: 'up' | 'down'): Promise<void> => {
      for (const link of links) await this.#alice.ip(['link', 'set', link, state]);
    };
    return { what, apply: () => set('down'), undo: () => set('up') };
  }

  #mtu(): Change {
    const mtu = MTUS[Math.floor(this.#rng.fraction() * MTUS.length)] ?? USUAL_MTU;
    const set = async (bytes: number): Promise<void> => {
      for (const host of [this.#alice, this.#bob]) {
        await host.ip(['link', 'set', 'eth0', 'mtu', String(bytes)]);
      }
    };
    return { what: 'another MTU', apply: () => set(mtu), undo: () => set(USUAL_MTU) };
  }

  #newAddress(): Change {
    const before = this.#address;
    const next = before.replace(/\d+$/, String(this.#nextHost));
    this.#nextHost = this.#nextHost === 200 ? 10 : this.#nextHost + 1;
    return {
      what: 'another address',
      apply: async () => {
        // In this order: the first address of a subnet takes the others with it.
        await this.#alice.ip(['address', 'delete', `${before}/24`, 'dev', 'eth0']);
        await this.#alice.ip(['address', 'add', `${next}/24`, 'dev', 'eth0']);
        this.#address = next;
      },
      undo: () => Promise.resolve(),
    };
  }

  #offload(): Change {
    const set = async (word: 'on' | 'off'): Promise<void> => {
      for (const host of [this.#alice, this.#bob]) {
        await host.must(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', word, 'gro', word]);
      }
    };
    return { what: 'no UDP offload', apply: () => set('off'), undo: () => set('on') };
  }
}
