import type { NetworkDefinition, NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { encodeNetworkRecord, type NetworkStatement } from '../wire/network-record.js';

/*
 * The networks of the mesh, from what its nodes say of them (docs/protocol.md §5). Whoever created a network, or ever
 * had something on it, says its definition, so that it outlives its creator:
 *
 *   statements of all ── removed? ── the earliest, of equal ones the smaller bytes ──► the definition
 *                    └── in use ─────────────────────────────────────────────────────► its members
 *
 * A removal ends all definitions up to its own time that nobody uses. Two sides of a cut that created one name apart
 * agree when they meet again, and who lost says so.
 */

/** A member may say that many; more of its statements mean nothing. */
const MAX_STATEMENTS_PER_PEER = 192;
/** Networks of a mesh, removed ones included. */
const MAX_NETWORKS = 1024;
/** Of our own; the oldest goes. */
const MAX_OWN_REMOVALS = 64;

export interface CatalogEvent {
  readonly kind: 'clash' | 'removed';
  readonly name: string;
  /** What counts now. */
  readonly winner: NetworkDefinition | undefined;
  /** Who said so. */
  readonly peer: PeerId | undefined;
}

const UNUSED = { isUsed: false, isRemoved: false };

interface Statement extends NetworkStatement {
  readonly id: NetworkId;
}

export class Catalog {
  readonly #idOf: (name: string) => NetworkId;
  readonly #own = new Map<NetworkId, Statement>();
  readonly #others = new Map<NetworkId, Map<PeerId, Statement>>();
  readonly #countByPeer = new Map<PeerId, number>();
  readonly #winners = new Map<NetworkId, NetworkDefinition>();
  readonly #dirty = new Set<NetworkId>();
  #events: CatalogEvent[] = [];
  #revision = 0;

  constructor(idOf: (name: string) => NetworkId) {
    this.#idOf = idOf;
  }

  /** Changes whenever anything here does. */
  get revision(): number {
    return this.#revision;
  }

  /** By name. */
  get all(): readonly NetworkDefinition[] {
    return [...this.#winners.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get size(): number {
    return this.#winners.size;
  }

  get(id: NetworkId): NetworkDefinition | undefined {
    return this.#winners.get(id);
  }

  /** Other nodes that have something on it, in the order of their ids. */
  members(id: NetworkId): readonly PeerId[] {
    const said = [...(this.#others.get(id) ?? [])];
    return said.flatMap(([peer, { isUsed }]) => (isUsed ? [peer] : [])).sort();
  }

  /** Earlier than this no definition of it counts. */
  removedMs(id: NetworkId): number {
    return latestRemoval(this.#statementsOf(id));
  }

  /** What this node says; undefined: nothing. */
  ownStatement(id: NetworkId): NetworkStatement | undefined {
    return this.#own.get(id);
  }

  /** What this node said before it was started again. */
  restore(statement: NetworkStatement): void {
    const id = this.#idOf(statement.name);
    this.#own.set(id, { ...statement, id, isUsed: false });
    this.#dirty.add(id);
    this.#judge(id, undefined);
  }

  /** The caller has looked whether it may be created. */
  create(definition: NetworkDefinition): void {
    this.#say({ ...definition, removedMs: this.removedMs(definition.id), ...UNUSED });
  }

  /** Nothing while it is not defined. */
  remove(id: NetworkId): void {
    const winner = this.#winners.get(id);
    if (!winner) return;
    this.#say({ ...winner, removedMs: winner.createdMs, isUsed: false, isRemoved: true });
    const removals = [...this.#own.values()].filter(({ isRemoved }) => isRemoved);
    for (const { id: oldest } of removals.slice(0, -MAX_OWN_REMOVALS)) this.#forget(oldest);
  }

  /** Nothing while it is not defined. */
  setUsed(id: NetworkId, isUsed: boolean): void {
    const winner = this.#winners.get(id);
    if (!winner || (this.#own.get(id)?.isUsed ?? false) === isUsed) return;
    const removedMs = this.#own.get(id)?.removedMs ?? 0;
    this.#say({ ...winner, removedMs, isUsed, isRemoved: false });
  }

  /** A member's record came, or went. Names under another id than their own mean nothing. */
  onStatement(peer: PeerId, id: NetworkId, statement: NetworkStatement | undefined): void {
    const held = this.#others.get(id);
    const count = this.#countByPeer.get(peer) ?? 0;
    if (!statement || this.#idOf(statement.name) !== id || id === 0) {
      if (!held?.delete(peer)) return;
      if (held.size === 0) this.#others.delete(id);
      if (count > 1) this.#countByPeer.set(peer, count - 1);
      else this.#countByPeer.delete(peer);
    } else {
      const isNew = held?.has(peer) !== true;
      if (isNew && count >= MAX_STATEMENTS_PER_PEER) return;
      // What others say of our own is always heard: those are few, and who fills the rest shall not part us from them.
      if (!held && !this.#own.has(id) && this.#others.size >= MAX_NETWORKS) return;
      if (isNew) this.#countByPeer.set(peer, count + 1);
      this.#others.set(id, (held ?? new Map<PeerId, Statement>()).set(peer, { ...statement, id }));
    }
    this.#judge(id, peer);
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

  #statementsOf(id: NetworkId): readonly Statement[] {
    const own = this.#own.get(id);
    return [...(own ? [own] : []), ...(this.#others.get(id)?.values() ?? [])];
  }

  #judge(id: NetworkId, peer: PeerId | undefined): void {
    this.#revision += 1;
    const statements = this.#statementsOf(id);
    const winner = winnerOf(statements);
    if (winner) this.#winners.set(id, winner);
    else this.#winners.delete(id);
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
    } else if (orderOf(winner) !== orderOf(own)) {
      this.#own.set(id, { ...own, ...winner });
      this.#dirty.add(id);
      this.#events.push({ kind: 'clash', name: own.name, winner, peer });
    }
  }
}

function winnerOf(statements: readonly Statement[]): NetworkDefinition | undefined {
  const removedMs = latestRemoval(statements);
  const inUse = new Set(statements.filter(({ isUsed }) => isUsed).map(orderOf));
  let best: Statement | undefined;
  for (const statement of statements) {
    if (statement.isRemoved) continue;
    if (statement.createdMs <= removedMs && !inUse.has(orderOf(statement))) continue;
    if (!best || orderOf(statement) < orderOf(best)) best = statement;
  }
  if (!best) return undefined;
  const { id, name, subnets, mtuBytes, createdMs } = best;
  return { id, name, subnets, mtuBytes, createdMs };
}

function latestRemoval(statements: readonly Statement[]): number {
  return Math.max(0, ...statements.map(({ removedMs }) => removedMs));
}

/** Sorts as definitions win, and is the same for the same definition only. */
function orderOf(definition: NetworkDefinition | NetworkStatement): string {
  const bytes = encodeNetworkRecord({ ...definition, removedMs: 0, ...UNUSED });
  return `${definition.createdMs.toString(16).padStart(12, '0')}${Buffer.from(bytes).toString('hex')}`;
}
