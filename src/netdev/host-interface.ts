import { createHash } from 'node:crypto';

import { OverlayError } from '../base/errors.js';
import { toHex } from '../base/bytes.js';
import type { HostInterface, HostWarning } from '../daemon/ports.js';
import type { Mac } from '../model/mac.js';
import type { NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { shortPeerId, tapMacOfPeer } from '../model/peer-id.js';
import { canProbe, probeIpv4 } from './address-probe.js';
import { CAP_NET_ADMIN, ownCapability } from './capabilities.js';
import { findHostWarnings } from './host-warnings.js';
import { removeNameServerAddress } from './name-server-address.js';
import { refuseOverlap } from './pool-overlap.js';
import type { LinkAlias, LinkInfo } from './ip-json.js';
import {
  canonicalCidr,
  linkAliasesOf,
  readAddresses,
  readLink,
  readLinkAliases,
  readPorts,
} from './ip-json.js';
import type { Mark, NetworkMark } from './ownership.js';
import { formatMark, judgeFound, parseMark, parsePortMark } from './ownership.js';
import { ipBatch, runTool, runToolNow } from './run.js';
import { disableIpv6Of, readSysctl, writeSysctl } from './sysctl.js';

/*
 * The host side of a network, here the default one:
 *
 *      own address, routes of the host
 *               │
 *        ┌──────┴──────┐
 *        │  overlay0   │  bridge, marked as ours in its alias
 *        └─┬─────────┬─┘
 *     overlay0-t   later: attachments
 *       (TAP)
 *          │
 *      data plane
 *
 * Another network's bridge is called ovn and eight digits. The host has no address there but the name server's and what
 * is exposed, and must not be a way from one network to another: nothing is forwarded from there, what comes in for an
 * address on another interface is refused (strict reverse path), and ARP for such is not answered.
 *
 * A bridge from the start, so that an attachment never moves the host's address. Nothing that does not carry our mark
 * is changed or removed. Every step may be repeated: after a crash the next start finds some of it done.
 */

/**
 * Largest TCP super-frame the host may hand us, bytes: one UDP GSO send takes 65 507 bytes, and each of the ≤ 64
 * segments in it carries its own Ethernet, IP and TCP headers besides our overhead (docs/architecture.md, tx). Set on
 * the bridge, where frames originate; on the TAP the kernel would cut larger frames to MTU size before we see them.
 */
export const GSO_MAX_BYTES = 58_000;
const TAP_TX_QUEUE_PACKETS = 1000;
const TAP_SUFFIX = '-t';
/** Any value but the wanted MTU: setting an MTU that is already set does not count as set by the user. */
const OTHER_MTU_BYTES = 1281;

export interface HostInterfaceOptions {
  /** The bridge; the TAP is `<ifName>-t`. At most 13 characters. */
  readonly ifName: string;
  readonly meshId: Uint8Array;
  readonly peerId: PeerId;
  readonly mtuBytes: number;
  /** Address pool, cidr text: refused when it overlaps a route of this host. */
  readonly pool: string;
  /** This node has lived in that pool before: then an overlap is only warned about. For the default network. */
  readonly isPoolKnown?: boolean;
  /** Undefined: it is the default one's. */
  readonly network?: NetworkMark;
}

export function tapNameOf(ifName: string): string {
  return `${ifName}${TAP_SUFFIX}`;
}

/** The bridge of a network beside the default one: 11 characters, so that a TAP's name fits too. */
export function networkBridgeName(ifName: string, network: NetworkId): string {
  const text = ['overlayd/1', 'network', ifName, String(network)].join('\0');
  return `ovn${createHash('blake2b512').update(text).digest('hex').slice(0, 8)}`;
}

/**
 * Bridges of networks that the daemon of `ifName` does not use any more, with their ports and what `peer`, which it is,
 * answered names with: left by a crash.
 * @throws OVL_IFACE_CONFIG
 */
export async function removeNetworkBridges(
  ifName: string,
  used: ReadonlySet<string>,
  peer: PeerId,
): Promise<void> {
  const links = await readLinkAliases();
  const found = links.filter(({ name, alias }) => {
    return parseMark(alias)?.network?.ifName === ifName && !used.has(name);
  });
  for (const { name, alias } of found) {
    if (name.endsWith(TAP_SUFFIX) && used.has(name.slice(0, -TAP_SUFFIX.length))) continue;
    for (const port of links) {
      if (port.master === name && parsePortMark(port.alias)) await deleteLink(port.name);
    }
    // A rule outlives the interface that it is for.
    const network = parseMark(alias)?.network;
    if (network && !name.endsWith(TAP_SUFFIX)) {
      await removeNameServerAddress(name, network.id, peer);
    }
    await deleteLink(name);
  }
}

/** Whether packets that come in from a network's bridge may be routed at all: as the host does, or never. */
export function setNetworkForwarding(bridge: string, isOn: boolean): void {
  const host = readSysctl('net/ipv4/ip_forward') ?? '0';
  writeSysctl(`net/ipv4/conf/${bridge}/forwarding`, isOn ? host : '0');
}

/** The port of daemon/ports.ts, and what a hurried stop and `reset` need. */
export interface LinuxHostInterface extends HostInterface {
  /** `down` without waiting for anything else, for a stop whose time is up. Never throws. */
  downNow(): void;
  /** For `reset`, also without `up`: bridge and TAP go even with ports attached, provided they are ours and not in use. */
  removeEverything(): Promise<void>;
}

export function createHostInterface(options: HostInterfaceOptions): LinuxHostInterface {
  return new BridgeAndTap(options);
}

class BridgeAndTap implements LinuxHostInterface {
  readonly #ifName: string;
  readonly #tapName: string;
  readonly #mtuBytes: number;
  readonly #pool: string;
  readonly #isPoolKnown: boolean;
  readonly #mesh: string;
  readonly #peerId: PeerId;
  readonly #network: NetworkMark | undefined;
  /** Addresses the daemon itself put on the bridge, canonical. */
  #ownAddresses: readonly string[] = [];
  /** What another daemon of this host runs carries a mark, too: only what `up` took is taken down. */
  #isTaken = false;

  constructor(options: HostInterfaceOptions) {
    this.#ifName = options.ifName;
    this.#tapName = tapNameOf(options.ifName);
    this.#mtuBytes = options.mtuBytes;
    this.#pool = options.pool;
    this.#isPoolKnown = options.isPoolKnown ?? false;
    this.#mesh = toHex(options.meshId.subarray(0, 4));
    this.#peerId = options.peerId;
    this.#network = options.network;
  }

  async preflight(): Promise<void> {
    if (!ownCapability(CAP_NET_ADMIN)) {
      throw new OverlayError(
        'OVL_NOT_PERMITTED',
        'Cannot configure network interfaces without CAP_NET_ADMIN',
        {
          cure: 'Run overlayd as root, or under systemd with AmbientCapabilities=CAP_NET_ADMIN',
          value: this.#ifName,
        },
      );
    }
    const bridge = await readLink(this.#ifName);
    const tap = await readLink(this.#tapName);
    const ports = bridge?.kind === 'bridge' ? await readPorts(this.#ifName) : [];
    const names = { ifName: this.#ifName, tapName: this.#tapName };
    const refusal = judgeFound(names, this.#mesh, { bridge, tap, ports });
    if (refusal !== undefined) {
      throw new OverlayError('OVL_IFACE_FOREIGN', refusal.message, {
        cure: refusal.cure,
        value: refusal.value,
      });
    }
    if (this.#network === undefined && !this.#isPoolKnown) {
      await refuseOverlap(
        this.#pool,
        [],
        (free) =>
          `Give all nodes of the mesh a pool that none of them has a route to; here ${free} is free: --ipalloc-range ${free}`,
      );
    }
    if (bridge !== undefined) this.#ownAddresses = parseMark(bridge.alias)?.ownAddresses ?? [];
  }

  async up(mac: Mac): Promise<void> {
    const present = await readLink(this.#ifName);
    if (present !== undefined) this.#mustBeOurs(present);
    this.#isTaken = true;
    // The MAC goes with the creation: a bridge without one is given one by udev a moment later.
    if (present === undefined) {
      await ipBatch([
        `link add name ${this.#ifName} address ${mac} type bridge`,
        `link set dev ${this.#ifName} alias ${formatMark(this.#mark())}`,
        `link set dev ${this.#ifName} mtu ${OTHER_MTU_BYTES}`,
      ]);
    }
    this.#guardBridge();
    this.#guardTap();
    const tapAlias = formatMark({ ...this.#mark(), ownAddresses: [] });
    await ipBatch([
      `link set dev ${this.#ifName} alias ${formatMark(this.#mark())}`,
      `link set dev ${this.#ifName} address ${mac}`,
      ...(this.#hasIpv6() ? [`link set dev ${this.#ifName} addrgenmode eui64`] : []),
      `link set dev ${this.#ifName} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set dev ${this.#tapName} alias ${tapAlias}`,
      `link set dev ${this.#tapName} address ${tapMacOfPeer(this.#peerId)} mtu ${this.#mtuBytes} txqueuelen ${TAP_TX_QUEUE_PACKETS}`,
      `link set dev ${this.#tapName} master ${this.#ifName}`,
      // After the first port: a bridge follows the smallest MTU of its ports until one is set by the user.
      `link set dev ${this.#ifName} mtu ${this.#mtuBytes} gso_max_size ${GSO_MAX_BYTES}`,
      `link set dev ${this.#tapName} up`,
      `link set dev ${this.#ifName} up`,
    ]);
  }

  async setAddresses(cidrs: readonly string[]): Promise<void> {
    const hasIpv6 = this.#hasIpv6();
    const wanted = cidrs
      .map((cidr) => mustBeCidr(cidr))
      .filter((cidr) => hasIpv6 || !cidr.includes(':'));
    const present = (await readAddresses(this.#ifName)).map((address) => address.cidr);
    const obsolete = this.#ownAddresses.filter(
      (cidr) => !wanted.includes(cidr) && present.includes(cidr),
    );
    const missing = wanted.filter((cidr) => !present.includes(cidr));
    // An address that was there before us (the operator's) is used and stays when we go.
    const own = wanted.filter(
      (cidr) => missing.includes(cidr) || this.#ownAddresses.includes(cidr),
    );
    // Marked before it is set: a crash in between leaves a mark without address, never the reverse.
    await this.#rememberOwn([...new Set([...this.#ownAddresses, ...own])]);
    await ipBatch([
      ...obsolete.map((cidr) => `address del ${cidr} dev ${this.#ifName}`),
      ...missing.map((cidr) =>
        cidr.includes(':')
          ? `address add ${cidr} dev ${this.#ifName} nodad`
          : `address add ${cidr} dev ${this.#ifName} broadcast +`,
      ),
    ]);
    await this.#rememberOwn(own);
  }

  async probeAddress(address: string): Promise<Mac | undefined> {
    // IPv6 addresses come from the PeerId; who has the same has the same identity, which the handshake sees.
    if (address.includes(':')) return undefined;
    return probeIpv4(this.#ifName, address);
  }

  warnings(): Promise<readonly HostWarning[]> {
    return findHostWarnings({ ifName: this.#ifName, pool: this.#pool, canProbe: canProbe() });
  }

  async down(): Promise<void> {
    if (!this.#isTaken) return;
    const links = await readLinkAliases();
    if (!this.#isOursIn(links)) return;
    if (this.#isShared(links)) await this.setAddresses([]);
    else await deleteLink(this.#ifName);
    this.#ownAddresses = [];
    this.#isTaken = false;
  }

  downNow(): void {
    if (!this.#isTaken) return;
    const links = linkAliasesOf(runToolNow('ip', ['-json', 'link', 'show']));
    if (!this.#isOursIn(links) || this.#isShared(links)) return;
    runToolNow('ip', ['link', 'delete', 'dev', this.#ifName]);
    this.#isTaken = false;
  }

  /** The bridge is there and carries our mark. */
  #isOursIn(links: readonly LinkAlias[]): boolean {
    const bridge = links.find(({ name }) => name === this.#ifName);
    return bridge !== undefined && parseMark(bridge.alias) !== undefined;
  }

  /** Something beside our TAP hangs on it. */
  #isShared(links: readonly LinkAlias[]): boolean {
    return links.some(({ name, master }) => master === this.#ifName && name !== this.#tapName);
  }

  async removeEverything(): Promise<void> {
    const tap = await readLink(this.#tapName);
    // A TAP that is not persistent exists only while a process holds it: another daemon runs.
    if (!this.#isTaken && tap !== undefined && !tap.isPersistent) return;
    const bridge = await readLink(this.#ifName);
    if (bridge !== undefined && this.#isOurs(bridge)) {
      for (const { name, alias } of await readLinkAliases(['master', this.#ifName])) {
        if (parsePortMark(alias) !== undefined) await deleteLink(name);
      }
    }
    for (const name of [this.#ifName, this.#tapName]) {
      const link = await readLink(name);
      if (link !== undefined && this.#isOurs(link)) await deleteLink(name);
    }
    this.#ownAddresses = [];
  }

  #mark(): Mark {
    return {
      mesh: this.#mesh,
      peer: shortPeerId(this.#peerId),
      network: this.#network,
      ownAddresses: this.#ownAddresses,
    };
  }

  async #rememberOwn(own: readonly string[]): Promise<void> {
    if (own.join() === this.#ownAddresses.join()) return;
    this.#ownAddresses = own;
    await ipBatch([`link set dev ${this.#ifName} alias ${formatMark(this.#mark())}`]);
  }

  /** Operators switch IPv6 off for all or for new interfaces; then ours does without, see host-warnings.ts. */
  #hasIpv6(): boolean {
    return readSysctl(disableIpv6Of(this.#ifName)) === '0';
  }

  #isOurs(link: LinkInfo): boolean {
    return parseMark(link.alias) !== undefined;
  }

  #mustBeOurs(link: LinkInfo): void {
    if (this.#isOurs(link) && link.kind === 'bridge') return;
    throw new OverlayError(
      'OVL_IFACE_FOREIGN',
      `Interface ${link.name} appeared meanwhile and was not made by overlayd (kind ${link.kind})`,
      { cure: 'Remove it or start overlayd with another --ifname', value: link.name },
    );
  }

  /**
   * Before it comes up: one router advertisement of a member would become this host's default route, and duplicate
   * address detection would delay every address by seconds for a MAC that is unique by construction.
   */
  #guardBridge(): void {
    const v6 = `net/ipv6/conf/${this.#ifName}`;
    for (const guard of ['accept_ra', 'autoconf', 'accept_redirects', 'accept_dad']) {
      writeSysctl(`${v6}/${guard}`, '0');
    }
    const v4 = `net/ipv4/conf/${this.#ifName}`;
    writeSysctl(`${v4}/accept_redirects`, '0');
    // Removing an own address must not take an exposed one of the same subnet with it.
    writeSysctl(`${v4}/promote_secondaries`, '1');
    if (this.#network === undefined) {
      // The loose filter, systemd's default, lets all pass where there is a default route; without it here the name
      // server needs no rule (name-server-address.ts). A strict one stays.
      if (readSysctl(`${v4}/rp_filter`) === '2') writeSysctl(`${v4}/rp_filter`, '0');
      return;
    }
    writeSysctl(`${v4}/rp_filter`, '1');
    writeSysctl(`${v4}/arp_ignore`, '1');
    writeSysctl(`${v4}/forwarding`, '0');
  }

  /** A port has no addresses of its own, not even a link-local one. */
  #guardTap(): void {
    const v6 = `net/ipv6/conf/${this.#tapName}`;
    for (const guard of ['accept_ra', 'autoconf', 'accept_redirects', 'accept_dad']) {
      writeSysctl(`${v6}/${guard}`, '0');
    }
    writeSysctl(disableIpv6Of(this.#tapName), '1');
  }
}

/** Two deletions at once, ours and an operator's, both end well. */
async function deleteLink(name: string): Promise<void> {
  const outcome = await runTool('ip', ['link', 'delete', 'dev', name]);
  if (outcome.exitCode === 0 || (await readLink(name)) === undefined) return;
  throw new OverlayError(
    'OVL_IFACE_CONFIG',
    `Cannot remove interface ${name}: ${outcome.stderr.trim()}`,
    {
      cure: `Remove it by hand: ip link delete ${name}`,
      value: name,
    },
  );
}

function mustBeCidr(text: string): string {
  const cidr = canonicalCidr(text);
  if (cidr !== undefined) return cidr;
  throw new OverlayError(
    'OVL_ADDRESS_INVALID',
    `Cannot set the address ${text}: it is not address/length`,
    {
      cure: 'Give it as a.b.c.d/len or v6/len',
      value: text,
    },
  );
}
