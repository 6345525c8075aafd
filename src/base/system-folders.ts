import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing, with `mode` less the umask. Not by `mkdir` with `recursive`: that
 * tries for ever where a folder exists and lets nobody make anything in it with ENOENT, as /proc does (Node 20).
 *
 * @returns whether it was missing
 * @throws what mkdir says; ENOTDIR or EEXIST when there is something else than a folder on the way
 */
export function makeFolders(path: string, mode = 0o777): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return false;
  const above = dirname(path);
  if (above !== path) makeFolders(above, mode);
  try {
    mkdirSync(path, mode);
    return true;
  } catch (cause) {
    // Another may have made it meanwhile; a path that ends in '..' was there all along.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return false;
    throw cause;
  }
}
