import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Host } from './topology.js';
import { waitFor } from './wait.js';

export interface Answer {
  readonly sequence: number;
  /** Arrival, since the epoch. */
  readonly atMs: number;
  readonly rttMs: number;
}

const LINE = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) .*time=([\d.]+) ms( \(DUP!\))?/;

/** ping(8) at a steady rate until `stop`, with the arrival of each answer. */
export class PingStream {
  readonly #child: ChildProcess;
  readonly #host: Host;
  /** When ping(8) has ended, which it does by itself with `-c` only. */
  readonly closed: Promise<unknown>;
  /** In the order of arrival, without the duplicates. */
  readonly answers: Answer[] = [];
  duplicates = 0;

  constructor(from: Host, address: string, perSecond = 100, words: readonly string[] = []) {
    this.#host = from;
    const interval = String(1 / perSecond);
    const argv = from.inside(['ping', '-n', '-D', '-i', interval, ...words, address]);
    this.#child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] });
    this.closed = once(this.#child, 'close');
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
  }

  #take(line: string): void {
    const found = LINE.exec(line);
    if (!found) return;
    const [, at, sequence, rtt, duplicate] = found;
    if (duplicate === undefined) {
      this.answers.push({
        sequence: Number(sequence),
        atMs: Number(at) * 1000,
        rttMs: Number(rtt),
      });
    } else {
      this.duplicates++;
    }
  }

  /** Resolves when `count` answers more than now have come. */
  async more(count: number, withinMs = 5000): Promise<void> {
    const goal = this.answers.length + count;
    await waitFor(`answers on ${this.#host.name}`, withinMs, () => this.answers.length >= goal);
  }

  /** From `sinceMs` plus a moment for what was on its way, to the first answer after it. */
  async backAfter(sinceMs: number, withinMs: number): Promise<number> {
    await waitFor(`answers on ${this.#host.name}`, withinMs + 3000, () => {
      const late = this.answers.filter(({ atMs }) => atMs > sinceMs + 5);
      return late.length >= 20;
    });
    const first = this.answers.find(({ atMs }) => atMs > sinceMs + 5)?.atMs ?? Infinity;
    return Math.round(first - sinceMs);
  }

  /** Longest time without an answer between two answers, of which the later one came after `sinceMs`. */
  longestHoleMs(sinceMs = 0): number {
    let longest = 0;
    for (const [index, { atMs }] of this.answers.entries()) {
      const before = this.answers[index - 1]?.atMs ?? atMs;
      if (atMs > sinceMs) longest = Math.max(longest, atMs - before);
    }
    return Math.round(longest);
  }

  /** How many were never answered, of those before the last answered one. */
  lost(): number {
    const last = Math.max(0, ...this.answers.map(({ sequence }) => sequence));
    return last - this.answers.length;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill('SIGINT');
    await this.closed;
  }
}
