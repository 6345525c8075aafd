import type { EventDocument } from '../api/control.js';
import { utf8Bytes } from '../base/bytes.js';
import { DEFAULT_NETWORK, meshIdOf, networkIdOf } from '../crypto/mesh.js';
import { blake2b128 } from '../crypto/sodium.js';
import type { Actions } from '../link/actions.js';
import { Appetite } from '../link/appetite.js';
import { DEFAULT_NETWORK_ID } from '../model/network.js';
import { macOfPeer } from '../model/peer-id.js';
import { AddressKeeper } from './address-keeper.js';
import type { DaemonComponents } from './daemon-components.js';
import type { Directory } from './directory.js';
import { LinksRoom } from './links-room.js';
import type { Machines } from './machines.js';
import { MeshAddresses } from './mesh-addresses.js';
import { MeshNetworks } from './mesh-networks.js';
import { OwnAddress } from './own-address.js';
import type { DaemonOptions, NodeIdentity } from './ports.js';

/** Of this run of the daemon: how another with the same identity tells itself from it. */
const INSTANCE_BYTES = 8;

/** What the parts ask of the daemon. */
export interface DaemonHooks {
  readonly directory: Directory;
  /** Those of now. */
  readonly machines: () => Machines;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** In the loop, before anything that waits there. */
  readonly post: (run: (nowMs: number, out: Actions) => void) => void;
  /** Own addresses changed. */
  readonly onOwnAddresses: () => void;
  /** Who has an address on this host, as people call it. */
  readonly userOf: (network: string, address: string) => string | undefined;
}

/** What is made with the daemon and stays until its end, whatever machines are made around it (machines.ts). */
export interface LastingParts {
  readonly instance: Uint8Array;
  readonly keeper: AddressKeeper;
  readonly appetite: Appetite;
  readonly networks: MeshNetworks;
  readonly addresses: MeshAddresses;
  readonly linksRoom: LinksRoom;
}

export function makeLastingParts(
  components: DaemonComponents,
  options: DaemonOptions,
  hooks: DaemonHooks,
): LastingParts {
  const networks = makeNetworks(components, options, hooks);
  const keeper = makeKeeper(components, options, hooks);
  return {
    instance: components.rng.bytes(INSTANCE_BYTES),
    keeper,
    appetite: makeAppetite(components.state.identity),
    networks,
    addresses: makeAddresses(components, options, hooks, { networks, keeper }),
    linksRoom: new LinksRoom({
      selfId: () => components.state.identity.id,
      isRelay: options.relay,
    }),
  };
}

/** Whom a node of a large mesh chooses follows from its identity. */
export function makeAppetite(identity: NodeIdentity): Appetite {
  const secret = blake2b128(utf8Bytes('overlayd/1 neighbours'), identity.secretKey);
  return new Appetite({ secret: new DataView(secret.buffer, secret.byteOffset).getUint32(0) });
}

function makeKeeper(
  { state, host, log }: DaemonComponents,
  { meshName, addressMode, pool }: DaemonOptions,
  { directory, machines, emit, onOwnAddresses }: DaemonHooks,
): AddressKeeper {
  const { id } = state.identity;
  const own = new OwnAddress({
    id,
    meshId: meshIdOf(meshName),
    mode: addressMode,
    pool,
    stored: state.ownAddress(),
  });
  return new AddressKeeper(
    {
      own,
      host,
      state,
      log,
      emit,
      peerOfMac: (mac) => machines().links.peers.find((peer) => macOfPeer(peer.id) === mac)?.id,
      takenAddresses: () => directory.takenAddresses(),
      onChanged: onOwnAddresses,
      onFailure: (error) => {
        const text = error instanceof Error ? error.message : String(error);
        emit({
          level: 'warn',
          code: 'host-warning',
          message: `Own address could not be checked or set: ${text}`,
        });
      },
    },
    id,
  );
}

function makeNetworks(
  { state, clock }: DaemonComponents,
  { pool, mtuBytes, meshName }: DaemonOptions,
  { directory, machines, emit }: DaemonHooks,
): MeshNetworks {
  const meshId = meshIdOf(meshName);
  return new MeshNetworks(
    {
      state,
      wallMs: () => clock.wallMs(),
      emit,
      nameOf: (peer) => directory.shownName(peer),
      isEstablished: (peer) => machines().records.store.isEstablished(peer),
    },
    {
      defaultNetwork: {
        ...{ id: DEFAULT_NETWORK_ID, name: DEFAULT_NETWORK, mtuBytes },
        ...{ subnets: [pool], createdMs: 0 },
      },
      idOf: (name) => networkIdOf(meshId, name),
    },
  );
}

function makeAddresses(
  { state, rng, admitPool }: DaemonComponents,
  { pool, defaultSubnet, peers }: DaemonOptions,
  { directory, machines, emit, post, userOf }: DaemonHooks,
  { networks, keeper }: Pick<LastingParts, 'networks' | 'keeper'>,
): MeshAddresses {
  return new MeshAddresses(
    {
      state,
      rng,
      links: () => machines().links,
      records: () => machines().records,
      networks,
      emit,
      nameOf: (peer) => directory.shownName(peer),
      post,
      admitPool: admitPool ?? (() => Promise.resolve()),
      userOf,
      nodeAddresses: () => [...keeper.cidrs, ...directory.takenAddresses()],
    },
    {
      self: state.identity.id,
      pools: [pool],
      defaultSubnet: defaultSubnet === pool ? undefined : defaultSubnet,
      hasContacts: peers.length > 0 || state.contacts().length > 0,
    },
  );
}
