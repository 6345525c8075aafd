import { readFileSync } from 'node:fs';

/** Bit numbers of linux/capability.h. */
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;

/** Whether a `/proc/<pid>/status` text shows the capability as effective. Text without the line: not. */
export function hasCapability(statusText: string, capability: number): boolean {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(statusText);
  if (!match) return false;
  return ((BigInt(`0x${match[1] ?? '0'}`) >> BigInt(capability)) & 1n) === 1n;
}

export function ownCapability(capability: number): boolean {
  return hasCapability(readFileSync('/proc/self/status', 'utf8'), capability);
}
