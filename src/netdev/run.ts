import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

import { OverlayError } from '../base/errors.js';
import { ToolShell } from './tool-shell.js';

/*
 * Child processes: the one place that starts `ip`, `nft` and their kin. Tools are looked up in the system folders
 * only, by absolute path: a daemon with CAP_NET_ADMIN does not follow somebody's PATH.
 *
 * A process that runs many has them started by a shell (tool-shell.ts), one after the other; another one, and a tool that
 * may be called off or is given a time, starts them by itself.
 */

const TOOL_FOLDERS = [
  '/usr/sbin',
  '/sbin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/local/bin',
];

/** No `ip` call of ours takes longer unless the kernel's rtnl lock is stuck. */
const TOOL_TIMEOUT_MS = 10_000;
/** … and where everything waits for it. */
const TOOL_NOW_TIMEOUT_MS = 2000;
const TOOL_OUTPUT_BYTES = 8 * 1024 * 1024;
const TOOL_ENV = { LC_ALL: 'C', PATH: TOOL_FOLDERS.join(':') };

let shell: ToolShell | undefined;

const PACKAGE_OF_TOOL: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  nft: 'nftables',
  ethtool: 'ethtool',
  arping: 'iputils-arping',
  nsenter: 'util-linux',
};

export interface RunOutcome {
  /** Exit code; −1 when the process was killed by a signal, the time-out or `signal`. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly timeoutMs?: number;
  /** Aborting kills the process; the outcome then has what was printed so far. */
  readonly signal?: AbortSignal;
}

/** From here on a shell starts the tools; as early as can be, for then it costs least. The function it returns ends that. */
export function startToolShell(): () => Promise<void> {
  const started = new ToolShell({
    ...{ env: TOOL_ENV, timeoutMs: TOOL_TIMEOUT_MS, maxOutputBytes: TOOL_OUTPUT_BYTES },
  });
  started.start();
  shell = started;
  return () => {
    if (shell === started) shell = undefined;
    return started.stop();
  };
}

/** Absolute path of a tool, or undefined when this host does not have it. Not cached: tools get installed meanwhile. */
export function findTool(name: string): string | undefined {
  return TOOL_FOLDERS.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Runs a tool to its end whatever its exit code is.
 * @throws OverlayError OVL_IFACE_CONFIG when the tool is not installed or cannot be started
 */
export async function runTool(
  name: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunOutcome> {
  const path = findTool(name);
  if (path === undefined) {
    const packageName = PACKAGE_OF_TOOL[name] ?? name;
    const where = TOOL_FOLDERS.join(':');
    throw new OverlayError('OVL_IFACE_CONFIG', `Cannot find the tool ${name} in ${where}`, {
      cure: `Install it, e.g. apt-get install ${packageName}`,
      value: name,
    });
  }
  const isPlain = options.timeoutMs === undefined && options.signal === undefined;
  try {
    return await (shell !== undefined && isPlain
      ? shell.run(path, args, options.stdin ?? '')
      : runChild(path, args, options));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OverlayError('OVL_IFACE_CONFIG', `Cannot run ${path}: ${why}`, {
      cure: 'Look at the cause; the host may be out of memory or processes',
      value: path,
      cause: error,
    });
  }
}

function runChild(path: string, args: readonly string[], options: RunOptions): Promise<RunOutcome> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      path,
      [...args],
      {
        encoding: 'utf8',
        env: TOOL_ENV,
        timeout: options.timeoutMs ?? TOOL_TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: TOOL_OUTPUT_BYTES,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (error, stdout, stderr) => {
        const isOutcome =
          error === null ||
          typeof error.code === 'number' ||
          error.killed === true ||
          error.code === 'ABORT_ERR';
        if (!isOutcome) {
          reject(new Error(error.message, { cause: error }));
          return;
        }
        const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ exitCode, stdout, stderr });
      },
    );
    // The tool may end before it has read everything: its exit code tells the story, not EPIPE.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin ?? '');
  });
}

/**
 * Runs a tool that must succeed and returns its stdout.
 * @throws OverlayError OVL_NOT_PERMITTED, OVL_IFACE_CONFIG with the tool's own words
 */
export async function mustRun(
  name: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const outcome = await runTool(name, args, options);
  if (outcome.exitCode === 0) return outcome.stdout;
  const said = outcome.stderr.trim().replaceAll('\n', '; ');
  const command = [name, ...args].join(' ');
  if (/operation not permitted|permission denied/i.test(said)) {
    throw new OverlayError('OVL_NOT_PERMITTED', `Not permitted to run ${command}: ${said}`, {
      cure: 'Run as root or with CAP_NET_ADMIN',
      value: command,
    });
  }
  const why = outcome.exitCode === -1 ? 'it did not end in time' : said;
  throw new OverlayError('OVL_IFACE_CONFIG', `Cannot run ${command}: ${why}`, {
    cure: 'Look at what the tool said; `ip -d link show` tells the present state',
    value: options.stdin?.trim() ?? command,
    fields: { exitCode: outcome.exitCode },
  });
}

/** Runs a tool while everything else waits: when time is up. @returns its stdout; empty where it failed */
export function runToolNow(name: string, args: readonly string[]): string {
  const path = findTool(name);
  if (path === undefined) return '';
  const { status, stdout } = spawnSync(path, [...args], {
    encoding: 'utf8',
    env: TOOL_ENV,
    timeout: TOOL_NOW_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: TOOL_OUTPUT_BYTES,
  });
  return status === 0 ? stdout : '';
}

/** Several commands of `ip` in one process, in order, whatever becomes of each. */
export async function ipAttempts(lines: readonly string[]): Promise<void> {
  await runTool('ip', ['-force', '-batch', '-'], { stdin: lines.join('\n') + '\n' });
}

/** One `ip` process for several commands, in order, stopping at the first that fails. */
export async function ipBatch(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await mustRun('ip', ['-batch', '-'], { stdin: lines.join('\n') + '\n' });
}
