import { readFileSync, writeFileSync } from 'node:fs';

import { OverlayError } from '../base/errors.js';

/** Where a sysctl lives: an interface name may hold dots, so keys here are paths, not dotted names. */
function sysctlPath(path: string): string {
  return `/proc/sys/${path}`;
}

/** Whether IPv6 is switched off on an interface; absent when the kernel has none. */
export function disableIpv6Of(device: string): string {
  return `net/ipv6/conf/${device}/disable_ipv6`;
}

/** The value as text, or undefined when this kernel does not have it (IPv6 off, module not loaded). */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(sysctlPath(path), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/**
 * The reverse-path filter in effect on an interface: 0 none, 1 strict, 2 loose. The kernel takes the larger of `all` and
 * the interface's own, so 2 wins over 1.
 */
export function reversePathFilter(
  device: string,
  read: (name: string) => string | undefined = (name) =>
    readSysctl(`net/ipv4/conf/${name}/rp_filter`),
): number {
  return Math.max(Number(read('all') ?? 0), Number(read(device) ?? 0));
}

/**
 * Sets a value unless it is so already; a sysctl that this kernel does not have is left out.
 * @throws OverlayError OVL_IFACE_CONFIG, OVL_NOT_PERMITTED
 */
export function writeSysctl(path: string, value: string): void {
  const current = readSysctl(path);
  if (current === undefined || current === value) return;
  try {
    writeFileSync(sysctlPath(path), value);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? '';
    const isReadOnly = errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM';
    throw new OverlayError(
      isReadOnly ? 'OVL_NOT_PERMITTED' : 'OVL_IFACE_CONFIG',
      `Cannot set sysctl ${path} to ${value}: it is ${current} and writing fails with ${errno}`,
      {
        cure: 'Run where /proc/sys/net is writable, or set it beforehand (a container needs --privileged or the sysctl given by the runtime)',
        value: path,
        fields: { errno },
        cause: error,
      },
    );
  }
}
