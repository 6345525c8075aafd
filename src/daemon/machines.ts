import { meshIdOf } from '../crypto/mesh.js';
import { recordSigner } from '../crypto/record-signature.js';
import { REKEY_AFTER_MS } from '../link/constants.js';
import { Links } from '../link/links.js';
import { DEFAULT_NETWORK_ID } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { Gossip } from '../records/gossip.js';
import type { SignedRecord } from '../records/signed-record.js';
import { RecordStore } from '../records/store.js';
import type { AddressEntry } from '../wire/address-record.js';
import type { CloneWatch } from './clone-watch.js';
import type { DaemonComponents } from './daemon-components.js';
import type { DaemonHooks, LastingParts } from './lasting-parts.js';
import { makeLinkCrypto } from './link-crypto.js';
import { LoadTests } from './load-tests.js';
import { MeshAddresses } from './mesh-addresses.js';
import { MeshEthernet } from './mesh-ethernet.js';
import { MeshNode, type NodeInput } from './mesh-node.js';
import { MeshRecords } from './mesh-records.js';
import { MeshRelays } from './mesh-relays.js';
import { MeshRemovals } from './mesh-removals.js';
import { meshIpv6 } from './own-address.js';
import type { DaemonOptions, NodeIdentity } from './ports.js';

/*
 * The machines of one node, put together. They are made twice: with the daemon, so that it can be asked before it is
 * started, and at the start, when the data plane has measured which suites are fast here and handshakes can say so.
 *
 *   links ─┬─ ethernet ─┐
 *          ├─ records ──┼─ node: the inside of the loop
 *          ├─ relays ───┤
 *          ├─ removals ─┤
 *          └─ loads ────┘
 */

/** Largest UDP payload this node accepts. */
const MAX_DATAGRAM_BYTES = 65_507;

export interface Machines {
  readonly links: Links;
  readonly ethernet: MeshEthernet;
  readonly records: MeshRecords;
  readonly relays: MeshRelays;
  readonly removals: MeshRemovals;
  readonly loads: LoadTests;
  readonly node: MeshNode;
}

export interface MachineParts {
  readonly components: DaemonComponents;
  readonly options: DaemonOptions;
  readonly hooks: DaemonHooks;
  readonly lasting: LastingParts;
}

/** What differs between the two times. */
export interface MachineInputs {
  /** The preferred first. */
  readonly suites: DaemonOptions['suites'];
  /** What is attached and exposed on the default network. */
  readonly ports: readonly AddressEntry[];
  readonly clones: CloneWatch | undefined;
  readonly onClone: (verdict: 'move' | 'stay', peer: PeerId) => void;
  /** Into the loop, behind what waits there. */
  readonly postInput: (input: NodeInput) => void;
}

export function makeMachines(parts: MachineParts, inputs: MachineInputs): Machines {
  const links = makeLinks(parts, inputs);
  const ethernet = makeEthernet(parts, inputs, links, (kind) => records.store.ofKind(kind));
  const records: MeshRecords = makeRecords(parts, links, ethernet, () => relays);
  const relays = makeRelays(parts, links, records);
  const removals = makeRemovals(parts, links, records);
  const loads = makeLoads(parts, links);
  const made = { links, ethernet, records, relays, removals, loads };
  return { ...made, node: makeNode(parts, inputs, made) };
}

/** Where overlay addresses lie: no datagram of the tunnel may come from there or go there. */
export function overlayPrefixes({ id }: NodeIdentity, options: DaemonOptions): readonly string[] {
  const { pool, addressMode, meshName } = options;
  const fixed = typeof addressMode === 'object' ? [addressMode.cidr] : [];
  return [pool, meshIpv6(id, meshIdOf(meshName)), ...fixed];
}

function makeLinks(
  { components, options, lasting }: MachineParts,
  { suites }: MachineInputs,
): Links {
  const { state, rng } = components;
  const party = {
    identity: state.identity,
    meshId: meshIdOf(options.meshName),
    instance: lasting.instance,
    suites,
    maxDatagramBytes: MAX_DATAGRAM_BYTES,
    capabilities: 0,
  };
  const makeCrypto = components.linkCrypto ?? makeLinkCrypto;
  return new Links(
    {
      crypto: makeCrypto(party, options.passwordPrs, rng),
      rng,
      appetite: lasting.appetite,
    },
    {
      ownId: state.identity.id,
      mtuBytes: options.mtuBytes,
      rekeyAfterMs: options.rekeyAfterMs ?? REKEY_AFTER_MS,
      overlay: overlayPrefixes(state.identity, options),
    },
  );
}

