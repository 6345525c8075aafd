import { established, meshAtRest } from '../../test/sim/mesh.js';
import {
  idle,
  lostPush,
  newcomer,
  partition,
  pause,
  threeDaysAway,
  type Idle,
} from '../../test/sim/scale-scenarios.js';

/*
 * What a mesh of whole daemons costs and how fast it agrees, in virtual time at 20 ms round trip: the figures of
 * `bench/control`.
 */

/** The mesh begins with the links it has at rest: what a restart of all makes is over by then. */
const SETTLE_MS = 30_000;

export interface Figures {
  readonly nodes: number;
  readonly linksMean: number;
  readonly linksMost: number;
  readonly idle: Idle;
  /** From a newcomer's start until it knows all; undefined: not within a minute. */
  readonly newcomerMs: number | undefined;
  /** From the newcomer's start until all know it. */
  readonly toldMs: number | undefined;
  /** From a statement whose pushes were lost until all know it. */
  readonly lostPushMs: number | undefined;
  /** From the end of a partition until all digests are the same. */
  readonly healMs: number | undefined;
  /** What a quarter that was paused did to the others. */
  readonly disturbances: readonly string[];
  /** What those sent meanwhile. */
  readonly pauseBytesPerSecond: number;
  /** From the return of a node after three days until all digests are the same. */
  readonly awayMs: number | undefined;
  /** Deleted records that it brought back, members that expired or were retired by it. */
  readonly awayHarm: number;
  /** Of the process, in MB: all nodes together. */
  readonly heapMegabytes: number;
  readonly cpuMs: number;
  /** What all nodes together would have computed. */
  readonly handshakes: number;
  readonly verifications: number;
}

export async function measure(
  count: number,
  seed: number,
  tell: (step: string) => void,
): Promise<Figures> {
  const startCpu = process.cpuUsage();
  const mesh = await meshAtRest(count, seed);
  const { sim } = mesh;
  tell(`${count} started`);
  await sim.run(SETTLE_MS);
  const links = mesh.nodes.map(established);
  const rest = await idle(mesh, 60_000);
  const heapMegabytes = process.memoryUsage().heapUsed / 2 ** 20;
  tell(
    `at rest: ${rest.mostBytesPerSecond.toFixed(0)} B/s at most, ${heapMegabytes.toFixed(0)} MB`,
  );
  const lostPushMs = await lostPush(mesh);
  tell(`a push was lost: ${lostPushMs} ms`);
  const late = await newcomer(mesh);
  tell(`a newcomer: ${late.knowsAllMs} ms, all know it after ${late.knownToAllMs} ms`);
  const away = await threeDaysAway(mesh);
  tell(
    `three days away: ${away.sameMs} ms, ${away.resurrections} back, ${away.expiries.length} out`,
  );
  const healMs = await partition(mesh, 0.3, 60_000);
  tell(`a partition: ${healMs} ms`);
  const paused = await pause(mesh, 0.25, 60_000);
  tell(`a pause: ${paused.disturbances.length} disturbed, ${paused.healMs} ms`);
  const { user, system } = process.cpuUsage(startCpu);
  const { done: handshakes } = sim.handshakes;
  const { verifications } = sim.records;
  await sim.stopAll();
  return {
    nodes: count,
    linksMean: links.reduce((sum, value) => sum + value, 0) / links.length,
    linksMost: Math.max(...links),
    idle: rest,
    newcomerMs: late.knowsAllMs,
    toldMs: late.knownToAllMs,
    lostPushMs,
    healMs,
    disturbances: paused.disturbances,
    pauseBytesPerSecond: paused.meanBytesPerSecond,
    awayMs: away.sameMs,
    awayHarm: away.resurrections + away.expiries.length,
    heapMegabytes,
    cpuMs: (user + system) / 1000,
    handshakes,
    verifications,
  };
}
