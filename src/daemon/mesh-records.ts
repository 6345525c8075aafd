import type { EventDocument } from '../api/control.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import { formatEndpoint, type Endpoint } from '../model/endpoint.js';
import type { PeerId } from '../model/peer-id.js';
import { RecordActions, type RecordChange } from '../records/actions.js';
import type { Gossip } from '../records/gossip.js';
import { bodyOfRecord, keyOfRecord, type SignedRecord } from '../records/signed-record.js';
import type { RecordStore } from '../records/store.js';
import { RECORD_KIND } from '../wire/record.js';
import { decodePeerRecord, encodePeerRecord, type PeerRecord } from '../wire/peer-record.js';
import type { StateStore } from './ports.js';
import type { RecordRoom } from './record-room.js';

/*
 * The replicated records and what this node makes of them (docs/protocol.md §5): it says who and where it is, learns
 * the same of all others, and dials whom it is not linked with. What a link's own messages say of a peer goes first;
 * records fill in what nobody said directly.
 */

/** The one record of its kind. */
const NO_KEY = new Uint8Array(0);
/** News about ourselves wait this long for more: addresses come one by one. */
const SAY_AFTER_MS = 100;
/** How peers see us: more than this many views say nothing new. */
const MAX_OBSERVED = 4;

/** What a member's record of kind peer says. */
export type PeerDecoder = (record: SignedRecord) => ReturnType<typeof decodePeerRecord>;

export interface MeshRecordsComponents {
  readonly store: RecordStore;
  readonly gossip: Gossip;
  readonly links: Links;
  readonly state: StateStore;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** What else lives in the records. */
  readonly rooms: readonly RecordRoom[];
  /** A simulator's, which remembers what it has decoded. */
  readonly decodePeer?: PeerDecoder;
  /** A member said who it is; undefined: it is gone. */
  readonly onMember: (
    peer: PeerId,
    record: PeerRecord | undefined,
    nowMs: number,
    out: Actions,
  ) => void;
}

export interface MeshRecordsOptions {
  readonly nickname: string;
  readonly version: string;
  readonly isRelay: boolean;
  /** Dial members that were only heard of. */
  readonly isDiscovering: boolean;
}

/** Where this node can be reached, as it knows now. */
export interface OwnPlace {
  readonly endpoints: readonly Endpoint[];
  /** Overlay addresses, cidr text. */
  readonly addresses: readonly string[];
}

export class MeshRecords {
  readonly #components: MeshRecordsComponents;
  readonly #options: MeshRecordsOptions;
  readonly #members = new Map<PeerId, PeerRecord>();
  /** By the peer that told us. */
  readonly #observed = new Map<PeerId, Endpoint>();
  #place: OwnPlace = { endpoints: [], addresses: [] };
  #sayAtMs = Number.POSITIVE_INFINITY;
  #isRestored = false;
  /** Of the links, when the neighbours were told last. */
  #revision = 0;

