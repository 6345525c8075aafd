import { OverlayError } from '../base/errors.js';
import type { Mac } from '../model/mac.js';
import { announcementFrame } from './announcement.js';
import { GSO_MAX_BYTES } from './host-interface.js';
import { hasInterface, interfaceNames } from './interfaces.js';
import { readLinkAliases } from './ip-json.js';
import { formatPortMark, parsePortMark, type PortMark } from './ownership.js';
import { Rounds } from './rounds.js';
import { ipAttempts, ipBatch, mustRun, runTool } from './run.js';
import { readSysctl } from './sysctl.js';

/*
 * Targets on a network's bridge:
 *
 *          namespace                        host
 *     ┌──────────────────┐      ┌──────────────────────────┐
 *     │ eth-ovl          │ veth │ ovl0123456789 ─┐         │
 *     │ MAC, addresses,  ├──────┤                ├ overlay0│
 *     │ routes           │      │        tap vm1 ┘         │
 *     └──────────────────┘      └──────────────────────────┘
 *
 * The far end is born in the namespace, with MAC, MTU and segment size, so nothing is moved or changed afterwards: two
 * runs of `ip`, one outside and one inside. A port does not learn: its one MAC is a sticky entry of the bridge, which no
 * frame from elsewhere moves. Checksums stay offloaded: the TAP takes partial ones.
 *
 * Those that are to be made at once are made in rounds, with one `ip` for all that is outside. When it fails for one, all
 * are taken away again and made one by one, so that the others do not suffer. So are those that go.
 */

export interface PortSpec {
  readonly port: string;
  readonly bridge: string;
  readonly mark: PortMark;
  readonly mtuBytes: number;
  readonly mac: Mac | undefined;
  /** Bare; everybody on the bridge is told that they are at that MAC, when the port is made. */
  readonly addresses: readonly string[];
  /** Undefined: the port is a TAP, and nothing is done inside. */
  readonly inside: InsideSpec | undefined;
}

interface InsideSpec {
  /** File of the namespace. */
  readonly path: string;
  readonly ifName: string;
  /** Cidr texts. */
  readonly addresses: readonly string[];
  readonly gateway: string | undefined;
  readonly routes: readonly string[];
  /** Reached on the link whatever the addresses are; their MACs are fixed, so that no other member can pose as one. */
  readonly nameServers: readonly { readonly address: string; readonly mac: Mac }[];
}

/**
 * Before the interface comes up: the same guards as on the host's bridge (host-interface.ts), and neighbours are told of
 * its addresses when it does, so that nobody waits for an old entry to age. With a read-only /proc it goes without.
 */
const INSIDE_SCRIPT = `
if cd /proc/sys/net; then
  if [ "$2" = v6 ]; then echo 0 >"ipv6/conf/$1/disable_ipv6"; fi
  for guard in accept_ra autoconf accept_redirects accept_dad; do echo 0 >"ipv6/conf/$1/$guard"; done
  echo 1 >"ipv6/conf/$1/ndisc_notify"
  echo 1 >"ipv4/conf/$1/arp_notify"
  echo 1 >"ipv4/conf/$1/promote_secondaries"
fi 2>/dev/null
exec ip -batch -`;

/** The port of workload/ports.ts. */
export class AttachmentHost {
  readonly #sendFrame: (device: string, frame: Uint8Array) => void;
  readonly #creations = new Rounds<PortSpec>((specs) => this.#createAll(specs));
  readonly #removals = new Rounds<string>((ports) => this.#removeAll(ports));

  /** `sendFrame`: daemon/os-port.ts. */
  constructor(sendFrame: (device: string, frame: Uint8Array) => void) {
    this.#sendFrame = sendFrame;
  }

  async observe(): Promise<
    ReadonlyMap<string, { readonly master: string; readonly mark: PortMark | undefined }>
  > {
    const links = await readLinkAliases();
    return new Map(
      links.map(({ name, master, alias }) => [name, { master, mark: parsePortMark(alias) }]),
    );
  }

  createPort(spec: PortSpec): Promise<void> {
    return this.#creations.add(spec);
  }

