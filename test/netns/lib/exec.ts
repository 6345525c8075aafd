import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Default 30 000; the program is killed then and the outcome's code is 124, as with timeout(1). */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a program to its end; a code other than 0 is an outcome, not an error. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error('run() wants a program');
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { env: { ...process.env, ...options.env }, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 30_000);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined); // It may end without having read its input.
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const ended = isLate ? 124 : (code ?? (signal === null ? 1 : 128));
      resolve({ code: ended, stdout, stderr });
    });
  });
}

/** Runs a program that must succeed, and gives what it printed. The error names the command and what it said. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(argv, options);
  if (outcome.code !== 0) {
    throw new Error(
      `${argv.join(' ')} ended with ${String(outcome.code)}\n${outcome.stderr}${outcome.stdout}`,
    );
  }
  return outcome.stdout;
}