  constructor(components: MeshRecordsComponents, options: MeshRecordsOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Members that said who they are, by id; this node is not among them. */
  get members(): ReadonlyMap<PeerId, PeerRecord> {
    return this.#members;
  }

  /** Where this node can be reached, as far as it knows: how others see it first. */
  get ownEndpoints(): readonly Endpoint[] {
    return [...this.#observed.values(), ...this.#place.endpoints];
  }

  /** Of the digest. */
  root(): Uint8Array {
    return this.#components.store.digest.root();
  }

  get nextDeadlineMs(): number {
    if (!this.#isRestored) return Number.POSITIVE_INFINITY;
    const rooms = this.#components.rooms.map((room) => room.nextDeadlineMs);
    return Math.min(this.#sayAtMs, this.#components.gossip.nextDeadlineMs, ...rooms);
  }

  /** What an earlier run said is known. */
  get isRestored(): boolean {
    return this.#isRestored;
  }

  /** What the store remembered. Once, at start. */
  restore(nowMs: number, out: Actions): void {
    const { store, state } = this.#components;
    store.restore(state.recordCells(), nowMs);
    this.#isRestored = true;
    for (const record of store.ofKind(RECORD_KIND.PEER)) {
      this.#learn(record, nowMs, out);
    }
    for (const room of this.#components.rooms) {
      for (const record of store.ofKind(room.kind)) {
        const { owner } = record;
        room.onChange({ owner, key: keyOfRecord(record), record }, owner === store.selfId);
      }
    }
  }

  /** The replicated store, to be looked at. */
  get store(): RecordStore {
    return this.#components.store;
  }

  /** What the rooms want to say by themselves, through `act`. */
  speak(nowMs: number, out: Actions, act: (gossip: Gossip, actions: RecordActions) => void): void {
    this.#with(nowMs, out, (actions) => {
      act(this.#components.gossip, actions);
    });
  }

  /** Nickname, addresses or endpoints are others now: said soon. */
  setPlace(place: OwnPlace, nowMs: number): void {
    this.#place = place;
    this.#sayAtMs = Math.min(this.#sayAtMs, nowMs + SAY_AFTER_MS);
  }

  /** A peer sees us there. */
  onObserved(peer: PeerId, endpoint: Endpoint, nowMs: number): void {
    const before = this.#observed.get(peer);
    if (before && formatEndpoint(before) === formatEndpoint(endpoint)) return;
    this.#observed.delete(peer);
    this.#observed.set(peer, endpoint);
    const oldest = this.#observed.keys().next();
    if (this.#observed.size > MAX_OBSERVED && !oldest.done) this.#observed.delete(oldest.value);
    this.#sayAtMs = Math.min(this.#sayAtMs, nowMs + SAY_AFTER_MS);
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, nowMs: number, out: Actions): void {
    this.#with(nowMs, out, (actions) => {
      this.#components.gossip.onMessage(peer, type, body, nowMs, actions);
    });
  }

  onDeadline(nowMs: number, out: Actions): void {
    // What an earlier run said, and up to which version, goes before all that this one says.
    if (!this.#isRestored) return;
    this.#with(nowMs, out, (actions) => {
      if (nowMs >= this.#sayAtMs) this.#say(nowMs, actions);
      this.#askRooms(nowMs, actions);
      this.#components.gossip.onDeadline(nowMs, actions);
    });
  }

  /** Once a turn: who can be talked to now. */
  followNeighbours(nowMs: number, out: Actions): void {
    const { links, gossip, store } = this.#components;
    if (links.revision === this.#revision) return;
    this.#revision = links.revision;
    const reachable = links.peers
      .filter((peer) => peer.isReachable && !store.isRemoved(peer.id))
      .map(({ id }) => id);
    for (const id of reachable) store.noteMet(id);
    this.#with(nowMs, out, (actions) => {
      gossip.onNeighbours(reachable, nowMs, actions);
    });
  }

  #say(nowMs: number, actions: RecordActions): void {
    this.#sayAtMs = Number.POSITIVE_INFINITY;
    const { nickname, version, isRelay } = this.#options;
    const { addresses } = this.#place;
    const endpoints = [...this.#place.endpoints, ...this.#observed.values()];
    const body = encodePeerRecord({ nickname, version, isRelay, endpoints, addresses });
    this.#components.gossip.put(RECORD_KIND.PEER, NO_KEY, body, nowMs, actions);
  }

  #askRooms(nowMs: number, actions: RecordActions): void {
    const { gossip, rooms } = this.#components;
    for (const room of rooms) {
      if (nowMs < room.nextDeadlineMs) continue;
      room.onDeadline(nowMs, (kind, key, body) => {
        if (body) gossip.put(kind, key, body, nowMs, actions);
        else gossip.delete(kind, key, nowMs, actions);
      });
    }
  }

  #with(nowMs: number, out: Actions, act: (actions: RecordActions) => void): void {
    const actions = new RecordActions();
    act(actions);
    const { state, links, emit } = this.#components;
    for (const action of actions.list) {
      switch (action.kind) {
        case 'send':
          links.control(action.peer, action.type, action.body, out);
          break;
        case 'changed':
          this.#onChange(action.change, nowMs, out);
          break;
        case 'event':
          emit(action.event);
          break;
        case 'persist':
          state.writeRecordCell(action.write.key, action.write.value, action.isUrgent);
          break;
      }
    }
  }

  #onChange(change: RecordChange, nowMs: number, out: Actions): void {
    const isOwn = change.owner === this.#components.store.selfId;
    const room = this.#components.rooms.find(({ kind }) => kind === change.kind);
    room?.onChange(change, isOwn);
    if (change.kind !== RECORD_KIND.PEER || isOwn) return;
    if (change.record) {
      this.#learn(change.record, nowMs, out);
      return;
    }
    this.#members.delete(change.owner);
    this.#components.onMember(change.owner, undefined, nowMs, out);
  }

  #learn(record: SignedRecord, nowMs: number, out: Actions): void {
    const peer = record.owner;
    if (peer === this.#components.store.selfId) return;
    const { decodePeer = decodeBody } = this.#components;
    const read = decodePeer(record);
    if (!read.ok) return;
    const before = this.#members.get(peer);
    this.#members.set(peer, read.value);
    this.#components.onMember(peer, read.value, nowMs, out);
    const isNew = !before || textOf(before.endpoints) !== textOf(read.value.endpoints);
    if (isNew && this.#options.isDiscovering) {
      this.#components.links.setRecordEndpoints(peer, read.value.endpoints, nowMs, out);
    }
  }
}

function decodeBody(record: SignedRecord): ReturnType<typeof decodePeerRecord> {
  return decodePeerRecord(bodyOfRecord(record));
}

function textOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(formatEndpoint).join();
}
