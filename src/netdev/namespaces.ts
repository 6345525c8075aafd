import { lstatSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/*
 * Where a network namespace is: a file of nsfs, whose inode tells it from the next one under the same name.
 */

const NSFS_MAGIC = 0x6e736673;
const NAMED = '/run/netns';

export interface NamespaceFile {
  readonly path: string;
  readonly inode: number;
}

export function namedNamespacePath(name: string): string {
  return `${NAMED}/${name}`;
}

/** A name that stands for one file in /run/netns, and cannot lead elsewhere or end a word of `ip`. */
export function isNamespaceName(text: string): boolean {
  return /^[A-Za-z0-9_.:@+=-]{1,200}$/.test(text) && text !== '.' && text !== '..';
}

/** As isNamespaceName, for a whole path. */
export function isNamespacePath(text: string): boolean {
  return /^\/[A-Za-z0-9_.:@+=/-]{1,1000}$/.test(text);
}

/** The name of a path that lies in /run/netns, however it is spelt. */
export function nameOfPath(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const folder = dirname(path);
  if (folder === NAMED || folder === '/var/run/netns') return name;
  try {
    return realpathSync(folder) === NAMED ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined: no network namespace there. A file that waits to become one is none yet. */
export function namespaceAt(path: string): NamespaceFile | undefined {
  try {
    const stat = statSync(path);
    if (statfsSync(path).type !== NSFS_MAGIC) return undefined;
    if (lstatSync(path).isSymbolicLink() && !readlinkSync(path).startsWith('net:')) {
      return namespaceAt(realpathSync(path));
    }
    return { path, inode: stat.ino };
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/<pid>/stat, clock ticks since boot; undefined: no such process. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, spaces and parentheses too.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Whether this process is in that namespace. */
export function isOwnNamespace(file: NamespaceFile): boolean {
  return namespaceAt('/proc/self/ns/net')?.inode === file.inode;
}
