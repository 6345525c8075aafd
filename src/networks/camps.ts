import type { NetworkDefinition, NetworkId } from '../model/network.js';
import { encodeNetworkRecord, type NetworkStatement } from '../wire/network-record.js';

/*
 * Which definition of a network counts, of those that nodes say (docs/protocol.md §5 and §11). Each has a camp: who says
 * it, and who of those uses it.
 *
 *   users known for long ── more ──► counts
 *     as many: in use here, so that nothing that runs is changed by one more who says otherwise
 *     else: more users of any age, then the earlier, then the smaller bytes
 */

/** What a node says, and its order. */
export interface Statement extends NetworkStatement {
  readonly id: NetworkId;
  /** Sorts as definitions win where nothing else tells them apart, and is the same for the same definition only. */
  readonly order: string;
}

/** A statement, and what is known of who says it. */
export interface Said {
  readonly statement: Statement;
  readonly isUsed: boolean;
  readonly isOwn: boolean;
  /** Known here for so long that it counts as a member, and no identity made for the purpose. */
  readonly isEstablished: boolean;
}

interface Camp {
  readonly statement: Statement;
  /** Who of its users is known for long. */
  established: number;
  users: number;
  isUsedHere: boolean;
}

/** Those of definitions that were not removed, or that somebody uses all the same. */
export function campsOf(all: readonly Said[]): readonly Camp[] {
  const removedMs = latestRemoval(all);
  const inUse = new Set(all.flatMap(({ statement, isUsed }) => (isUsed ? [statement.order] : [])));
  const camps = new Map<string, Camp>();
  for (const { statement, isUsed, isOwn, isEstablished } of all) {
    const { order, createdMs, isRemoved } = statement;
    if (isRemoved || (createdMs <= removedMs && !inUse.has(order))) continue;
    let camp = camps.get(order);
    if (!camp)
      camps.set(order, (camp = { statement, established: 0, users: 0, isUsedHere: false }));
    if (!isUsed) continue;
    camp.users += 1;
    camp.established += Number(isEstablished);
    camp.isUsedHere ||= isOwn;
  }
  return [...camps.values()];
}

/** Undefined: there is no such network. */
export function winnerOf(camps: readonly Camp[]): Statement | undefined {
  const [best] = [...camps].sort(
    (a, b) =>
      b.established - a.established ||
      Number(b.isUsedHere) - Number(a.isUsedHere) ||
      b.users - a.users ||
      (a.statement.order < b.statement.order ? -1 : 1),
  );
  return best?.statement;
}

/** Earlier than this no definition counts that nobody uses; 0: all do. */
export function latestRemoval(all: readonly Said[]): number {
  return Math.max(0, ...all.map(({ statement }) => statement.removedMs));
}

export function stated(id: NetworkId, statement: NetworkStatement): Statement {
  return { ...statement, id, order: orderOf(statement) };
}

/** The definition alone. */
export function bare(statement: Statement): NetworkDefinition {
  const { id, name, subnets, mtuBytes, createdMs } = statement;
  return { id, name, subnets, mtuBytes, createdMs };
}

function orderOf(statement: NetworkStatement): string {
  const bare = { ...statement, removedMs: 0, isUsed: false, isRemoved: false };
  const bytes = Buffer.from(encodeNetworkRecord(bare));
  return `${statement.createdMs.toString(16).padStart(12, '0')}${bytes.toString('hex')}`;
}
