import { readFileSync } from 'node:fs';

/**
 * Whether this network namespace has an interface of that name now. By the kernel's list, not by /sys, which may show
 * another namespace's interfaces.
 */
export function hasInterface(name: string): boolean {
  return readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .some((line) => line.trimStart().startsWith(`${name}:`));
}
