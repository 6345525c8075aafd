import type { SimNode } from '../../test/sim/harness.js';
import {
  addTo,
  established,
  knownTo,
  meshFromMemory,
  rootOf,
  type Mesh,
} from '../../test/sim/mesh.js';

/*
 * What a mesh of whole daemons costs and how fast it agrees, in virtual time at 20 ms round trip: the figures of
 * `bench/control`.
 */

/** UDP and IPv4 headers, beside the payload that the fake network counts. */
const HEADER_BYTES = 28;
const SETTLE_MS = 90_000;
const IDLE_MS = 60_000;

export interface Figures {
  readonly nodes: number;
  readonly linksMean: number;
  readonly linksMax: number;
  /** Sent by a node at rest, IP headers included. */
  readonly idleBytesPerSecondMean: number;
  readonly idleBytesPerSecondMax: number;
  /** From a newcomer's start until it knows all; undefined: not within a minute. */
  readonly newcomerMs: number | undefined;
  /** From the newcomer's start until all know it. */
  readonly toldMs: number | undefined;
  /** From the end of a partition until all digests are the same. */
  readonly healMs: number | undefined;
  /** Links between nodes that were not paused, lost while a quarter was, and until a minute after. */
  readonly lostByPause: number;
  readonly cpuMs: number;
}

export async function measure(count: number, seed: number): Promise<Figures> {
  const startCpu = process.cpuUsage();
  const mesh = await meshFromMemory(count, seed);
  await mesh.sim.run(SETTLE_MS);
  const links = mesh.nodes.map(established);
  const idle = await idleBytesPerSecond(mesh);
  const newcomer = await joinOne(mesh);
  const healMs = await partition(mesh, 0.3, 60_000);
  const lostByPause = await pause(mesh, 0.25, 60_000);
  const { user, system } = process.cpuUsage(startCpu);
  await mesh.sim.stopAll();
  return {
    nodes: count,
    linksMean: mean(links),
    linksMax: Math.max(...links),
    idleBytesPerSecondMean: mean(idle),
    idleBytesPerSecondMax: Math.max(...idle),
    ...newcomer,
    healMs,
    lostByPause,
    cpuMs: (user + system) / 1000,
  };
}

/** By node. */
async function idleBytesPerSecond({ sim, nodes }: Mesh): Promise<readonly number[]> {
  const sent = new Map(nodes.map((node) => [node.address, 0]));
  sim.network.onSend((from, _to, _payload, bytes) => {
    sent.set(from.address, (sent.get(from.address) ?? 0) + bytes + HEADER_BYTES);
  });
  await sim.run(IDLE_MS);
  sim.network.onSend(() => undefined);
  return nodes.map((node) => (sent.get(node.address) ?? 0) / (IDLE_MS / 1000));
}

async function joinOne({ sim, nodes }: Mesh): Promise<Pick<Figures, 'newcomerMs' | 'toldMs'>> {
  const startMs = sim.time.nowMs();
  const late = addTo(sim, nodes);
  await late.start();
  const isTold = await sim.time.runUntil(() => knownTo(late) === nodes.length, 60_000);
  const newcomerMs = isTold ? sim.time.nowMs() - startMs : undefined;
  const isKnown = (): boolean => nodes.every((node) => knownTo(node) === nodes.length);
  const toldMs = (await runUntil(sim, isKnown, 120_000)) ? sim.time.nowMs() - startMs : undefined;
  return { newcomerMs, toldMs };
}

/** Cuts a share of the nodes from the others for `forMs`. @returns how long the digests differ afterwards. */
async function partition(
  { sim, nodes }: Mesh,
  share: number,
  forMs: number,
): Promise<number | undefined> {
  const apart = new Set(nodes.slice(0, Math.round(nodes.length * share)).map(addressOf));
  sim.network.divide((from, to) => apart.has(from) !== apart.has(to));
  await sim.run(forMs / 2);
  // Something is said on both sides that the others cannot hear.
  for (const node of [nodes[0], nodes.at(-1)]) {
    if (!node) continue;
    await node.stop();
    await node.start({ nickname: `${node.name}-renamed` });
  }
  await sim.run(forMs / 2);
  sim.network.divide(undefined);
  const startMs = sim.time.nowMs();
  const isSame = (): boolean => new Set(nodes.map(rootOf)).size === 1;
  const hasHealed = await runUntil(sim, isSame, 300_000);
  return hasHealed ? sim.time.nowMs() - startMs : undefined;
}

/** Stops the machines of a share of the nodes for a while. @returns links lost between the others. */
async function pause({ sim, nodes }: Mesh, share: number, forMs: number): Promise<number> {
  const paused = nodes.slice(0, Math.round(nodes.length * share));
  const ids = new Set(paused.map((node) => node.id as string));
  const others = nodes.slice(paused.length);
  const before = others.map((node) => node.events.length);
  const wakes = paused.map((node) => node.suspend());
  await sim.run(forMs);
  for (const wake of wakes) wake();
  await sim.run(60_000);
  return others
    .flatMap((node, at) => node.events.slice(before[at]))
    .filter(({ code, peer }) => code === 'peer-lost' && !ids.has(peer ?? '')).length;
}

/** Looks every 100 ms: looking at a thousand nodes is not cheap. */
async function runUntil(
  sim: Mesh['sim'],
  isDone: () => boolean,
  withinMs: number,
): Promise<boolean> {
  for (let waited = 0; waited < withinMs; waited += 100) {
    if (isDone()) return true;
    await sim.run(100);
  }
  return isDone();
}

function addressOf(node: SimNode): string {
  return node.address;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
