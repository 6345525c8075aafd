import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

import type { Host } from './topology.js';

const PROGRAM = new URL('./multicast-program.js', import.meta.url).pathname;

/** Where a group is joined or sent to. `address`: own address of the interface; for IPv6 `::%<name>`. */
export interface GroupSocket {
  readonly group: string;
  readonly port: number;
  readonly address: string;
}

/** A program on a host that listens to a group until `stop`. */
export class Listener {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
  }

  /** Resolves when it has joined. */
  static async start(host: Host, { group, port, address }: GroupSocket): Promise<Listener> {
    const argv = [process.execPath, PROGRAM, 'listen', group, String(port), address];
    const [program, ...rest] = host.inside(argv);
    const child = spawn(program ?? '', rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout);
    await once(lines, 'line');
    return new Listener(child, lines);
  }

  /** Datagrams until now. */
  async count(): Promise<number> {
    const line = once(this.#lines, 'line') as Promise<[string]>;
    this.#child.stdin?.write('\n');
    return Number((await line)[0]);
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}

/** Datagrams to a group at a rate; gives how many were sent. */
export async function sendToGroup(
  host: Host,
  { group, port, address }: GroupSocket,
  perSecond: number,
  seconds: number,
): Promise<number> {
  const words = [group, String(port), address, String(perSecond), String(seconds)];
  return Number(await host.must([process.execPath, PROGRAM, 'send', ...words]));
}
