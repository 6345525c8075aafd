import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import type { Outcome } from './exec.js';
import type { Host } from './topology.js';
import { PATIENCE, waitFor } from './wait.js';

export interface DaemonArguments {
  readonly password?: string;
  readonly peers?: readonly string[];
  readonly args?: readonly string[];
  /** Default `debug`: what a failed test shows. */
  readonly logLevel?: string;
  /** Two daemons on one host need two; default `state`. */
  readonly state?: string;
  /** More environment: OVERLAYD_DEBUG_... */
  readonly env?: Readonly<Record<string, string>>;
}

/** What the tests read of `overlayctl --json status`; the whole shape is the CLI suite's business. */
export interface Status {
  readonly ready: boolean;
  readonly self: {
    readonly id: string;
    readonly addresses: readonly string[];
    readonly mac: string;
    readonly ifname: string;
  };
  readonly encryption: boolean;
  readonly peers: { readonly known: number; readonly reachable: number };
  readonly links: { readonly established: number };
}

/** What the tests read of `overlayctl --json routes`. */
export interface Route {
  readonly nickname: string;
  readonly path: 'direct' | 'relay' | 'tcp';
  readonly via: readonly string[];
  readonly cost: number | null;
}

/** What the tests read of `overlayctl --json report`. */
export interface Report {
  readonly peers: readonly {
    readonly id: string;
    readonly self: boolean;
    readonly state: string;
    readonly endpoint: string | null;
    readonly pmtu: number | null;
    readonly path: string | null;
  }[];
  readonly dataplane: { readonly offloads: readonly string[] };
  readonly counters: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
}

export const PASSWORD = 'correct horse battery staple';
const DAEMON = new URL('../../../../scripts/overlayd', import.meta.url).pathname;
const START = new URL('../../../../scripts/start.cjs', import.meta.url).pathname;

/** One overlayd in a host's namespace, with its own state directory and socket. Its log is a file beside them. */
export class TestDaemon {
  readonly host: Host;
  readonly socket: string;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  #isExpectedGone = false;

  private constructor(host: Host, socket: string, child: ChildProcess, logFile: string) {
    this.host = host;
    this.socket = socket;
    this.#child = child;
    this.#logFile = logFile;
  }

  /** Resolves when the process exists; wait for more with `ready` or `peers`. */
  static async start(host: Host, options: DaemonArguments): Promise<TestDaemon> {
    const directory = join(host.directory, host.name, options.state ?? 'state');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const socket = join(directory, 'overlayd.sock');
    const logFile = join(host.directory, `${host.name}-${String(host.daemons.length)}.log`);
    const log = await open(logFile, 'w');
    const [program, ...rest] = host.inside([
      ...[DAEMON, '--state-dir', directory, '--socket', socket],
      ...['--nickname', host.name, '--log-level', options.logLevel ?? 'debug'],
      ...(options.peers ?? []).flatMap((peer) => ['--peer', peer]),
      ...(options.args ?? []),
    ]);
    const child = spawn(program ?? '', rest, {
      env: { ...process.env, ...options.env, OVERLAYD_PASSWORD: options.password ?? PASSWORD },
      stdio: ['ignore', log.fd, log.fd],
    });
    await once(child, 'spawn');
    await log.close();
    return new TestDaemon(host, socket, child, logFile);
  }

  get pid(): number {
    assert.ok(this.#child.pid);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** overlayctl against this daemon, from inside its host. */
  ctl(args: readonly string[]): Promise<Outcome> {
    return this.host.run([process.execPath, START, 'overlayctl', '--socket', this.socket, ...args]);
  }

  /** The same where nothing but success will do; gives what it printed, without the end of the last line. */
  async must(...args: readonly string[]): Promise<string> {
    const outcome = await this.ctl(args);
    assert.equal(outcome.code, 0, `overlayctl ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout.trimEnd();
  }

  /** What it printed with --json; the caller says what that is. */
  async json(...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.must('--json', ...args)) as unknown;
  }

  async status(): Promise<Status> {
    return (await this.json('status')) as Status;
  }

  /** How this node reaches another, by the other's nickname; undefined: not at all. */
  async route(nickname: string): Promise<Route | undefined> {
    const { routes } = (await this.json('routes')) as { routes: readonly Route[] };
    return routes.find((route) => route.nickname === nickname);
  }

  async report(): Promise<Report> {
    return (await this.json('report')) as Report;
  }

  /** Own overlay address of the given family, without the prefix length. */
  async address(family: 4 | 6): Promise<string> {
    const { addresses } = (await this.status()).self;
    const found = addresses.find((cidr) => cidr.includes(':') === (family === 6));
    assert.ok(found, `no IPv${String(family)} overlay address among ${addresses.join(' ')}`);
    return found.slice(0, found.indexOf('/'));
  }

  /** `overlayctl status --wait`, which must succeed. It is asked again while the socket is not there yet. */
  async wait(what: string, timeoutMs = 30_000): Promise<void> {
    const endMs = performance.now() + timeoutMs * PATIENCE;
    await waitFor(`socket of ${this.host.name}`, timeoutMs, () => {
      assert.ok(this.isRunning, `overlayd on ${this.host.name} has ended`);
      return existsSync(this.socket);
    });
    const seconds = Math.max(0.1, (endMs - performance.now()) / 1000).toFixed(1);
    const outcome = await this.ctl(['status', '--wait', what, '--timeout', seconds]);
    assert.equal(outcome.code, 0, `status --wait ${what} on ${this.host.name}: ${outcome.stderr}`);
  }

  async log(): Promise<string> {
    return `--- overlayd on ${this.host.name}\n${await readFile(this.#logFile, 'utf8')}`;
  }

  /** Log lines whose message, code or any field matches. */
  async logLines(pattern: RegExp): Promise<string[]> {
    return (await readFile(this.#logFile, 'utf8')).split('\n').filter((line) => pattern.test(line));
  }

  /** SIGKILL: leaves its interfaces behind, as a crash does. */
  async crash(): Promise<void> {
    this.#isExpectedGone = true;
    await this.#signal('SIGKILL');
  }

  /** Waits for an end that the test expects, and gives the exit code. */
  async exit(timeoutMs = 30_000): Promise<number> {
    this.#isExpectedGone = true;
    await waitFor(`end of overlayd on ${this.host.name}`, timeoutMs, () => !this.isRunning);
    return this.#child.exitCode ?? 128;
  }

  /** SIGTERM: must end with 0 and leave neither socket nor interface. */
  async stop(): Promise<void> {
    this.#isExpectedGone = true;
    await this.#signal('SIGTERM');
    assert.equal(this.#child.exitCode, 0, `overlayd on ${this.host.name} after SIGTERM`);
    assert.ok(!existsSync(this.socket), `${this.socket} is left behind`);
    const left = (await this.host.interfaces()).filter((name) => name.startsWith('overlay'));
    assert.deepEqual(left, [], `interfaces left on ${this.host.name}`);
  }

  /** For the end of a topology: stops it however that goes, and gives the complaint if it was not clean. */
  async end(): Promise<string | undefined> {
    if (!this.isRunning) {
      if (this.#isExpectedGone) return undefined;
      return `overlayd on ${this.host.name} had ended by itself (${String(this.#child.exitCode)})`;
    }
    try {
      await this.stop();
      return undefined;
    } catch (error) {
      await this.#signal('SIGKILL');
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill(signal);
    await waitFor(`end of overlayd on ${this.host.name}`, 30_000, () => !this.isRunning);
  }
}
