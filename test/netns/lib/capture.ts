import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './topology.js';
import { waitFor } from './wait.js';

let captures = 0;

/** tcpdump of whole frames on one interface of a host. */
export class Capture {
  readonly #child: ChildProcess;
  readonly #file: string;

  private constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
  }

  /** Resolves when tcpdump listens: frames sent from then on are in it. */
  static async start(host: Host, ifName: string): Promise<Capture> {
    const file = join(host.directory, `capture-${String(captures++)}.pcap`);
    const [program, ...rest] = host.inside([
      'tcpdump',
      '-Z',
      'root',
      '-i',
      ifName,
      '-s',
      '0',
      '-U',
      '--immediate-mode',
      '-w',
      file,
    ]);
    const child = spawn(program ?? '', rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await waitFor(`tcpdump on ${ifName}`, 5000, () => said.includes('listening on'));
    return new Capture(child, file);
  }

  /** What was written until now. */
  sofar(): Promise<Buffer> {
    return readFile(this.#file);
  }

  /** Ends the capture and gives the raw bytes of the file. Idempotent. */
  async stop(): Promise<Buffer> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      await ended;
    }
    return readFile(this.#file);
  }
}
