import {
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { OverlayError } from '../base/errors.js';
import { makeFolders } from '../base/system-folders.js';

/**
 * Makes the directory, 0700, or checks the one that is there: nobody else may be able to replace what is in it.
 * @throws OverlayError OVL_STATE_DIR
 */
export function ensureStateDir(path: string, ownUid: number): void {
  try {
    makeFolders(path, 0o700);
  } catch (cause) {
    throw stateDirError(path, 'Cannot create state directory', cause);
  }
  const stat = statSync(path);
  if (!stat.isDirectory()) throw stateDirError(path, 'State directory is a file:', undefined);
  const isForeign = stat.uid !== 0 && stat.uid !== ownUid;
  if (isForeign || (stat.mode & 0o022) !== 0) {
    const why = isForeign ? `it belongs to uid ${stat.uid}` : 'others may write to it';
    throw new OverlayError('OVL_STATE_DIR', `Cannot trust state directory ${path}: ${why}`, {
      cure: `chown root ${path} && chmod 700 ${path}, or choose another --state-dir`,
      value: path,
    });
  }
}

/** Replaces a file, 0600, so that a crash leaves the old one or the new one, whole. */
export function writeFileAtomically(path: string, text: string): void {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.new`);
  try {
    const descriptor = openSync(temporary, 'w', 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
    syncDirectory(directory);
  } catch (cause) {
    try {
      unlinkSync(temporary);
    } catch {
      // It was not made, or is renamed already.
    }
    throw stateDirError(path, 'Cannot write', cause);
  }
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function stateDirError(path: string, doing: string, cause: unknown): OverlayError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  const why = errno === undefined ? '' : `: ${errno}`;
  const cure =
    errno === 'ENOSPC'
      ? 'Make room on that file system'
      : 'Check the path and that overlayd may write there, or choose another --state-dir';
  return new OverlayError('OVL_STATE_DIR', `${doing} ${path}${why}`, {
    cure,
    value: path,
    ...(errno === undefined ? {} : { fields: { errno } }),
    cause,
  });
}
