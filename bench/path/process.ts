import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Host } from '../../test/netns/lib/topology.js';

/** A program kept running inside a host until `stop`. */
export class Background {
  readonly pid: number;
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
    const collect = (text: string): void => {
      this.#said = (this.#said + text).slice(-4096);
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
  }

  /** `env` comes on top of our own environment. */
  static async start(
    host: Host,
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Background> {
    const [program = '', ...rest] = host.inside(argv);
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`${argv.join(' ')} has no process id`);
    return new Background(child, child.pid);
  }

  /** The last 4 KiB that it printed. */
  get said(): string {
    return this.#said;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }
}
