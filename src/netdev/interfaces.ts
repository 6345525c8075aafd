import { readFileSync } from 'node:fs';

/*
 * What interfaces this network namespace has now. By the kernel's list, not by /sys, which may show another namespace's.
 */

export function interfaceNames(): ReadonlySet<string> {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n');
  return new Set(lines.flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []));
}

export function hasInterface(name: string): boolean {
  return interfaceNames().has(name);
}
