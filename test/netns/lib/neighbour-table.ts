import { readFile, writeFile } from 'node:fs/promises';

/*
 * Namespaces of one kernel share its table of ARP entries: 1024 by default, and when it is full nothing can be sent to
 * an address that is not in it yet. Fifty hosts that all know each other need 2450, and as many again on the overlay.
 */

const LIMITS = ['gc_thresh3', 'gc_thresh2'] as const;

/** Lets the kernel keep at least so many ARP entries. @returns what sets it back */
export async function allowNeighbours(count: number): Promise<() => Promise<void>> {
  const before = new Map<string, string>();
  for (const limit of LIMITS) {
    const path = `/proc/sys/net/ipv4/neigh/default/${limit}`;
    // Only the first network namespace of a machine shows it.
    const value = await readFile(path, 'utf8').catch(() => undefined);
    if (value === undefined || Number(value) >= count) continue;
    before.set(path, value.trim());
    await writeFile(path, String(count));
  }
  return async () => {
    for (const [path, value] of before) await writeFile(path, value);
  };
}
