import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/*
 * lmdb maps its file and trusts it: opening a damaged one ends the process by a signal, without a word. So the two
 * meta pages are looked at first (lmdb.h MDB_meta, behind a page header of 24 bytes):
 *
 *   24 magic u32 · 28 format u32 · 48 page size u32 · 144 last page in use u64 · 152 transaction u64
 */

const MAGIC = 0xbeefc0de;
const META_BYTES = 160;
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
}

/** Why the file cannot be a whole lmdb database; undefined: it can, or there is none yet. */
export function databaseDamage(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    return errno === 'ENOENT' ? undefined : `it cannot be read (${errno ?? 'unknown error'})`;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return 'it is no file';
    if (stat.size === 0) return undefined;
    const first = readMeta(descriptor, 0);
    const second = first === undefined ? undefined : readMeta(descriptor, first.pageBytes);
    if (first === undefined || second === undefined) return 'it is not an lmdb database';
    const neededBytes = (Math.max(first.lastPage, second.lastPage) + 1) * first.pageBytes;
    if (stat.size >= neededBytes) return undefined;
    return `it has ${stat.size} bytes where ${neededBytes} are in use`;
  } finally {
    closeSync(descriptor);
  }
}

function readMeta(descriptor: number, position: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(descriptor, bytes, 0, META_BYTES, position) < META_BYTES) return undefined;
  const pageBytes = bytes.readUInt32LE(48);
  if (bytes.readUInt32LE(24) !== MAGIC || !PAGE_SIZES.includes(pageBytes)) return undefined;
  return { pageBytes, lastPage: Number(bytes.readBigUInt64LE(144)) };
}
