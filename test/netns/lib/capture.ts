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
  #said = '';

  private constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
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
    const capture = new Capture(child, file);
    await waitFor(`tcpdump on ${ifName}`, 20_000, () => capture.#said.includes('listening on'));
    return capture;
  }

  /** What was written until now. */
  sofar(): Promise<Buffer> {
    return readFile(this.#file);
  }

  /** Ends the capture and gives the raw bytes of the file, with all that was seen until now. Idempotent. */
  async stop(): Promise<Buffer> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await this.#caughtUp();
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      await ended;
    }
    return readFile(this.#file);
  }

  /**
   * Waits until tcpdump has written what the kernel has for it: a signal ends it without that. Between two answers it
   * had its turn; what it was given but did not want (one of the two that loopback shows) it does not count.
   */
  async #caughtUp(): Promise<void> {
    let before: string | undefined;
    await waitFor('tcpdump to catch up', 20_000, async () => {
      this.#said = '';
      this.#child.kill('SIGUSR1');
      const counted = await waitFor(
        'counts of tcpdump',
        20_000,
        () => /(\d+) packets? captured/.exec(this.#said)?.[1],
      );
      const isSame = counted === before;
      before = counted;
      return isSame;
    });
  }
}