  async #createAll(specs: readonly PortSpec[]): Promise<ReadonlyMap<PortSpec, unknown>> {
    const failures = new Map<PortSpec, unknown>();
    const forEach = async (work: (spec: PortSpec) => Promise<void>): Promise<void> => {
      const left = specs.filter((spec) => !failures.has(spec));
      const outcomes = await Promise.allSettled(left.map(work));
      for (const [at, spec] of left.entries()) {
        const outcome = outcomes[at];
        if (outcome?.status === 'rejected') failures.set(spec, outcome.reason);
      }
    };
    const names = interfaceNames();
    await forEach(async (spec) => {
      if (names.has(spec.port)) await this.#clear(spec);
    });
    const together = await this.#addTogether(specs.filter((spec) => !failures.has(spec)));
    await forEach(async (spec) => {
      if (!together.has(spec)) await addPort(spec);
    });
    const left = specs.filter((spec) => !failures.has(spec));
    for (const spec of left) this.#announceNew(spec);
    // Pinned twice is pinned once.
    const pinned = pinMacs(left).catch(() => forEach((spec) => pinMacs([spec])));
    await forEach(async ({ inside }) => {
      if (inside !== undefined) await configureInside(inside, [], true);
    });
    await pinned;
    for (const [{ port }, error] of failures) {
      // An interface of that name that was not there before is ours, also with half of what it needs.
      const isForeign = error instanceof OverlayError && error.code === 'OVL_IFACE_FOREIGN';
      if (!isForeign) await this.removePort(port).catch(() => undefined);
    }
    return failures;
  }

  /** @returns those that were made by one `ip`: all, or none of them is there. TAPs may be others', so they are none. */
  async #addTogether(specs: readonly PortSpec[]): Promise<ReadonlySet<PortSpec>> {
    const pairs = specs.filter(({ inside }) => inside !== undefined);
    if (pairs.length < 2) return new Set();
    try {
      await ipBatch(pairs.flatMap((spec) => linesFor(spec)));
      return new Set(pairs);
    } catch {
      for (const { port } of pairs) {
        if (this.hasPort(port)) await this.removePort(port).catch(() => undefined);
      }
      return new Set();
    }
  }

  async changeInside(spec: PortSpec, removed: readonly string[]): Promise<void> {
    if (spec.inside !== undefined) await configureInside(spec.inside, removed, false);
  }

  async rejoin(spec: PortSpec): Promise<void> {
    await ipBatch([`link set dev ${spec.port} master ${spec.bridge}`, ...asPort(spec)]);
    await pinMacs([spec]);
  }

  /**
   * By the bridge, which copies it to each port that carries something: the new one does not yet, and so never hears of
   * its own address from outside.
   */
  #announceNew({ mac, addresses, bridge }: PortSpec): void {
    if (mac !== undefined) this.announce(mac, addresses, [bridge]);
  }

  announce(mac: Mac, addresses: readonly string[], devices: readonly string[]): void {
    for (const address of addresses) {
      const frame = announcementFrame(mac, address);
      for (const device of devices) {
        try {
          this.#sendFrame(device, frame);
        } catch {
          // Gone, or down: then nobody there needs to know.
        }
      }
    }
  }

  removePort(port: string): Promise<void> {
    return this.#removals.add(port);
  }

  async #removeAll(ports: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
    const failures = new Map<string, unknown>();
    // What comes of it is seen by what is left.
    if (ports.length > 1) await ipAttempts(ports.map((port) => `link delete dev ${port}`));
    const names = interfaceNames();
    for (const port of ports) {
      if (ports.length > 1 && !names.has(port)) continue;
      await this.#remove(port).catch((error: unknown) => failures.set(port, error));
    }
    return failures;
  }

  async #remove(port: string): Promise<void> {
    const outcome = await runTool('ip', ['link', 'delete', 'dev', port]);
    if (outcome.exitCode === 0 || !this.hasPort(port)) return;
    throw new OverlayError(
      'OVL_IFACE_CONFIG',
      `Cannot remove interface ${port}: ${outcome.stderr.trim()}`,
      { value: port, cure: `Remove it by hand: ip link delete ${port}` },
    );
  }

  hasPort(name: string): boolean {
    return hasInterface(name);
  }

  names(): ReadonlySet<string> {
    return interfaceNames();
  }

  /** A port of this name is a leftover of ours, or somebody else's TAP. */
  async #clear({ port, mark }: PortSpec): Promise<void> {
    const found = (await this.observe()).get(port);
    if (found === undefined) return;
    if (found.mark?.attachment !== mark.attachment) {
      throw new OverlayError(
        'OVL_IFACE_FOREIGN',
        `Interface ${port} exists and was not made for this attachment`,
        { value: port, cure: `Remove it (ip link delete ${port}), or choose another name.` },
      );
    }
    await this.removePort(port);
  }
}

