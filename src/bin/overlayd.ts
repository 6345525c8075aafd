#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --optimize-for-size --single-threaded-gc
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { hostname } from 'node:os';

import { productVersion } from '../api/version.js';
import { OverlayError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { createLog, loadPrettifier } from '../base/log.js';
import type { DaemonConfig } from '../daemon/config.js';
import { loadConfig } from '../daemon/config.js';
import { changedSettings } from '../daemon/config-diff.js';
import { passwordWarning, readPassword } from '../daemon/password.js';
import type { DebugSettings } from './debug-settings.js';
import { readDebugSettings } from './debug-settings.js';
import type { Service, ServiceInputs } from './service.js';
import { startService } from './service.js';

/*
 * The process: argv, environment, signals, exit codes.
 *   0 after SIGTERM, SIGINT or reset · 1 failure · 2 bad usage
 *
 * The flags in the first line keep it about 9 MB smaller (90 to 81 idle); no frame passes JavaScript or malloc.
 */

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** Interfaces are taken away without waiting then, and the rest stays; systemd would wait longer and then kill. */
const STOP_TIMEOUT_MS = 8000;
const NEW_IDENTITY = {
  code: 'new-identity',
  message: 'This node took a new identity: another one ran with the identity it had',
  cure: 'Do not copy the state directory: a machine without one makes its own identity.',
};
const SECRET_ENV = 'OVERLAYD_PASSWORD';

// First of all: it overwrites the argument area, where `ps` would show the password.
const argv = process.argv.slice(2);
process.title = 'overlayd';
process.umask(0o077);

function readAtMost(path: string, maxBytes: number): string {
  const descriptor = path === '-' ? 0 : openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    while (length < bytes.length) {
      const got = readSync(descriptor, bytes, length, bytes.length - length, null);
      if (got === 0) break;
      length += got;
    }
    return bytes.toString('utf8', 0, length);
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

function readConfig(): ReturnType<typeof loadConfig> {
  return loadConfig({
    argv,
    hostname: hostname(),
    cwd: process.cwd(),
    version: productVersion(),
    readFile: (path) => readFileSync(path, 'utf8'),
  });
}

function describe(error: unknown): string {
  if (!(error instanceof OverlayError)) {
    const message = error instanceof Error ? error.message : String(error);
    return `${message} (OVL_INTERNAL). This is a bug in overlayd: report it with the log`;
  }
  return `${error.message} (${error.code}). ${error.cure}`;
}

function refuseUsage(error: unknown): never {
  process.stderr.write(`error: ${describe(error)}\n`);
  process.exit(error instanceof OverlayError ? EXIT_USAGE : EXIT_FAILURE);
}

async function makeLog(level: string): Promise<Log> {
  const destination = { write: (line: string) => void process.stderr.write(line) };
  // Whoever read the log is gone; the mesh goes on.
  process.stderr.on('error', () => undefined);
  return process.stderr.isTTY
    ? createLog({ level, destination, prettify: await loadPrettifier() })
    : createLog({ level, destination });
}

function failureFields(error: unknown): Record<string, unknown> {
  return error instanceof OverlayError
    ? { code: error.code, cure: error.cure, value: error.value, ...error.fields }
    : { code: 'OVL_INTERNAL', err: error };
}

function reload(running: DaemonConfig, log: Log): void {
  try {
    const outcome = readConfig();
    if (outcome.kind !== 'run') return;
    log.setLevel(outcome.config.logLevel);
    const settings = changedSettings(running, outcome.config);
    if (settings.length === 0)
      log.info({ logLevel: outcome.config.logLevel }, 'Configuration reloaded');
    else
      log.warn(
        { settings },
        'Configuration reloaded; these settings take effect at the next start',
      );
  } catch (error) {
    log.error(failureFields(error), `Cannot reload the configuration: ${describe(error)}`);
  }
}

async function run(config: DaemonConfig, password: string): Promise<void> {
  const log = await makeLog(config.logLevel);
  let service: Service | undefined;
  let stopping: Promise<never> | undefined;
  let takeAway = (): void => undefined;

  const stop = (exitCode: number): Promise<never> => {
    stopping ??= (async () => {
      service?.notify('STOPPING=1');
      setTimeout(() => {
        log.error({ timeoutMs: STOP_TIMEOUT_MS }, 'Stopping takes too long; giving up');
        takeAway();
        process.exit(EXIT_FAILURE);
      }, STOP_TIMEOUT_MS);
      try {
        await starting.catch(() => undefined);
        await service?.stop();
      } catch (error) {
        log.error(failureFields(error), `Cannot stop cleanly: ${describe(error)}`);
        process.exit(EXIT_FAILURE);
      }
      process.exit(exitCode);
    })();
    return stopping;
  };
  const fail = (what: string, error: unknown): void => {
    log.error(failureFields(error), `${what}: ${describe(error)}`);
    void stop(EXIT_FAILURE);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, stopping === undefined ? 'Told to stop' : 'Already stopping');
      void stop(0);
    });
  }
  process.on('SIGHUP', () => {
    reload(config, log);
  });
  process.on('uncaughtException', (error) => {
    fail('Stopping after an unexpected failure', error);
  });

  const warning = passwordWarning(password);
  if (debug.isDebugging) log.warn({ ...debug }, 'Debug settings are in force: not for a real mesh');
  const inputs: ServiceInputs = {
    config,
    password,
    log,
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    debug,
    warnings: warning === undefined ? [] : [warning],
    onLastResort: (step) => {
      takeAway = step;
    },
    onFatal: (error) => {
      fail('Stopping', error);
    },
    onReset: () => {
      log.info({}, 'Everything is removed; stopping');
      setImmediate(() => void stop(0));
    },
    onCloned: () => {
      // Not from inside the daemon's own turn.
      setImmediate(() => void startAgain());
    },
  };
  const startAgain = async (): Promise<void> => {
    if (stopping !== undefined || service === undefined) return;
    const before = service;
    starting = before
      .stop()
      .then(() => startService({ ...inputs, warnings: [...inputs.warnings, NEW_IDENTITY] }));
    try {
      service = await starting;
    } catch (error) {
      service = undefined;
      fail('Cannot start with the new identity', error);
    }
  };
  let starting = startService(inputs);
  try {
    service = await starting;
  } catch (error) {
    if (stopping !== undefined) return;
    log.error(failureFields(error), `Cannot start: ${describe(error)}`);
    process.exit(EXIT_FAILURE);
  }
  service.notify('READY=1');
}

let config: DaemonConfig;
let password: string;
let debug: DebugSettings;
try {
  const outcome = readConfig();
  if (outcome.kind === 'print') {
    process.stdout.write(outcome.text);
    process.exit(0);
  }
  config = outcome.config;
  debug = readDebugSettings(process.env);
  password = readPassword(config.password, { env: process.env, readFile: readAtMost });
} catch (error) {
  refuseUsage(error);
}
Reflect.deleteProperty(process.env, SECRET_ENV);
void run(config, password);