function makeEthernet(
  { components, options, hooks, lasting }: MachineParts,
  { ports }: MachineInputs,
  links: Links,
  recordsOf: (kind: number) => Iterable<SignedRecord>,
): MeshEthernet {
  const { state, clock } = components;
  const { appetite, addresses, networks } = lasting;
  const ethernet = new MeshEthernet(
    {
      links,
      ipamOf: (network) => addresses.ipamOf(network),
      neighbours: () => appetite.neighbours,
      emit: hooks.emit,
      networks,
      recordsOf,
    },
    {
      selfId: state.identity.id,
      meshId: meshIdOf(options.meshName),
      nowMs: clock.monotonicMs(),
      floodCopies: options.floodCopies,
    },
  );
  ethernet.setPorts(DEFAULT_NETWORK_ID, ports);
  return ethernet;
}

function makeRecords(
  { components, options, hooks, lasting }: MachineParts,
  links: Links,
  ethernet: MeshEthernet,
  relays: () => MeshRelays,
): MeshRecords {
  const { state, clock, rng } = components;
  const { appetite, keeper, networks, addresses, linksRoom } = lasting;
  const signer = recordSigner(state.identity, meshIdOf(options.meshName));
  const { decodePeer, ...shared } = components.records?.(signer) ?? { crypto: signer };
  const wallMs = (): number => clock.wallMs();
  const { publicKey } = state.identity;
  const startMs = clock.monotonicMs();
  const acceptShared = (record: SignedRecord): boolean => MeshAddresses.accepts(record);
  const { leaseMs, removalSilenceMs } = options;
  const store = new RecordStore(
    { ...shared, publicKey, wallMs, acceptShared },
    {
      nowMs: startMs,
      ...(leaseMs !== undefined && { leaseMs }),
      ...(removalSilenceMs !== undefined && { removalSilenceMs }),
    },
  );
  return new MeshRecords(
    {
      store,
      gossip: new Gossip({ store, rng }, { nowMs: startMs }),
      links,
      state,
      emit: hooks.emit,
      ...(decodePeer && { decodePeer }),
      onMember: (peer, record, nowMs, out) => {
        if (!record) appetite.onMemberGone(peer);
        else if (options.discovery) appetite.onMember(peer);
        if (record) hooks.directory.learnRecord(peer, record);
        if (record) keeper.onClaim(peer, record.addresses);
        ethernet.onMember(peer, record?.addresses);
        relays().onMember(peer, record !== undefined, nowMs, out);
      },
      rooms: [...(components.rooms ?? []), linksRoom, networks, addresses, ...ethernet.rooms],
    },
    {
      nickname: options.nickname,
      version: options.version,
      isRelay: options.relay,
      isDiscovering: options.discovery,
    },
  );
}

function makeRelays(
  { components, options, lasting }: MachineParts,
  links: Links,
  records: MeshRecords,
): MeshRelays {
  const { rng, dataplane, state } = components;
  const { linksRoom, appetite } = lasting;
  return new MeshRelays(
    {
      ...{ rng, links, records, linksRoom },
      counters: () => dataplane.readCounters(),
      wanted: () => appetite.wanted,
    },
    { ownId: state.identity.id, isRelay: options.relay, isDiscovering: options.discovery },
  );
}

function makeRemovals(
  { components, hooks, lasting }: MachineParts,
  links: Links,
  records: MeshRecords,
): MeshRemovals {
  const { state, timers } = components;
  const { directory, emit, post } = hooks;
  const { appetite, addresses } = lasting;
  const holders = (): string[] => {
    const { pools } = addresses.ofDefault.document();
    return pools.flatMap((pool) => pool.holders.map(({ id }) => id));
  };
  return new MeshRemovals(
    { links, records, directory, state, appetite, timers, emit, post, holders },
    state.identity.id,
  );
}

function makeLoads({ components, options, hooks, lasting }: MachineParts, links: Links): LoadTests {
  const { rng, receiveLoad, state } = components;
  const { directory, emit, post } = hooks;
  return new LoadTests(
    {
      ...{ links, rng, emit, post },
      ownAddresses: () => lasting.keeper.cidrs,
      addressesOf: (peer) => directory.addressesOf(peer),
      receive: receiveLoad,
    },
    {
      isAllowed: options.allowBench ?? false,
      overlay: overlayPrefixes(state.identity, options),
    },
  );
}

function makeNode(
  { components, options, hooks, lasting }: MachineParts,
  { clones, onClone, postInput }: MachineInputs,
  made: Omit<Machines, 'node'>,
): MeshNode {
  const { dataplane, state, clock, resolver, log } = components;
  const { keeper, appetite, addresses, networks } = lasting;
  return new MeshNode(
    {
      ...{ dataplane, state, clock, resolver, log },
      ...made,
      ...{ directory: hooks.directory, emit: hooks.emit, post: postInput },
      ...{ appetite, ipam: addresses, networks, clones, onClone },
      ownAddresses: () => keeper.cidrs,
      onPeerUp: () => {
        keeper.onPeerUp();
      },
      onAddressClaim: (peer, cidrs) => {
        keeper.onClaim(peer, cidrs);
      },
    },
    { nickname: options.nickname, version: options.version },
  );
}
