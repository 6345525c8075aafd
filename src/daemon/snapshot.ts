import {
  LINK_STATES,
  SCHEMA_VERSION,
  type ContactDocument,
  type DataPlaneDocument,
  type LinkState,
  type PathCandidateDocument,
  type PathsDocument,
  type PeerDocument,
  type ReportDocument,
  type RouteDocument,
  type SelfDocument,
  type StatusDocument,
  type WarningDocument,
} from '../api/control.js';
import type { EventRing } from './event-ring.js';
import { findPeer } from '../api/find-peer.js';
import { isoTime, type Clock } from '../base/clock.js';
import type {
  CipherSuite,
  Counters,
  DataPlane,
  DataPlaneInfo,
  PathCounters,
} from '../dataplane/dataplane.js';
import type { Links } from '../link/links.js';
import { kindOf, type LinkPath } from '../link/candidate.js';
import { pathCost } from '../link/path-cost.js';
import { formatEndpoint } from '../model/endpoint.js';
import { formatPathAddress } from '../model/path-address.js';
import { macOfPeer, type PeerId } from '../model/peer-id.js';
import type { Directory } from './directory.js';
import type { MeshRelays } from './mesh-relays.js';
import type { DaemonOptions, HostWarning, StateStore } from './ports.js';

const SUITE_NAMES: Readonly<Record<CipherSuite, string>> = {
  1: 'chacha20poly1305',
  2: 'aes256gcm',
  4: 'xsalsa20poly1305',
};

/** What the documents are made of, as it is now. */
export interface SnapshotSource {
  readonly options: DaemonOptions;
  readonly ownId: PeerId;
  readonly links: Links;
  /** Peers that records tell of. */
  readonly members: Iterable<PeerId>;
  readonly directory: Directory;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly events: EventRing;
  readonly dataplane: DataPlane;
  readonly info: DataPlaneInfo | undefined;
  readonly ownAddresses: readonly string[];
  readonly warnings: readonly HostWarning[];
  readonly isReady: boolean;
  readonly relays: MeshRelays;
}

interface KnownNode {
  readonly id: PeerId;
  readonly nickname: string;
}

export function statusDocument(source: SnapshotSource): StatusDocument {
  const { links } = source;
  const counts = Object.fromEntries(LINK_STATES.map((state) => [state, 0])) as Record<
    LinkState,
    number
  >;
  const nodes = knownNodes(source);
  let reachable = 1;
  for (const node of nodes) {
    counts[links.stateOf(node.id).state] += 1;
    // Who rests is dialled by the first frame.
    if (links.peer(node.id)?.isReachable || !links.isWanted(node.id)) reachable += 1;
  }
  const contacts = contactDocuments(source);
  for (const contact of contacts) if (contact.peer === null) counts[contact.state] += 1;
  return {
    schema: SCHEMA_VERSION,
    ready: source.isReady,
    self: selfDocument(source),
    mesh: source.options.meshName,
    encryption: true,
    peers: { known: nodes.length + 1, reachable },
    links: counts,
    contacts,
    warnings: warningDocuments(source),
  };
}

/** This node first, then the others in the order of their ids. */
export function peerDocuments(source: SnapshotSource): readonly PeerDocument[] {
  const counters = countersOf(source);
  const others = knownNodes(source).map((node) => peerDocument(source, node, counters));
  const self = selfDocument(source);
  return [
    {
      id: self.id,
      nickname: self.nickname,
      self: true,
      state: 'established',
      path: null,
      endpoint: null,
      addresses: self.addresses,
      cipher: null,
      rttMs: null,
      lossPct: null,
      pmtu: null,
      reason: null,
      txBytes: others.reduce((sum, peer) => sum + peer.txBytes, 0),
      rxBytes: others.reduce((sum, peer) => sum + peer.rxBytes, 0),
    },
    ...others,
  ];
}

export function routeDocuments(source: SnapshotSource): readonly RouteDocument[] {
  const counters = countersOf(source);
  const routes: RouteDocument[] = [];
  for (const { id, nickname } of knownNodes(source)) {
    const link = source.links.peer(id);
    const path = link?.paths.active;
    if (!link?.isReachable || !path) continue;
    const clock = counters?.paths.find((other) => other.path === path.id);
    routes.push({
      peer: id,
      nickname,
      path: kindOf(path.address),
      via: source.relays.viaOf(path.address),
      ...quality(clock),
      mtu: path.pmtu.bytes,
      cost: rounded(pathCost(clock, path.address, path.hops)?.cost),
    });
  }
  return routes;
}

/** @throws OVL_NOT_FOUND, OVL_AMBIGUOUS, OVL_PEER_SELF */
export function pathsDocument(source: SnapshotSource, peer: string): PathsDocument {
  const node = findPeer(knownNodes(source), peer, {
    id: source.ownId,
    nickname: source.options.nickname,
  });
  return pathsOf(source, node, countersOf(source));
}

export function reportDocument(source: SnapshotSource): ReportDocument {
  const counters = countersOf(source);
  const peerOfSlot = new Map(source.links.peers.map((peer) => [peer.slot, peer.id]));
  const fdb = source.isReady ? source.dataplane.dumpFdb() : [];
  return {
    schema: SCHEMA_VERSION,
    at: isoTime(source.clock.wallMs()),
    status: statusDocument(source),
    peers: peerDocuments(source),
    routes: routeDocuments(source),
    paths: knownNodes(source).map((node) => pathsOf(source, node, counters)),
    dataplane: dataPlaneDocument(source.info),
    counters: {
      ...numbers(counters?.totals),
      half_open: source.links.halfOpenCount,
      sessions: counters?.sessions.length ?? 0,
      relayed_pairs: source.relays.carried,
      unknown_messages: source.links.unknownMessages,
    },
    drops: numbers(counters?.drops),
    fdb: fdb.map((entry) => ({
      network: entry.network,
      mac: entry.mac,
      peer: entry.peer === 0 ? source.ownId : (peerOfSlot.get(entry.peer) ?? ''),
      declared: entry.isDeclared,
      ageSeconds: entry.ageSeconds,
    })),
    events: source.events.after(0),
  };
}

