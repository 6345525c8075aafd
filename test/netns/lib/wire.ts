import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { type Interface, createInterface } from 'node:readline';
import assert from 'node:assert/strict';
import { must } from './exec.js';
import type { Host } from './topology.js';

/** From dist/test/netns/lib. */
const ROOT = new URL('../../../../', import.meta.url).pathname;
const SOURCES = ['main.cc', 'direction.cc', 'frame.cc'].map((name) => source(name));
const HEADERS = ['direction.h', 'frame.h'].map((name) => source(name));
const PROGRAM = `${ROOT}build/netns/wire`;

function source(name: string): string {
  return `${ROOT}test/netns/wire/${name}`;
}

/** What is not named keeps its value; at the start the wire is a plain cable. */
export interface WireRules {
  readonly delayMs?: number;
  /** Up to this much more, uniform; the order stays. */
  readonly jitterMs?: number;
  readonly lossPercent?: number;
  readonly duplicatePercent?: number;
  readonly reorderPercent?: number;
  /** How much later a segment comes that is reordered; default 10. */
  readonly reorderMs?: number;
  /** Segments whose IP packet is larger are dropped; 0: none are. */
  readonly capBytes?: number;
  /** Whether the cap says "too big" to the sender. Default: silent. */
  readonly icmp?: boolean;
  /** Drops everything, silently. */
  readonly cut?: boolean;
  /** Of a train only the first segment goes on. */
  readonly firstOnly?: boolean;
}

/** In segments, but `frames` as they were read (trains) and `bytes` of IP that came out. */
export interface WireCounters {
  readonly frames: number;
  readonly segments: number;
  readonly delivered: number;
  readonly bytes: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly capped: number;
  readonly cut: number;
  /** By `firstOnly`; not in `lost`. */
  readonly tails: number;
  readonly icmp: number;
  /** More than 256 MiB were under way. */
  readonly overflowed: number;
  /** The interface on the other side was down. */
  readonly refused: number;
  /** IP packet of the largest segment that came in. */
  readonly largest: number;
}

export type WireDirection = 'a->b' | 'b->a';

/** The C++ program test/netns/wire between two hosts; see there. */
export class Wire {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #answers: ((line: string) => void)[] = [];

  private constructor(child: ChildProcess) {
    assert.ok(child.stdout);
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on('line', (line) => this.#answers.shift()?.(line));
    child.once('exit', () => {
      for (const answer of this.#answers.splice(0)) answer('error: the wire has ended');
    });
  }

  /** Makes the interface `ifNames[0]` in `a` and `ifNames[1]` in `b`, both down and without address. */
  static async start(
    [a, b]: readonly [Host, Host],
    ifNames: readonly [string, string],
    { seed, offloads }: { readonly seed: number; readonly offloads: boolean },
  ): Promise<Wire> {
    await build();
    const ends = [a.namespace, ifNames[0], b.namespace, ifNames[1], String(seed)];
    const child = spawn(PROGRAM, offloads ? ends : [...ends, 'no-offloads'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const wire = new Wire(child);
    const ready = wire.#answer();
    await once(child, 'spawn');
    assert.equal(await ready, 'ready', `wire between ${a.name} and ${b.name}`);
    return wire;
  }

  /** In force for what comes from then on; what is under way arrives as it was to. */
  async set(direction: WireDirection | 'both', rules: WireRules): Promise<void> {
    const words = Object.entries({
      delay_us: times(rules.delayMs, 1000),
      jitter_us: times(rules.jitterMs, 1000),
      loss: times(rules.lossPercent, 0.01),
      duplicate: times(rules.duplicatePercent, 0.01),
      reorder: times(rules.reorderPercent, 0.01),
      reorder_us: times(rules.reorderMs, 1000),
      cap_bytes: rules.capBytes,
      icmp: rules.icmp,
      cut: rules.cut,
      first_only: rules.firstOnly,
    }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${String(Number(value))}`],
    );
    for (const which of direction === 'both'
      ? ['ab', 'ba']
      : [direction === 'a->b' ? 'ab' : 'ba']) {
      assert.equal(await this.#ask(`set ${which} ${words.join(' ')}`), 'ok');
    }
  }

  async counters(): Promise<Readonly<Record<WireDirection, WireCounters>>> {
    const { ab, ba } = JSON.parse(await this.#ask('counters')) as Record<'ab' | 'ba', WireCounters>;
    return { 'a->b': ab, 'b->a': ba };
  }

  /** Takes both interfaces away. Idempotent. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.stdin?.end();
      await ended;
    }
    this.#lines.close();
  }

  async #ask(line: string): Promise<string> {
    const answer = this.#answer();
    this.#child.stdin?.write(`${line}\n`);
    return answer;
  }

  async #answer(): Promise<string> {
    return new Promise((resolve) => this.#answers.push(resolve));
  }
}

function times(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

let built: Promise<void> | undefined;

/** Once a run, and only when a source is newer. Other runs may do the same at the same time. */
async function build(): Promise<void> {
  built ??= (async () => {
    const timeOf = async (file: string) => (await stat(file)).mtimeMs;
    const sources = Math.max(...(await Promise.all([...SOURCES, ...HEADERS].map(timeOf))));
    if ((await timeOf(PROGRAM).catch(() => 0)) > sources) return;
    await mkdir(`${ROOT}build/netns`, { recursive: true });
    const mine = `${PROGRAM}.${String(process.pid)}`;
    try {
      await must(
        ['g++', '-std=c++20', '-O2', '-Wall', '-Wextra', '-Werror', '-o', mine, ...SOURCES],
        { timeoutMs: 120_000 },
      );
      await rename(mine, PROGRAM);
    } finally {
      await rm(mine, { force: true });
    }
  })();
  return built;
}
