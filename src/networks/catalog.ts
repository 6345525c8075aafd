import type { NetworkDefinition, NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import type { NetworkStatement } from '../wire/network-record.js';
import {
  bare,
  campsOf,
  latestRemoval,
  stated,
  winnerOf,
  type Said,
  type Statement,
} from './camps.js';

/*
 * The networks of the mesh, from what its nodes say of them (docs/protocol.md §5). Whoever created a network, or ever
 * had something on it, says its definition, so that it outlives its creator:
 *
 *   statements of all ── removed? ── that of most established users ──► the definition
 *                    │                 equal: what is in use here
 *                    │                 equal: that of most users, the earliest, the smaller bytes
 *                    └── in use ─────────────────────────────────────► its members
 *
 * When it was created is its author's claim. So it decides between definitions that nobody uses, and a network that
 * runs goes by who uses it: a member that says an earlier date moves nobody (docs/protocol.md §11). A removal ends all
 * definitions up to its own time that nobody uses. Two sides of a cut that created one name apart agree when they meet
 * again, and who lost says so.
 */

/** A member may say that many; more of its statements mean nothing. */
const MAX_STATEMENTS_PER_PEER = 192;
/** Networks of a mesh, removed ones included. */
const MAX_NETWORKS = 1024;
/** Of our own; the oldest goes. */
const MAX_OWN_REMOVALS = 64;

export interface CatalogEvent {
  /** `rival`: what is in use here stays, and a peer uses another definition. */
  readonly kind: 'clash' | 'removed' | 'rival';
  readonly name: string;
  /** What counts now; of a rival what the peer says. */
  readonly winner: NetworkDefinition | undefined;
  /** Who said so. */
  readonly peer: PeerId | undefined;
}

/** A definition that counts, and its order, which is dear to make out anew with each statement. */
interface Winner {
  readonly definition: NetworkDefinition;
  readonly order: string;
}

const UNUSED = { isUsed: false, isRemoved: false };

export interface CatalogOptions {
  readonly idOf: (name: string) => NetworkId;
  /** Known here for so long that it counts as a member, and no identity made for the purpose. */
  readonly isEstablished: (peer: PeerId) => boolean;
}

export class Catalog {
  readonly #idOf: (name: string) => NetworkId;
  readonly #isEstablished: (peer: PeerId) => boolean;
  readonly #own = new Map<NetworkId, Statement>();
  readonly #others = new Map<NetworkId, Map<PeerId, Statement>>();
  readonly #countByPeer = new Map<PeerId, number>();
  readonly #winners = new Map<NetworkId, Winner>();
  readonly #dirty = new Set<NetworkId>();
  /** In use when this node was stopped: it soon is again, and goes by that until then. */
  readonly #wasUsed = new Set<NetworkId>();
  /** Several definitions of them are said: time alone may decide otherwise. */
  readonly #contested = new Set<NetworkId>();
  #events: CatalogEvent[] = [];
  #revision = 0;

  constructor({ idOf, isEstablished }: CatalogOptions) {
    this.#idOf = idOf;
    this.#isEstablished = isEstablished;
  }

  /** Changes whenever anything here does. */
  get revision(): number {
    return this.#revision;
  }

  /** By name. */
  get all(): readonly NetworkDefinition[] {
    const definitions = [...this.#winners.values()].map(({ definition }) => definition);
    return definitions.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get size(): number {
    return this.#winners.size;
  }

  get(id: NetworkId): NetworkDefinition | undefined {
    return this.#winners.get(id)?.definition;
  }

  /** Other nodes that have something on it, in the order of their ids. */
  members(id: NetworkId): readonly PeerId[] {
    const said = [...(this.#others.get(id) ?? [])];
    return said.flatMap(([peer, { isUsed }]) => (isUsed ? [peer] : [])).sort();
  }

  /** Earlier than this no definition of it counts. */
  removedMs(id: NetworkId): number {
    return latestRemoval(this.#said(id));
  }

  /** What this node says; undefined: nothing. */
  ownStatement(id: NetworkId): NetworkStatement | undefined {
    return this.#own.get(id);
  }

  /** How many networks this node speaks of. */
  get ownSize(): number {
    return this.#own.size;
  }

  /** Of those who speak of a network, how many the one speaks of who speaks of fewest; 0: this node does itself. */
  shareOf(id: NetworkId): number {
    if (this.#own.has(id)) return 0;
    const sayers = [...(this.#others.get(id)?.keys() ?? [])];
    return Math.min(...sayers.map((peer) => this.#countByPeer.get(peer) ?? 0));
  }

  get isContested(): boolean {
    return this.#contested.size > 0;
  }

  /**
   * Whether what is in use here gives way. To be asked now and then while anything is contested, since members become
   * established; and not with each statement: news of the two sides of a cut come one by one, and whoever moved by half
   * of them would make a majority of what had none.
   */
  judgeContested(): void {
    for (const id of [...this.#contested]) this.#judge(id, undefined, true);
  }

  /** What this node said before it was started again. */
  restore(statement: NetworkStatement): void {
    const id = this.#idOf(statement.name);
    if (statement.isUsed) this.#wasUsed.add(id);
    this.#own.set(id, stated(id, { ...statement, isUsed: false }));
    this.#dirty.add(id);
    this.#judge(id, undefined);
  }

  /** The caller has looked whether it may be created. */
  create(definition: NetworkDefinition): void {
    const { id } = definition;
    this.#say(stated(id, { ...definition, removedMs: this.removedMs(id), ...UNUSED }));
  }

  /** Nothing while it is not defined. */
  remove(id: NetworkId): void {
    const winner = this.get(id);
    if (!winner) return;
    const removal = { removedMs: winner.createdMs, isUsed: false, isRemoved: true };
    this.#wasUsed.delete(id);
    this.#say(stated(id, { ...winner, ...removal }));
    const removals = [...this.#own.values()].filter(({ isRemoved }) => isRemoved);
    for (const { id: oldest } of removals.slice(0, -MAX_OWN_REMOVALS)) this.#forget(oldest);
  }

  /** Nothing while it is not defined. */
  setUsed(id: NetworkId, isUsed: boolean): void {
    const winner = this.get(id);
    this.#wasUsed.delete(id);
    if (!winner || (this.#own.get(id)?.isUsed ?? false) === isUsed) return;
    const removedMs = this.#own.get(id)?.removedMs ?? 0;
    this.#say(stated(id, { ...winner, removedMs, isUsed, isRemoved: false }));
  }

  /** A member's record came, or went. Names under another id than their own mean nothing. */
  onStatement(peer: PeerId, id: NetworkId, statement: NetworkStatement | undefined): void {
    const before = this.#others.get(id)?.get(peer);
    if (!statement || this.#idOf(statement.name) !== id || id === 0) {
      if (!before) return;
      this.#drop(peer, id);
      this.#judge(id, peer);
      return;
    }
    const count = this.#countByPeer.get(peer) ?? 0;
    if (!before && (count >= MAX_STATEMENTS_PER_PEER || !this.#hasRoom(id, count))) return;
    if (!before) this.#countByPeer.set(peer, count + 1);
    const said = stated(id, statement);
    const held = this.#others.get(id) ?? new Map<PeerId, Statement>();
    this.#others.set(id, held.set(peer, said));
    this.#judge(id, peer);
    if (before?.order !== said.order) this.#noteRival(peer, said);
  }

  #drop(peer: PeerId, id: NetworkId): void {
    const held = this.#others.get(id);
    held?.delete(peer);
    if (held?.size === 0) this.#others.delete(id);
    const count = this.#countByPeer.get(peer) ?? 0;
    if (count > 1) this.#countByPeer.set(peer, count - 1);
    else this.#countByPeer.delete(peer);
  }

  /**
   * What others say of our own is always heard: those are few, and who fills the rest shall not part us from them. A new
   * network takes the place of one that only its sayer names who speaks of most, if that has more than the newcomer.
   */
  #hasRoom(id: NetworkId, count: number): boolean {
    if (this.#others.has(id) || this.#own.has(id) || this.#others.size < MAX_NETWORKS) return true;
    let most: { readonly id: NetworkId; readonly peer: PeerId } | undefined;
    let mostSaid = count + 1;
    for (const [other, held] of this.#others) {
      const [peer] = held.keys();
      const said = peer === undefined ? 0 : (this.#countByPeer.get(peer) ?? 0);
      if (held.size > 1 || peer === undefined || said <= mostSaid || this.#own.has(other)) continue;
      most = { id: other, peer };
      mostSaid = said;
    }
    if (!most) return false;
    this.#drop(most.peer, most.id);
    this.#judge(most.id, most.peer);
    return true;
  }

  /** Networks whose statement of ours changed. */
  takeDirty(): readonly NetworkId[] {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    return dirty;
  }

  get hasDirty(): boolean {
    return this.#dirty.size > 0;
  }

  takeEvents(): readonly CatalogEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #say(statement: Statement): void {
    this.#own.delete(statement.id);
    this.#own.set(statement.id, statement);
    this.#dirty.add(statement.id);
    this.#judge(statement.id, undefined);
  }

  #forget(id: NetworkId): void {
    this.#own.delete(id);
    this.#dirty.add(id);
  }

  #said(id: NetworkId): readonly Said[] {
    const own = this.#own.get(id);
    const said: Said[] = [];
    if (own) {
      const isUsed = own.isUsed || this.#wasUsed.has(id);
      said.push({ statement: own, isUsed, isOwn: true, isEstablished: true });
    }
    for (const [peer, statement] of this.#others.get(id) ?? []) {
      const isEstablished = statement.isUsed && this.#isEstablished(peer);
      said.push({ statement, isUsed: statement.isUsed, isOwn: false, isEstablished });
    }
    return said;
  }

  #judge(id: NetworkId, peer: PeerId | undefined, mayGiveWay = false): void {
    const before = this.#winners.get(id);
    const camps = campsOf(this.#said(id));
    const here = mayGiveWay ? undefined : camps.find(({ isUsedHere }) => isUsedHere);
    const winner = here?.statement ?? winnerOf(camps);
    this.#revision += 1;
    if (camps.length > 1) this.#contested.add(id);
    else this.#contested.delete(id);
    // The same object as long as it is the same definition.
    if (!winner) this.#winners.delete(id);
    else if (before?.order !== winner.order) {
      this.#winners.set(id, { definition: bare(winner), order: winner.order });
    }
    const own = this.#own.get(id);
    if (!own) return;
    if (own.isRemoved) {
      // Somebody put something on it before our removal came: it lives on.
      if (winner && winner.createdMs <= own.removedMs) this.#forget(id);
      return;
    }
    if (!winner) {
      this.#forget(id);
      this.#events.push({ kind: 'removed', name: own.name, winner, peer });
    } else if (winner.order !== own.order) {
      const counts = bare(winner);
      this.#own.set(id, { ...own, ...counts, order: winner.order });
      this.#dirty.add(id);
      this.#events.push({ kind: 'clash', name: own.name, winner: counts, peer });
    }
  }

  /** What is in use here stays though the peer uses another definition: both sides should know. */
  #noteRival(peer: PeerId, said: Statement): void {
    const own = this.#own.get(said.id);
    if (!own || !said.isUsed || said.order === own.order) return;
    if (!own.isUsed && !this.#wasUsed.has(said.id)) return;
    this.#events.push({ kind: 'rival', name: own.name, winner: bare(said), peer });
  }
}
