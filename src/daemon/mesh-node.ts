import type { EventDocument } from '../api/control.js';
import type { Clock } from '../base/clock.js';
import { Deadlines } from '../base/deadlines.js';
import type { Counters, DataPlane, DataPlaneEvent } from '../dataplane/dataplane.js';
import { formatEndpoint } from '../model/endpoint.js';
import { macOfPeer, shortPeerId, type PeerId } from '../model/peer-id.js';
import { Actions } from '../link/actions.js';
import type { Appetite } from '../link/appetite.js';
import { PEER_INFO_EVERY_MS } from '../link/constants.js';
import type { ControlMessage, Links } from '../link/links.js';
import { CONTROL } from '../wire/control-types.js';
import {
  decodePeerInfo,
  encodeClose,
  encodePeerInfo,
  type CloseReason,
  type PeerInfo,
} from '../wire/control.js';
import type { CloneWatch } from './clone-watch.js';
import type { Directory } from './directory.js';
import { perform } from './effects.js';
import type { LoadTests } from './load-tests.js';
import { MeshPresence } from './mesh-presence.js';
import type { MeshAddresses } from './mesh-addresses.js';
import type { MeshEthernet } from './mesh-ethernet.js';
import type { MeshNetworks } from './mesh-networks.js';
import type { MeshRecords } from './mesh-records.js';
import type { MeshRelays } from './mesh-relays.js';
import type { MeshRemovals } from './mesh-removals.js';
import type { HostWarning, Logger, Resolver, StateStore } from './ports.js';
import { TableWriter } from './table-writer.js';

/** PEER_INFO after a link came up: at once, soon again in case it was lost, then every 30 s. */
const INFO_REPEATS_MS = [3000] as const;
const ENDPOINTS_KEPT = 8;

/** What arrives in the inbox. */
export type NodeInput =
  /** The data plane has events. */
  | { readonly kind: 'events' }
  | { readonly kind: 'resolved'; readonly ticket: number; readonly addresses: readonly string[] }
  /** A command: runs inside a turn. */
  | { readonly kind: 'call'; readonly run: (nowMs: number, out: Actions) => void };

export interface MeshNodeComponents {
  readonly dataplane: DataPlane;
  readonly links: Links;
  readonly directory: Directory;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly resolver: Resolver;
  readonly log: Logger;
  readonly post: (input: NodeInput) => void;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  readonly ownAddresses: () => readonly string[];
  readonly records: MeshRecords;
  readonly relays: MeshRelays;
  readonly removals: MeshRemovals;
  readonly loads: LoadTests;
  readonly appetite: Appetite;
  readonly ipam: MeshAddresses;
  readonly ethernet: MeshEthernet;
  readonly networks: MeshNetworks;
  readonly clones: CloneWatch | undefined;
  /** A peer met another process with our identity. */
  readonly onClone: (verdict: 'move' | 'stay', peer: PeerId) => void;
  readonly onPeerUp: (peer: PeerId) => void;
  readonly onAddressClaim: (peer: PeerId, cidrs: readonly string[]) => void;
}

/** The inside of the loop: events and deadlines to the machines, their actions to the effects. */
export class MeshNode {
  readonly #components: MeshNodeComponents;
  readonly #nickname: string;
  readonly #version: string;
  /** PEER_INFOs sent since the link came up or something changed. */
  readonly #infosSent = new Map<PeerId, number>();
  readonly #infoDue = new Deadlines<PeerId>();
  readonly #declared = new Set<PeerId>();
  readonly #presence: MeshPresence;
  readonly #tables: TableWriter;

