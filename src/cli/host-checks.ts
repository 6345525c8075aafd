import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import type { CliContext } from './context.js';

export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly found: string;
  /** What to do; empty when all is well. */
  readonly cure: string;
}

/** Bit of CapEff in /proc/<pid>/status, capability.h. */
const CAP_NET_ADMIN = 12n;

/** Where the daemon looks for its tools, whatever PATH says (netdev/run.ts). */
const TOOL_DIRECTORIES = [
  '/usr/sbin',
  '/sbin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/local/bin',
];

/** The wall clock cannot be earlier than this program: it was written in 2026. ISO texts sort by time. */
const EARLIEST_TIME = '2026-01-01';

export function checkHost(context: CliContext): Check[] {
  return [
    checkTun(),
    checkCapability(),
    checkTool('ip', 'fail', 'iproute2'),
    checkTool('nft', 'warn', 'nftables'),
    checkTool('arping', 'warn', 'iputils-arping'),
    checkKernel(release()),
    checkIpv6(),
    checkClock(context.wallTime()),
  ];
}

function checkTun(): Check {
  const name = '/dev/net/tun';
  const isDevice = statSync(name, { throwIfNoEntry: false })?.isCharacterDevice() ?? false;
  if (!isDevice) {
    return {
      name,
      state: 'fail',
      found: 'missing',
      cure: "Load the module with 'modprobe tun'; for a container, pass the device in (--device /dev/net/tun).",
    };
  }
  try {
    accessSync(name, constants.R_OK | constants.W_OK);
  } catch {
    return { name, state: 'fail', found: 'no access', cure: 'Run it as root.' };
  }
  return { name, state: 'ok', found: 'present', cure: '' };
}

function checkCapability(): Check {
  const name = 'CAP_NET_ADMIN';
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const has = ((BigInt(`0x${match?.[1] ?? '0'}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  return has
    ? { name, state: 'ok', found: 'held by this process', cure: '' }
    : {
        name,
        state: 'fail',
        found: 'not held by this process',
        cure: 'overlayd needs it to make interfaces: run it as root, or in a container with --cap-add NET_ADMIN.',
      };
}

function checkTool(name: string, missing: 'warn' | 'fail', packageName: string): Check {
  const found = TOOL_DIRECTORIES.map((directory) => join(directory, name)).find(isExecutable);
  return found === undefined
    ? { name, state: missing, found: 'not installed', cure: `apt-get install ${packageName}` }
    : { name, state: 'ok', found, cure: '' };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** UDP_SEGMENT came with 4.18 and UDP_GRO with 5.0; TUN's USO with 6.2. Older kernels work, slower. */
export function checkKernel(version: string): Check {
  const name = 'kernel';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isBefore = (wantedMajor: number, wantedMinor: number): boolean =>
    major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
  if (isBefore(5, 0)) {
    return {
      name,
      state: 'warn',
      found: `${version}: no UDP segmentation offload both ways`,
      cure: 'It works, far below its best speed; Linux 5.0 or newer is wanted, 6.2 or newer is best.',
    };
  }
  const extra = isBefore(6, 2) ? ', without USO (6.2)' : '';
  return { name, state: 'ok', found: `${version}${extra}`, cure: '' };
}

function checkIpv6(): Check {
  const isOn = statSync('/proc/net/if_inet6', { throwIfNoEntry: false }) !== undefined;
  return isOn
    ? { name: 'IPv6', state: 'ok', found: 'enabled', cure: '' }
    : {
        name: 'IPv6',
        state: 'warn',
        found: 'disabled in this kernel',
        cure: 'Nodes then reach each other by IPv4 only; remove ipv6.disable=1 from the kernel command line to change it.',
      };
}

export function checkClock(wallTime: string): Check {
  const name = 'clock';
  return wallTime >= EARLIEST_TIME
    ? { name, state: 'ok', found: wallTime, cure: '' }
    : {
        name,
        state: 'fail',
        found: `${wallTime}, before this program was written`,
        cure: "Set it: 'timedatectl set-ntp true', or 'date -s'.",
      };
}
