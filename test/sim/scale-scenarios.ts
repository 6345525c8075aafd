import { numberValue, recordCell } from '../../src/records/persistence.js';
import type { SignedRecord } from '../../src/records/signed-record.js';
import { RECORD_KIND } from '../../src/wire/record.js';
import type { Sim, SimNode } from './harness.js';
import { addTo, knownTo, peerRecordOf, recordOf, rootOf, type Mesh } from './mesh.js';
import { Traffic } from './traffic.js';

/*
 * What a mesh of hundreds of nodes must stand (docs/performance.md): each scenario finds a mesh at rest, whatever came
 * before it, and leaves one. test/sim holds 200 nodes to them, bench/control prints them for any number.
 */

const DAY_MS = 24 * 3_600_000;
/** What a mesh sends to grow together is watched for so long. */
const AFTER_PARTITION_MS = 60_000;
/** Events that say that a member was lost, was retired, or does not count any more. */
const DISTURBANCES: ReadonlySet<string> = new Set([
  'peer-lost',
  'peer-removal',
  'peer-removed',
  'peer-expired',
  'self-removal',
]);

export interface Idle {
  readonly meanBytesPerSecond: number;
  readonly mostBytesPerSecond: number;
  /** Of a node on average, the most first. */
  readonly kinds: readonly (readonly [string, number])[];
}

/** What a node at rest sends, IP headers included; as much comes in. */
export async function idle({ sim, nodes }: Mesh, forMs: number): Promise<Idle> {
  const traffic = new Traffic(sim);
  await sim.run(forMs);
  traffic.stop();
  const rates = nodes.map((node) => traffic.bytesPerSecondOf(node.address));
  return {
    meanBytesPerSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    mostBytesPerSecond: Math.max(...rates),
    kinds: traffic.kinds.map(([kind, rate]) => [kind, rate / nodes.length]),
  };
}

export interface Newcomer {
  /** From its start until it knows all; undefined: not in time. */
  readonly knowsAllMs: number | undefined;
  /** From its start until all know it. */
  readonly knownToAllMs: number | undefined;
}

/** One more node, that was given one address. */
export async function newcomer(mesh: Mesh): Promise<Newcomer> {
  const { sim, nodes } = mesh;
  const startMs = sim.time.nowMs();
  const late = addTo(mesh);
  await late.start();
  const knowsAll = await sim.time.runUntil(() => knownTo(late) === nodes.length, 60_000);
  const knowsAllMs = knowsAll ? sim.time.nowMs() - startMs : undefined;
  const isKnown = (): boolean => nodes.every((node) => knownTo(node) === nodes.length);
  const isTold = (await comesTrue(sim, isKnown, 120_000)) !== undefined;
  return { knowsAllMs, knownToAllMs: isTold ? sim.time.nowMs() - startMs : undefined };
}

export interface Partition {
  /** From its end until all digests are the same and all heard what was said apart; undefined: not in time. */
  readonly healMs: number | undefined;
  /** What a node sent a second while it lasted, on average and of what … */
  readonly cutBytesPerSecond: number;
  readonly cutKinds: readonly (readonly [string, number])[];
  /** … and in the minute after it. */
  readonly healBytesPerSecond: number;
  readonly healKinds: readonly (readonly [string, number])[];
}

/** Cuts a share of the nodes off for `forMs`; both parts say something meanwhile. */
export async function partition(
  { sim, nodes, words }: Mesh,
  share: number,
  forMs: number,
): Promise<Partition> {
  const apart = nodes.slice(0, Math.round(nodes.length * share));
  const addresses = new Set(apart.map(({ address }) => address));
  sim.network.divide((from, to) => addresses.has(from) !== addresses.has(to));
  const cut = new Traffic(sim);
  await sim.run(forMs / 2);
  const speakers = [nodes[0], nodes.at(-1)].filter((node) => node !== undefined);
  const word = `said apart at ${sim.time.nowMs()}`;
  for (const speaker of speakers) words.of(speaker).say(word);
  await sim.run(forMs / 2);
  sim.network.divide(undefined);
  cut.stop();
  const heal = new Traffic(sim);
  const endMs = sim.time.nowMs();
  const haveAllHeard = (): boolean =>
    nodes.every((node) =>
      speakers.every((speaker) => speaker === node || words.of(node).hasHeard(speaker.id, word)),
    );
  const healMs = await comesTrue(sim, () => areSame(nodes) && haveAllHeard(), 300_000);
  await sim.run(Math.max(0, endMs + AFTER_PARTITION_MS - sim.time.nowMs()));
  heal.stop();
  const ofEach = ({ kinds }: Traffic): readonly (readonly [string, number])[] =>
    kinds.map(([kind, rate]) => [kind, rate / nodes.length]);
  const sum = (kinds: readonly (readonly [string, number])[]): number =>
    kinds.reduce((total, [, rate]) => total + rate, 0);
  const [cutKinds, healKinds] = [ofEach(cut), ofEach(heal)];
  return {
    healMs,
    cutBytesPerSecond: sum(cutKinds),
    cutKinds,
    healBytesPerSecond: sum(healKinds),
    healKinds,
  };
}

