import { setTimeout as delay } from 'node:timers/promises';
import { Background } from '../path/process.js';
import type { Host } from '../../test/netns/lib/topology.js';
import { waitFor } from '../../test/netns/lib/wait.js';

/** One run of iperf3; what breaks it begins the next. */
const RUN_SECONDS = 30;
const RUN_LIMIT_MS = 45_000;

/** iperf3 between two hosts, again and again: its streams end when a path is gone for too long. */
export class Load {
  readonly #from: Host;
  readonly #to: Host;
  readonly #address: string;
  readonly #port: string;
  readonly #options: readonly string[];
  runs = 0;
  broken = 0;
  bytes = 0;

  constructor(from: Host, to: Host, address: string, port: number, options: readonly string[]) {
    this.#from = from;
    this.#to = to;
    this.#address = address;
    this.#port = String(port);
    this.#options = options;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.runs += 1;
      const isWhole = await this.#once().catch(() => false);
      if (isWhole) continue;
      this.broken += 1;
      await delay(200);
    }
  }

  async #once(): Promise<boolean> {
    const at = ['-B', this.#address, '-p', this.#port];
    const server = await Background.start(this.#to, ['iperf3', '-s', '-1', ...at]);
    try {
      await waitFor('iperf3 -s', 5000, async () =>
        (await this.#to.must(['ss', '-Htln'])).includes(`:${this.#port}`),
      );
      const words = ['iperf3', '-c', this.#address, '-p', this.#port, '-J', '-t'];
      const outcome = await this.#from.run(
        [...words, String(RUN_SECONDS), '--connect-timeout', '5000', ...this.#options],
        { timeoutMs: RUN_LIMIT_MS },
      );
      this.bytes += bytesOf(outcome.stdout);
      return outcome.code === 0;
    } finally {
      await server.stop();
    }
  }
}

interface IperfReport {
  readonly intervals?: readonly {
    readonly sum: { readonly bytes: number };
    readonly sum_bidir_reverse?: { readonly bytes: number };
  }[];
  readonly end?: { readonly sum?: { readonly lost_percent?: number } };
}

/** That arrived, both directions; of a run that broke what its intervals say. */
function bytesOf(text: string): number {
  const { intervals = [], end } = JSON.parse(text) as IperfReport;
  const bytes = intervals.reduce(
    (total, { sum, sum_bidir_reverse: back }) => total + sum.bytes + (back?.bytes ?? 0),
    0,
  );
  return bytes * (1 - (end?.sum?.lost_percent ?? 0) / 100);
}