/** Peers met now or before, by id; this node is not among them. */
function knownNodes(source: SnapshotSource): readonly KnownNode[] {
  const ids = new Set<PeerId>(source.links.peers.map((peer) => peer.id));
  for (const peer of source.state.knownPeers()) ids.add(peer.id);
  for (const peer of source.members) ids.add(peer);
  return [...ids].sort().map((id) => ({ id, nickname: source.directory.shownName(id) }));
}

function selfDocument(source: SnapshotSource): SelfDocument {
  const { options, ownId, info } = source;
  return {
    id: ownId,
    nickname: options.nickname,
    addresses: source.ownAddresses,
    mac: macOfPeer(ownId),
    ifname: options.ifName,
    mtu: options.mtuBytes,
    port: info?.localPort ?? options.port,
    pid: process.pid,
    version: options.version,
  };
}

function contactDocuments(source: SnapshotSource): readonly ContactDocument[] {
  return source.links.dialer.contacts.map((target) => {
    const { state, reason } = source.links.stateOfContact(target);
    return {
      contact: target.contact ?? '',
      state,
      peer: target.peer ?? null,
      reason: reason ?? null,
    };
  });
}

function warningDocuments(source: SnapshotSource): readonly WarningDocument[] {
  return source.warnings.map(({ code, message, cure }) => ({ code, message, cure }));
}

function peerDocument(
  source: SnapshotSource,
  { id, nickname }: KnownNode,
  counters: Counters | undefined,
): PeerDocument {
  const link = source.links.peer(id);
  const { state, reason } = source.links.stateOf(id);
  const path = link?.isReachable ? link.paths.active : undefined;
  const clock = counters?.paths.find((other) => other.path === path?.id);
  const sessions = new Set(link?.sessions.map((session) => session.index));
  const own = counters?.sessions.filter((session) => sessions.has(session.session)) ?? [];
  return {
    id,
    nickname,
    self: false,
    state,
    path: path ? kindOf(path.address) : null,
    endpoint: path ? formatPathAddress(path.address) : null,
    addresses: source.directory.addressesOf(id),
    cipher: link?.tx ? SUITE_NAMES[link.tx.suite] : null,
    ...quality(clock),
    pmtu: path?.pmtu.bytes ?? null,
    reason: reason ?? null,
    txBytes: own.reduce((sum, session) => sum + Number(session.txBytes), 0),
    rxBytes: own.reduce((sum, session) => sum + Number(session.rxBytes), 0),
  };
}

function pathsOf(
  source: SnapshotSource,
  { id, nickname }: KnownNode,
  counters: Counters | undefined,
): PathsDocument {
  const paths = source.links.peer(id)?.paths;
  const all = paths?.all ?? [];
  const activeIndex = all.findIndex((path) => path === paths?.active);
  const last = paths?.lastSwitch;
  const offsetMs = source.clock.wallMs() - source.clock.monotonicMs();
  return {
    schema: SCHEMA_VERSION,
    peer: id,
    nickname,
    active: activeIndex < 0 ? null : activeIndex,
    candidates: all.map((path) => candidateDocument(path, counters)),
    lastSwitch: last
      ? {
          at: isoTime(last.atMs + offsetMs),
          from: last.from ? formatPathAddress(last.from) : null,
          to: last.to ? formatPathAddress(last.to) : null,
          reason: last.reason,
        }
      : null,
  };
}

function candidateDocument(path: LinkPath, counters: Counters | undefined): PathCandidateDocument {
  const clock = counters?.paths.find((other) => other.path === path.id);
  const cost = pathCost(clock, path.address, path.hops);
  return {
    kind: kindOf(path.address),
    endpoint: formatPathAddress(path.address),
    state: path.state === 'untried' ? 'probing' : path.state,
    ...quality(clock),
    mtu: path.state === 'untried' ? null : path.pmtu.bytes,
    cost: rounded(cost?.cost),
    terms: cost?.terms ?? {},
  };
}

function quality(clock: PathCounters | undefined): {
  rttMs: number | null;
  lossPct: number | null;
} {
  if (!clock || clock.srttUs === 0) return { rttMs: null, lossPct: null };
  return { rttMs: clock.srttUs / 1000, lossPct: clock.lossPermille / 10 };
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 1000) / 1000;
}

function dataPlaneDocument(info: DataPlaneInfo | undefined): DataPlaneDocument {
  return {
    port: info?.localPort ?? 0,
    localAddresses: (info?.localAddresses ?? []).map(formatEndpoint),
    suites: (info?.suites ?? []).map(({ suite, provider, nsPerPacket }) => ({
      name: SUITE_NAMES[suite],
      provider,
      nsPerPacket,
    })),
    offloads: info?.offloads ?? [],
    queuePairs: info?.queuePairs ?? 0,
  };
}

function numbers(counts: Readonly<Record<string, bigint>> | undefined): Record<string, number> {
  return Object.fromEntries(Object.entries(counts ?? {}).map(([name, n]) => [name, Number(n)]));
}

function countersOf(source: SnapshotSource): Counters | undefined {
  return source.info ? source.dataplane.readCounters() : undefined;
}