export interface Paused {
  /** Events of nodes that were not paused, about such: a link lost, somebody retired or expired. */
  readonly disturbances: readonly string[];
  /** What such a node sent a second meanwhile, and of what. */
  readonly meanBytesPerSecond: number;
  readonly kinds: readonly (readonly [string, number])[];
  /** From the end of the pause until all digests were the same. */
  readonly healMs: number | undefined;
}

/** The machines of a share of the nodes stand still for a while. */
export async function pause({ sim, nodes }: Mesh, share: number, forMs: number): Promise<Paused> {
  const paused = nodes.slice(0, Math.round(nodes.length * share));
  const ids = new Set<string | undefined>(paused.map(({ id }) => id));
  const others = nodes.slice(paused.length);
  const before = new Map(others.map((node) => [node, node.events.length]));
  const wakes = paused.map((node) => node.suspend());
  const traffic = new Traffic(sim);
  await sim.run(forMs);
  traffic.stop();
  for (const wake of wakes) wake();
  const healMs = await comesTrue(sim, () => areSame(nodes), 300_000);
  const rates = others.map(({ address }) => traffic.bytesPerSecondOf(address));
  return {
    disturbances: others.flatMap((node) =>
      node.events
        .slice(before.get(node))
        .filter(
          ({ code, peer }) => DISTURBANCES.has(code) && !(code === 'peer-lost' && ids.has(peer)),
        )
        .map(({ message }) => `${node.name}: ${message}`),
    ),
    meanBytesPerSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    kinds: traffic.kinds.map(([kind, rate]) => [kind, rate / others.length]),
    healMs,
  };
}

/** A node says something and nothing of what it sends arrives until long after. @returns when all know all the same. */
export async function lostPush({ sim, nodes, words }: Mesh): Promise<number | undefined> {
  const speaker = nodes[Math.floor(nodes.length / 2)];
  if (!speaker) return undefined;
  const word = `lost at ${sim.time.nowMs()}`;
  sim.network.divide((from) => from === speaker.address);
  words.of(speaker).say(word);
  await sim.run(100);
  sim.network.divide(undefined);
  const others = nodes.filter((node) => node !== speaker);
  if (others.some((node) => words.of(node).hasHeard(speaker.id, word))) return undefined;
  const haveAllHeard = (): boolean =>
    others.every((node) => words.of(node).hasHeard(speaker.id, word));
  return comesTrue(sim, haveAllHeard, 120_000);
}

export interface Away {
  /** From its return until all digests are the same. */
  readonly sameMs: number | undefined;
  /** Nodes that took a deleted record for one that counts. */
  readonly resurrections: number;
  /** What it, or others after it came, said of members that expired or were removed. */
  readonly expiries: readonly string[];
}

/**
 * A node comes back whose state directory is three days old: with everybody's records of then, and some that their
 * owners deleted since, so long ago that their tombstones are gone, too.
 */
export async function threeDaysAway(mesh: Mesh): Promise<Away> {
  const { sim, nodes, words } = mesh;
  const owners = nodes.slice(0, Math.min(20, nodes.length));
  const away = addTo(mesh);
  const versionThen = sim.time.wallMs() - 3 * DAY_MS;
  const keep = (owner: SimNode, record: SignedRecord): void => {
    away.state.writeRecordCell(recordCell(owner.id, record, false), record.bytes);
  };
  for (const owner of nodes) {
    if (owner === away) continue;
    keep(owner, peerRecordOf(owner, versionThen));
    away.state.writeRecordCell(`n/heard/${owner.id}`, numberValue(DAY_MS));
    away.state.writeRecordCell(`n/since/${owner.id}`, numberValue(versionThen));
  }
  away.state.writeRecordCell('n/counted', numberValue(DAY_MS));
  for (const owner of owners) keep(owner, wordRecordOf(owner, 'deleted', versionThen + 1));
  const before = new Map(nodes.map((node) => [node, node.events.length]));
  await away.start();
  const hasAll = (): boolean => knownTo(away) === nodes.length && areSame(nodes);
  const sameMs = await comesTrue(sim, hasAll, 120_000);
  await sim.run(20_000);
  return {
    sameMs,
    resurrections: nodes.filter((node) =>
      owners.some((owner) => words.of(node).hasHeard(owner.id, 'deleted')),
    ).length,
    expiries: nodes.flatMap((node) =>
      node.events
        .slice(before.get(node))
        .filter(({ code }) => DISTURBANCES.has(code) && code !== 'peer-lost')
        .map(({ message }) => `${node.name}: ${message}`),
    ),
  };
}

/** Looks every 100 ms, since looking at a thousand nodes is not cheap. @returns after how long; undefined: not in time. */
export async function comesTrue(
  sim: Sim,
  isTrue: () => boolean,
  withinMs: number,
): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += 100) {
    if (isTrue()) return waitedMs;
    await sim.run(100);
  }
  return undefined;
}

export function areSame(nodes: readonly SimNode[]): boolean {
  const [first] = nodes;
  if (!first) return true;
  const root = rootOf(first);
  return nodes.every((node) => rootOf(node) === root);
}

function wordRecordOf(owner: SimNode, word: string, version: number): SignedRecord {
  const text = new TextEncoder().encode(word);
  return recordOf(owner, { kind: RECORD_KIND.KEY, key: text, version, body: text });
}
