import { ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { OverlayError } from '../base/errors.js';
import type { OsModule } from './os-port.js';

const LOCK_FILE = 'lock';

export interface StateLock {
  /** Idempotent. The file stays: removing it would let two daemons lock two files of one name. */
  release(): void;
}

/**
 * One daemon a state directory: two would share an identity. The file holds the owner's pid for whom it refuses.
 * @throws OverlayError OVL_STATE_LOCKED with that pid, OVL_STATE_DIR
 */
export function lockStateDir(
  stateDir: string,
  os: Pick<OsModule, 'lockFile' | 'unlockFile'>,
  pid: number,
): StateLock {
  const path = join(stateDir, LOCK_FILE);
  let descriptor: number;
  try {
    descriptor = os.lockFile(path);
  } catch (cause) {
    throw refusal(stateDir, path, cause);
  }
  // Through the locked descriptor: closing another one of this file would drop a POSIX lock.
  ftruncateSync(descriptor, 0);
  writeSync(descriptor, `${pid}\n`, 0);
  let isHeld = true;
  return {
    release() {
      if (isHeld) os.unlockFile(descriptor);
      isHeld = false;
    },
  };
}

function refusal(stateDir: string, path: string, cause: unknown): OverlayError {
  const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  if (errno !== 'EAGAIN' && errno !== 'EWOULDBLOCK') {
    return new OverlayError('OVL_STATE_DIR', `Cannot lock ${path}: ${errno}`, {
      cure: 'Check that the directory is on a local file system and writable for overlayd',
      value: path,
      fields: { errno },
      cause,
    });
  }
  const pid = ownerPid(path);
  const who = pid === undefined ? 'another overlayd' : `the overlayd with pid ${pid}`;
  return new OverlayError('OVL_STATE_LOCKED', `State directory ${stateDir} is in use by ${who}`, {
    cure: 'Stop it first, or give this one its own --state-dir, --ifname and --port',
    value: stateDir,
    ...(pid === undefined ? {} : { fields: { pid } }),
  });
}

function ownerPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
