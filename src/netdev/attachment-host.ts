import { OverlayError } from '../base/errors.js';
import type { Mac } from '../model/mac.js';
import { announcementFrame } from './announcement.js';
import { GSO_MAX_BYTES } from './host-interface.js';
import { hasInterface } from './interfaces.js';
import { readLinkAliases } from './ip-json.js';
import { formatPortMark, parsePortMark, type PortMark } from './ownership.js';
import { ipBatch, mustRun, runTool } from './run.js';
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
 */

export interface PortSpec {
  readonly port: string;
  readonly bridge: string;
  readonly mark: PortMark;
  readonly mtuBytes: number;
  readonly mac: Mac | undefined;
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

  async createPort(spec: PortSpec): Promise<void> {
    if (this.hasPort(spec.port)) await this.#clear(spec);
    try {
      await (spec.inside === undefined ? addTap(spec) : addVeth(spec, spec.inside));
      await all([
        pinMac(spec),
        ...(spec.inside === undefined ? [] : [configureInside(spec.inside, [], true)]),
      ]);
    } catch (error) {
      // An interface of that name that was not there before is ours, also with half of what it needs.
      if (!(error instanceof OverlayError && error.code === 'OVL_IFACE_FOREIGN')) {
        await this.removePort(spec.port).catch(() => undefined);
      }
      throw error;
    }
  }

  async changeInside(spec: PortSpec, removed: readonly string[]): Promise<void> {
    if (spec.inside !== undefined) await configureInside(spec.inside, removed, false);
  }

  async rejoin(spec: PortSpec): Promise<void> {
    await ipBatch([`link set dev ${spec.port} master ${spec.bridge}`, ...asPort(spec)]);
    await pinMac(spec);
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

  async removePort(port: string): Promise<void> {
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

async function addVeth(spec: PortSpec, inside: InsideSpec): Promise<void> {
  const { port, bridge, mtuBytes, mac } = spec;
  const peer = [
    `name ${inside.ifName}`,
    ...(mac === undefined ? [] : [`address ${mac}`]),
    `mtu ${mtuBytes} gso_max_size ${GSO_MAX_BYTES} netns ${inside.path}`,
  ].join(' ');
  try {
    await ipBatch([
      `link add name ${port} mtu ${mtuBytes} master ${bridge} type veth peer ${peer}`,
      ...asPort(spec),
    ]);
  } catch (error) {
    if (!(error instanceof OverlayError) || !/File exists/.test(error.message)) throw error;
    throw new OverlayError(
      'OVL_TARGET_CONFLICT',
      `The target has an interface ${inside.ifName} already, which overlayd did not make`,
      { value: inside.ifName, cure: 'Choose another name: --ifname.', cause: error },
    );
  }
}

async function addTap(spec: PortSpec): Promise<void> {
  await ipBatch([
    `tuntap add dev ${spec.port} mode tap`,
    `link set dev ${spec.port} mtu ${spec.mtuBytes} master ${spec.bridge}`,
    ...asPort(spec),
  ]);
}

/** Waits for each of them, then fails if one did. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

async function pinMac({ port, mac }: PortSpec): Promise<void> {
  if (mac === undefined) return;
  await mustRun('bridge', ['fdb', 'replace', mac, 'dev', port, 'master', 'sticky', 'static']);
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
