import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AttackerNews, SendOrder } from './attacker-program.js';
import type { Host } from './topology.js';
import { waitFor } from './wait.js';

const PROGRAM = new URL('./attacker-program.js', import.meta.url).pathname;

/** Where invented senders live: RFC 2544's range. All of it is local on the attacker's host. */
export const SPOOFED_NET = '198.18.0.0/15';

export interface Arrival {
  /** `address:port` of the attacker's. */
  readonly at: string;
  readonly from: string;
  readonly bytes: Uint8Array;
}

/** Sends whatever UDP the test says, from any address it likes, out of a host on the victims' underlay. */
export class Attacker {
  readonly host: Host;
  readonly #child: ChildProcess;
  readonly #arrivals: Arrival[] = [];
  readonly #listeners = new Set<(arrival: Arrival) => void>();
  readonly #sent = new Map<number, () => void>();
  #ticket = 0;
  #isReady = false;

  private constructor(host: Host, child: ChildProcess) {
    this.host = host;
    this.#child = child;
    child.on('message', (news: AttackerNews) => {
      this.#onNews(news);
    });
  }

  /**
   * `borrowed`: addresses of others that this one may send from; what is sent to them still goes to their owners.
   * Each victim gets a route to the invented senders, so that answers to them really leave.
   */
  static async start(
    host: Host,
    victims: readonly Host[],
    borrowed: readonly string[] = [],
  ): Promise<Attacker> {
    for (const name of ['arp_ignore=1', 'arp_announce=2']) {
      await host.must(['sysctl', '-qw', `net.ipv4.conf.all.${name}`]);
    }
    for (const net of [SPOOFED_NET, ...borrowed]) {
      await host.ip(['route', 'add', 'local', net, 'dev', 'lo']);
    }
    for (const victim of victims) {
      await victim.ip(['route', 'add', SPOOFED_NET, 'via', host.address()]);
      await host.must(['ping', '-n', '-c', '1', '-I', host.address(), victim.address()]);
    }
    const [program, ...rest] = host.inside([process.execPath, PROGRAM]);
    const child = spawn(program ?? '', rest, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const attacker = new Attacker(host, child);
    await waitFor('attacker', 5000, () => attacker.#isReady);
    return attacker;
  }

  /** Resolves when the kernel has taken them all. */
  async send(from: string, to: string, datagrams: readonly Uint8Array[]): Promise<void> {
    const ticket = ++this.#ticket;
    const done = new Promise<void>((resolve) => this.#sent.set(ticket, resolve));
    this.#child.send({ ticket, from, to, datagrams } satisfies SendOrder);
    await done;
  }

  /** @returns the function that ends it. */
  onArrival(listener: (arrival: Arrival) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All that ever came, oldest first. */
  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  #onNews(news: AttackerNews): void {
    switch (news.kind) {
      case 'ready':
        this.#isReady = true;
        break;
      case 'sent':
        this.#sent.get(news.ticket)?.();
        this.#sent.delete(news.ticket);
        break;
      case 'datagram':
        assert.ok(news.bytes instanceof Uint8Array);
        this.#arrivals.push(news);
        for (const listener of this.#listeners) listener(news);
        break;
    }
  }
}
