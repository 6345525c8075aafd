import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/*
 * A small process that starts the tools for us. To start one from the daemon itself costs milliseconds, for its memory is
 * large and its page tables are copied; the shell's are not. It is told by its stdin, one tool at a time, and says how
 * each ended by a line that no tool can guess, on both streams:
 *
 *   '/usr/sbin/ip' '-batch' '-' <<'3f…'        │  what the tool prints
 *   link add …                                 │
 *   3f…                                        │
 *   s=$?; printf '\n3f… %d\n' $s …             │  3f… 0
 *
 * A word is quoted whole, so the shell takes nothing in it for its own. When the daemon dies, the shell's stdin ends and so
 * does it, after the tool that runs. SIGTERM it leaves to the daemon, whose stop still needs tools. A tool that does not
 * end takes the shell with it; the next one gets a new shell.
 */

const SHELL = '/bin/sh';
const NONCE_BYTES = 16;
/** Newline, nonce, blank, three digits, newline. */
const MARK_MAX_BYTES = 2 * NONCE_BYTES + 6;

export interface ToolShellOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
}

/** How a tool ended; −1: it did not end in time, said too much, or its shell was killed. */
export interface ShellOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Job {
  readonly script: string;
  readonly resolve: (outcome: ShellOutcome) => void;
  readonly reject: (error: unknown) => void;
}

type StreamName = 'stdout' | 'stderr';

/** What came of the tool that runs, by stream; the exit code once its mark was seen. */
interface Running {
  readonly job: Job;
  readonly chunks: Record<StreamName, Buffer[]>;
  readonly codes: Partial<Record<StreamName, number>>;
  sizeBytes: number;
  readonly timer: NodeJS.Timeout;
}

export class ToolShell {
  readonly #options: ToolShellOptions;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('hex');
  readonly #mark = new RegExp(`\\n${this.#nonce} (\\d+)\\n$`);
  readonly #line: Job[] = [];
  #child: ChildProcessWithoutNullStreams | undefined;
  #running: Running | undefined;

  constructor(options: ToolShellOptions) {
    this.#options = options;
  }

  /** Starts the shell now, while this process is small, rather than with the first tool. */
  start(): void {
    this.#child ??= this.#spawn();
  }

  /** Runs a program by its absolute path. Rejects when no shell can be started. */
  run(path: string, args: readonly string[], stdin: string): Promise<ShellOutcome> {
    if ([path, stdin, ...args].some((text) => text.includes('\0'))) {
      return Promise.reject(new Error('What a tool is told holds a NUL'));
    }
    return new Promise((resolve, reject) => {
      this.#line.push({ script: this.#scriptOf([path, ...args], stdin), resolve, reject });
      this.#next();
    });
  }

  /** The shell ends when the tool that runs does. A later `run` starts another. */
  stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      child.ref();
      child.once('close', () => {
        resolve();
      });
      child.stdin.end();
    });
  }

  #scriptOf(words: readonly string[], stdin: string): string {
    const text = stdin === '' || stdin.endsWith('\n') ? stdin : `${stdin}\n`;
    return [
      `${words.map(quote).join(' ')} <<'${this.#nonce}'\n`,
      `${text}${this.#nonce}\n`,
      `s=$?; printf '\\n${this.#nonce} %d\\n' $s; printf '\\n${this.#nonce} %d\\n' $s >&2\n`,
    ].join('');
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#line.shift();
    if (job === undefined) {
      if (this.#child) hold(this.#child, false);
      return;
    }
    const child = (this.#child ??= this.#spawn());
    const timer = setTimeout(() => {
      kill(child);
    }, this.#options.timeoutMs);
    this.#running = { job, chunks: { stdout: [], stderr: [] }, codes: {}, sizeBytes: 0, timer };
    hold(child, true);
    child.stdin.write(job.script);
  }

  #spawn(): ChildProcessWithoutNullStreams {
    // A group of its own, so that a tool that hangs ends with its shell.
    const child = spawn(SHELL, [], { env: this.#options.env, detached: true, stdio: 'pipe' });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        if (this.#child === child) this.#onData(child, name, chunk);
      });
    }
    // It may have ended before it read everything: `close` tells of that.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      this.#onEnd(child, error);
    });
    // What it had started may go on, and hold the streams open.
    child.on('exit', () => {
      if (this.#child === child && this.#running !== undefined) kill(child);
    });
    child.on('close', () => {
      this.#onEnd(child, undefined);
    });
    child.stdin.write(`trap '' TERM HUP\n`);
    hold(child, false);
    return child;
  }

  #onData(child: ChildProcessWithoutNullStreams, name: StreamName, chunk: Buffer): void {
    const running = this.#running;
    if (running === undefined) return;
    const chunks = running.chunks[name];
    chunks.push(chunk);
    running.sizeBytes += chunk.length;
    if (running.sizeBytes > this.#options.maxOutputBytes) kill(child);
    const last = chunk.length >= MARK_MAX_BYTES ? chunk : joined(chunks);
    const found = this.#mark.exec(last.subarray(-MARK_MAX_BYTES).toString('latin1'));
    if (found === null) return;
    running.codes[name] = Number(found[1]);
    const { stdout, stderr } = running.codes;
    if (stdout !== undefined && stderr !== undefined) this.#finish(running, stdout);
  }

  /** Whatever ran is lost; what waits gets another shell. */
  #onEnd(child: ChildProcessWithoutNullStreams, error: Error | undefined): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const running = this.#running;
    if (running === undefined) {
      this.#next();
      return;
    }
    if (error === undefined) {
      this.#finish(running, -1);
      return;
    }
    clearTimeout(running.timer);
    this.#running = undefined;
    running.job.reject(error);
    this.#next();
  }

  #finish({ job, chunks, timer }: Running, exitCode: number): void {
    clearTimeout(timer);
    this.#running = undefined;
    const textOf = (name: StreamName): string =>
      joined(chunks[name]).toString('utf8').replace(this.#mark, '');
    job.resolve({ exitCode, stdout: textOf('stdout'), stderr: textOf('stderr') });
    this.#next();
  }
}

/** In one piece, kept so. */
function joined(chunks: Buffer[]): Buffer {
  if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
  return chunks[0] ?? Buffer.alloc(0);
}

function quote(word: string): string {
  return `'${word.replaceAll(`'`, `'\\''`)}'`;
}

/** While nothing runs it keeps no process alive. */
function hold(child: ChildProcessWithoutNullStreams, isHeld: boolean): void {
  const parts = [child, child.stdin, child.stdout, child.stderr] as unknown as {
    ref(): void;
    unref(): void;
  }[];
  for (const part of parts) {
    if (isHeld) part.ref();
    else part.unref();
  }
}

function kill({ pid }: ChildProcessWithoutNullStreams): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