  constructor(
    components: MeshNodeComponents,
    options: { readonly nickname: string; readonly version: string },
  ) {
    this.#components = components;
    this.#nickname = options.nickname;
    this.#version = options.version;
    this.#tables = new TableWriter(components);
    this.#presence = new MeshPresence(components, (peer, slot, out) => {
      this.#declare(peer, slot, out);
    });
  }

  get nextDeadlineMs(): number {
    const { links, records, relays, removals, loads, ipam, appetite, ethernet } = this.#components;
    return Math.min(
      removals.nextDeadlineMs,
      links.nextDeadlineMs,
      records.nextDeadlineMs,
      relays.nextDeadlineMs,
      loads.nextDeadlineMs,
      ipam.turnDeadlineMs,
      ethernet.nextDeadlineMs,
      this.#infoDue.nextMs,
      appetite.nextDeadlineMs,
    );
  }

  turn(inputs: readonly NodeInput[], nowMs: number): void {
    const out = new Actions();
    for (const input of inputs) {
      switch (input.kind) {
        case 'events':
          for (const event of this.#components.dataplane.drain()) this.#onEvent(event, nowMs, out);
          break;
        case 'resolved':
          this.#components.links.dialer.onResolved(input.ticket, input.addresses, nowMs, out);
          break;
        case 'call':
          input.run(nowMs, out);
          break;
      }
    }
    const gone = this.#components.removals.follow(nowMs, out);
    for (const peer of [...gone, ...this.#components.links.takeForgotten()]) {
      this.#declare(peer, undefined, out);
      this.#infosSent.delete(peer);
      this.#infoDue.delete(peer);
    }
    this.#presence.step(nowMs, out);
    this.#onDeadlines(nowMs, out);
    this.#components.relays.follow(nowMs, out);
    this.#follow(nowMs, out);
    this.#components.records.followNeighbours(nowMs, out);
    this.#components.ipam.follow(nowMs, out);
    perform(out.list, {
      dataplane: this.#components.dataplane,
      write: (entries) => {
        this.#tables.write(entries, nowMs);
      },
      resolver: this.#components.resolver,
      onResolved: (ticket, addresses) => {
        this.#components.post({ kind: 'resolved', ticket, addresses });
      },
      onNote: this.#components.emit,
    });
  }

  /** For `status`. */
  get warnings(): readonly HostWarning[] {
    return this.#tables.warnings;
  }

  /** Nickname or addresses changed: tell everybody now. */
  announce(nowMs: number): void {
    for (const peer of this.#infosSent.keys()) {
      this.#infosSent.set(peer, 0);
      this.#infoDue.set(peer, nowMs);
    }
  }

  closeAll(reason: CloseReason, nowMs: number, out: Actions): void {
    this.#components.links.closeAll({ type: CONTROL.CLOSE, body: encodeClose(reason) }, nowMs, out);
  }

  #onEvent(event: DataPlaneEvent, nowMs: number, out: Actions): void {
    const { links, emit, log, dataplane, records } = this.#components;
    const message = links.onEvent(event, nowMs, out);
    if (message) this.#onMessage(message, nowMs, out);
    this.#components.ethernet.onEvent(event, nowMs);
    if (event.kind === 'observed') {
      const peer = links.peerOfPath(event.path);
      if (peer) records.onObserved(peer.id, event.endpoint, nowMs);
      log.debug(
        { path: event.path, endpoint: formatEndpoint(event.endpoint) },
        'Seen from outside',
      );
    } else if (event.kind === 'labelUnknown') {
      this.#components.relays.onUnknownLabel(event.peer, event.label, nowMs, out);
    } else if (event.kind === 'peerWanted') {
      this.#presence.onWanted(event, nowMs);
    } else if (event.kind === 'fault') {
      emit({
        level: 'warn',
        code: 'dataplane-fault',
        message: `Data plane fault ${event.code}${event.errno === 0 ? '' : ` (errno ${event.errno})`}`,
      });
    } else if (event.kind === 'overflow') {
      emit({
        level: 'warn',
        code: 'dataplane-overflow',
        message: `${event.lost} events of the data plane were lost; its state was read again`,
      });
      links.resync(dataplane.readCounters(), nowMs, out);
    }
  }

  #onMessage({ peer, type, body }: ControlMessage, nowMs: number, out: Actions): void {
    if (this.#components.removals.isRemoved(peer)) return;
    switch (type) {
      case CONTROL.CLOSE:
        this.#components.removals.onTurnedAway(peer, nowMs);
        break;
      case CONTROL.PEER_INFO:
        this.#onPeerInfo(peer, body, nowMs, out);
        break;
      case CONTROL.RECORDS:
      case CONTROL.DIGEST:
      case CONTROL.PULL:
        this.#components.records.onMessage(peer, type, body, nowMs, out);
        break;
      case CONTROL.PUNCH:
      case CONTROL.RELAY_ALLOC:
      case CONTROL.RELAY_OK:
      case CONTROL.RELAY_FREE:
      case CONTROL.RELAY_GONE:
        this.#components.relays.onMessage(peer, type, body, nowMs, out);
        break;
      case CONTROL.BENCH_ASK:
      case CONTROL.BENCH_ANSWER:
        this.#components.loads.onMessage(peer, type, body, out);
        break;
      case CONTROL.IPAM_HELLO:
      case CONTROL.IPAM_ASK:
      case CONTROL.IPAM_GRANT:
      case CONTROL.IPAM_REFUSE:
      case CONTROL.IPAM_GONE:
      case CONTROL.IPAM_GONE_ANSWER:
        this.#components.ipam.onMessage(peer, type, body, nowMs, out);
        break;
      default:
        // Of a later version: it says more than we know.
        break;
    }
  }

  #onPeerInfo(peer: PeerId, body: Uint8Array, nowMs: number, out: Actions): void {
    const { directory, emit, state } = this.#components;
    const info = decodePeerInfo(body);
    if (!info.ok) return;
    if (info.value.idle) this.#presence.onPeerIdle(peer, nowMs, out);
    this.#onStatements(peer, info.value);
    const outcome = directory.learn(peer, info.value);
    if (outcome === 'clash') {
      emit({
        level: 'warn',
        code: 'nickname-clash',
        message: `Peer ${shortPeerId(peer)} calls itself ${info.value.nickname}, which is another's name; shown as ${directory.shownName(peer)}`,
        peer,
        cure: 'Start it with another --nickname.',
      });
    }
    if (outcome !== 'known') {
      const known = state.knownPeers().find((other) => other.id === peer);
      if (known) state.saveKnownPeer({ ...known, nickname: info.value.nickname });
    }
    this.#components.onAddressClaim(peer, info.value.addresses);
  }

  #onStatements(peer: PeerId, { presence, met }: PeerInfo): void {
    const { clones, links } = this.#components;
    const publicKey = links.peer(peer)?.publicKey;
    if (presence && publicKey) clones?.onPresence(peer, publicKey, presence);
    const verdict = met ? (clones?.judge(met) ?? 'none') : 'none';
    if (verdict !== 'none') this.#components.onClone(verdict, peer);
  }

  #onDeadlines(nowMs: number, out: Actions): void {
    const { links, dataplane } = this.#components;
    let counters: Counters | undefined;
    links.onDeadline(
      nowMs,
      (path) => {
        counters ??= dataplane.readCounters();
        return counters.paths.find((other) => other.path === path);
      },
      out,
    );
    this.#components.records.onDeadline(nowMs, out);
    this.#components.relays.onDeadline(nowMs, out);
    this.#components.loads.onDeadline(nowMs, out);
    // Last, since it follows who can be reached; its records are said in the next turn.
    const { ethernet, records } = this.#components;
    if (records.isRestored) ethernet.onDeadline(nowMs, out);
    for (const peer of this.#infoDue.takeDue(nowMs)) {
      const sent = this.#infosSent.get(peer) ?? 0;
      this.#infosSent.set(peer, sent + 1);
      this.#infoDue.set(peer, nowMs + (INFO_REPEATS_MS[sent] ?? PEER_INFO_EVERY_MS));
      this.#sendInfo(peer, nowMs, out);
    }
  }

  /** What follows from a turn's actions beside the data plane: declared MACs, infos, the store. */
  #follow(nowMs: number, out: Actions): void {
    const { links, state } = this.#components;
    for (const action of [...out.list]) {
      if (action.kind !== 'peerUp') continue;
      const link = links.peer(action.peer);
      if (link) this.#declare(action.peer, link.slot, out);
      this.#sendInfo(action.peer, nowMs, out);
      this.#infosSent.set(action.peer, 1);
      this.#infoDue.set(action.peer, nowMs + INFO_REPEATS_MS[0]);
      this.#components.onPeerUp(action.peer);
    }
    for (const met of links.takeAcquaintances()) {
      const before = state.knownPeers().find((peer) => peer.id === met.id);
      const text = met.endpoint && formatEndpoint(met.endpoint);
      const others = (before?.endpoints ?? []).filter((known) => formatEndpoint(known) !== text);
      state.saveKnownPeer({
        id: met.id,
        publicKey: met.publicKey,
        nickname: before?.nickname ?? this.#components.directory.nicknameOf(met.id),
        endpoints: [...(met.endpoint ? [met.endpoint] : []), ...others].slice(0, ENDPOINTS_KEPT),
        hint: met.hint,
        pairKey: met.pairKey,
      });
    }
  }

  #declare(peer: PeerId, slot: number | undefined, out: Actions): void {
    const mac = macOfPeer(peer);
    if (slot === undefined) {
      if (this.#declared.delete(peer)) out.table({ kind: 'fdbRemove', network: 0, mac });
      return;
    }
    if (this.#declared.has(peer)) return;
    this.#declared.add(peer);
    out.table({ kind: 'fdbSet', network: 0, mac, peer: slot });
  }

  #sendInfo(peer: PeerId, nowMs: number, out: Actions): void {
    const addresses = this.#components.ownAddresses();
    const { clones } = this.#components;
    const met = clones?.met(peer);
    const body = encodePeerInfo({
      nickname: this.#nickname,
      addresses,
      version: this.#version,
      ...(clones && { presence: clones.presence }),
      ...(met && { met }),
      ...(this.#presence.isIdle(peer, nowMs) && { idle: true }),
    });
    if (this.#components.links.control(peer, CONTROL.PEER_INFO, body, out)) return;
    this.#infosSent.delete(peer);
    this.#infoDue.delete(peer);
  }
}
