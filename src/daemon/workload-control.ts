import {
  SCHEMA_VERSION,
  type DnsControl,
  type HostExposureDocument,
  type IpamControl,
  type NetworkControl,
  type NetworkDocument,
  type WorkloadControl,
} from '../api/control.js';
import { DEFAULT_NETWORK } from '../crypto/mesh.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition } from '../model/network.js';
import type { Daemon } from './daemon.js';
import type { NetworkExposures } from '../workload/network-exposures.js';
import type { Workloads } from '../workload/workloads.js';

/** Attachments and exposures as the API asks for them. `bridgeOf`: a network's, by its name. */
export function workloadControl(
  workloads: Workloads,
  exposures: Pick<NetworkExposures, 'expose' | 'hide' | 'on' | 'used'>,
  bridgeOf: (network: string) => string,
): WorkloadControl {
  const exposed = (network: string): HostExposureDocument => {
    const { addresses, masquerade, name = null } = exposures.on(network);
    return { network, ifname: bridgeOf(network), addresses, masquerade, name };
  };
  return {
    attachments: () => ({
      schema: SCHEMA_VERSION,
      attachments: workloads.list(),
      exposures: exposures.used.map(exposed),
    }),
    attach: async (body) => ({ addresses: await workloads.attach(body) }),
    expose: async (body) => ({ addresses: await exposures.expose(body) }),
    hide: async (addresses, network) => ({ addresses: await exposures.hide(addresses, network) }),
    detach: async (target, addresses, network) => ({
      addresses: await workloads.detach(target, addresses, network),
    }),
  };
}

/** Address management as the API asks for it. */
export function ipamControl(
  daemon: Pick<Daemon, 'addressPoolsOf' | 'addressDocument'>,
): IpamControl {
  const on = (network = DEFAULT_NETWORK): ReturnType<Daemon['addressPoolsOf']> =>
    daemon.addressPoolsOf(network);
  return {
    ipam: (network) => daemon.addressDocument(network),
    reserveAddress: async (range, except, network) => on(network).reserve(range, except),
    releaseAddress: async (address, network) => on(network).unreserve(address),
    addPool: async (range, network) => on(network).addPool(range),
    removePool: async (range, network) => on(network).removePool(range),
  };
}

/** Names as the API asks for them. */
export function dnsControl(names: DnsControl): DnsControl {
  return {
    dnsNames: (network) => names.dnsNames(network),
    dnsLookup: (text, network) => names.dnsLookup(text, network),
    dnsAdd: (name, addresses, network) => names.dnsAdd(name, addresses, network),
    dnsRemove: (name, addresses, network) => names.dnsRemove(name, addresses, network),
  };
}

/** Networks as the API asks for them. `ifNameOf`: the bridge, where it is on this host. */
export function networkControl(
  { networks, control }: Pick<Daemon, 'networks' | 'control'>,
  workloads: Pick<Workloads, 'list'>,
  ifNameOf: (network: NetworkDefinition) => string | undefined,
  exposures: Pick<NetworkExposures, 'on'>,
): NetworkControl {
  const targetsOn = (name: string): readonly string[] => {
    const attached = workloads.list().filter(({ network }) => network === name);
    const exposed = exposures.on(name).addresses.length > 0 ? ['this host (exposed)'] : [];
    return [...attached.map(({ target }) => target), ...exposed];
  };
  const document = (network: NetworkDefinition): NetworkDocument => {
    const { id, name, subnets, mtuBytes } = network;
    const members = new Set<string>(networks.members(id));
    const others = control.peers().peers.filter((peer) => !peer.self);
    const peers = others.filter((peer) => id === DEFAULT_NETWORK_ID || members.has(peer.id));
    return {
      ...{ name, id, subnets, mtu: mtuBytes, ifname: ifNameOf(network) ?? null },
      targets: targetsOn(name),
      peers: peers.map((peer) => ({ id: peer.id, nickname: peer.nickname })),
    };
  };
  return {
    networks: () => ({ schema: SCHEMA_VERSION, networks: networks.all.map(document) }),
    createNetwork: (body) => Promise.resolve().then(() => document(networks.create(body))),
    removeNetwork: (name) =>
      Promise.resolve().then(() => {
        networks.remove(name, targetsOn(name));
      }),
  };
}