async function addPort(spec: PortSpec): Promise<void> {
  try {
    await ipBatch(linesFor(spec));
  } catch (error) {
    const { inside } = spec;
    const isTaken = error instanceof OverlayError && /File exists/.test(error.message);
    if (inside === undefined || !isTaken) throw error;
    throw new OverlayError(
      'OVL_TARGET_CONFLICT',
      `The target has an interface ${inside.ifName} already, which overlayd did not make`,
      { value: inside.ifName, cure: 'Choose another name: --ifname.', cause: error },
    );
  }
}

function linesFor(spec: PortSpec): readonly string[] {
  const { port, bridge, mtuBytes, mac, inside } = spec;
  if (inside === undefined) {
    return [
      `tuntap add dev ${port} mode tap`,
      `link set dev ${port} mtu ${mtuBytes} master ${bridge}`,
      ...asPort(spec),
    ];
  }
  const peer = [
    `name ${inside.ifName}`,
    ...(mac === undefined ? [] : [`address ${mac}`]),
    `mtu ${mtuBytes} gso_max_size ${GSO_MAX_BYTES} netns ${inside.path}`,
  ].join(' ');
  return [
    `link add name ${port} mtu ${mtuBytes} master ${bridge} type veth peer ${peer}`,
    ...asPort(spec),
  ];
}

async function pinMacs(specs: readonly PortSpec[]): Promise<void> {
  const lines = specs.flatMap(({ port, mac }) =>
    mac === undefined ? [] : [`fdb replace ${mac} dev ${port} master sticky static`],
  );
  if (lines.length > 0)
    await mustRun('bridge', ['-batch', '-'], { stdin: lines.join('\n') + '\n' });
}

function asPort({ port, mark, mac }: PortSpec): string[] {
  const hasIpv6 = readSysctl('net/ipv6/conf/all/disable_ipv6') !== undefined;
  return [
    `link set dev ${port} alias ${formatPortMark(mark)}`,
    // A port has no addresses of its own, not even a link-local one.
    ...(hasIpv6 ? [`link set dev ${port} addrgenmode none`] : []),
    `link set dev ${port} type bridge_slave learning ${mac === undefined ? 'on' : 'off'}`,
    `link set dev ${port} up`,
  ];
}

async function configureInside(
  { path, ifName, addresses, gateway, routes, nameServers }: InsideSpec,
  removed: readonly string[],
  isNew: boolean,
): Promise<void> {
  const gatewayIs6 = gateway?.includes(':') ?? false;
  const via = (route: string): string =>
    gateway !== undefined && route.includes(':') === gatewayIs6 ? `via ${gateway} ` : '';
  const lines = [
    ...removed.map((cidr) => `address del ${cidr} dev ${ifName}`),
    ...addresses.map((cidr) => `address replace ${cidr} dev ${ifName} ${addressWords(cidr)}`),
    ...(isNew ? [`link set dev ${ifName} up`] : []),
    ...(gateway === undefined ? [] : [`route replace default via ${gateway} dev ${ifName}`]),
    ...routes.map((route) => `route replace ${route} ${via(route)}dev ${ifName}`),
    ...nameServers.flatMap(({ address, mac }) => [
      ...(address.includes(':') ? [] : [`route replace ${address} dev ${ifName} scope link`]),
      `neighbour replace ${address} lladdr ${mac} dev ${ifName} nud permanent`,
    ]),
  ];
  const wantsIpv6 = addresses.some((cidr) => cidr.includes(':'));
  await mustRun(
    'nsenter',
    [`--net=${path}`, 'sh', '-c', INSIDE_SCRIPT, 'sh', ifName, wantsIpv6 ? 'v6' : 'v4'],
    { stdin: `${lines.join('\n')}\n` },
  );
}

function addressWords(cidr: string): string {
  return cidr.includes(':') ? 'nodad' : 'broadcast +';
}
