import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CliContext } from '../../src/cli/context.js';
import { runOverlayctl } from '../../src/cli/overlayctl.js';

export interface CliOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, as bin/overlayctl.ts would. */
export async function runCli(
  argv: readonly string[],
  changes: Partial<CliContext> = {},
): Promise<CliOutcome> {
  let out = '';
  let err = '';
  const code = await runOverlayctl(argv, {
    out: (text) => (out += text),
    err: (text) => (err += text),
    columns: undefined,
    env: {},
    monotonicMs: () => performance.now(),
    wallTime: () => '2026-06-01T00:00:00.000Z',
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    removeLeftovers: () => Promise.resolve([]),
    ...changes,
  });
  return { code, out, err };
}

/** A clock on which sleeping takes no time. */
export function virtualTime(): Pick<CliContext, 'monotonicMs' | 'sleep'> {
  let nowMs = 0;
  return {
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

const PROGRAM = fileURLToPath(new URL('../../src/bin/overlayctl.js', import.meta.url));

/** Runs the built program as an operator does. */
export function spawnCli(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...argv], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
  });
}
