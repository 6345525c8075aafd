import { established, meshAtRest } from '../../test/sim/mesh.js';
import {
  idle,
  lostPush,
  newcomer,
  partition,
  pause,
  threeDaysAway,
  type Away,
  type Idle,
  type Newcomer,
  type Partition,
  type Paused,
} from '../../test/sim/scale-scenarios.js';

/*
 * What a mesh of whole daemons costs and how fast it agrees, in virtual time at 20 ms round trip: the figures of
 * `bench/control`.
 */

/** The mesh begins with the links it has at rest: what a restart of all makes is over by then. */
const SETTLE_MS = 30_000;

/** What can be asked for; each finds a mesh at rest. */
export const PHASES = ['lostPush', 'newcomer', 'away', 'partition', 'pause'] as const;
export type Phase = (typeof PHASES)[number];

export interface Figures {
  readonly nodes: number;
  readonly linksMean: number;
  readonly linksMost: number;
  readonly idle: Idle;
  /** Undefined: not asked for. */
  readonly newcomer: Newcomer | undefined;
  /** From a statement whose pushes were lost until all know it. */
  readonly lostPush: { readonly foundMs: number | undefined } | undefined;
  readonly partition: Partition | undefined;
  readonly pause: Paused | undefined;
  readonly away: Away | undefined;
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
  phases: ReadonlySet<Phase>,
  tell: (step: string) => void,
): Promise<Figures> {
  const startCpu = process.cpuUsage();
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage(startCpu);
    return (user + system) / 1000;
  };
  const say = (step: string): void => {
    tell(`${step} (${(cpuMs() / 1000).toFixed(0)} s of CPU so far)`);
  };
  const when = async <Of>(phase: Phase, run: () => Promise<Of>): Promise<Of | undefined> =>
    phases.has(phase) ? await run() : undefined;

  const mesh = await meshAtRest(count, seed);
  const { sim } = mesh;
  say(`${count} started`);
  await sim.run(SETTLE_MS);
  const links = mesh.nodes.map(established);
  const rest = await idle(mesh, 60_000);
  const heapMegabytes = process.memoryUsage().heapUsed / 2 ** 20;
  say(`at rest: ${rest.mostBytesPerSecond.toFixed(0)} B/s at most, ${heapMegabytes.toFixed(0)} MB`);
  const lost = await when('lostPush', async () => ({ foundMs: await lostPush(mesh) }));
  if (lost) say(`a push was lost: ${lost.foundMs} ms`);
  const late = await when('newcomer', () => newcomer(mesh));
  if (late) say(`a newcomer: ${late.knowsAllMs} ms, all know it after ${late.knownToAllMs} ms`);
  const away = await when('away', () => threeDaysAway(mesh));
  if (away) {
    const { sameMs, resurrections, expiries } = away;
    say(`three days away: ${sameMs} ms, ${resurrections} back, ${expiries.length} out`);
  }
  const cut = await when('partition', () => partition(mesh, 0.3, 60_000));
  if (cut) say(`a partition: ${cut.healMs} ms`);
  const paused = await when('pause', () => pause(mesh, 0.25, 60_000));
  if (paused) say(`a pause: ${paused.disturbances.length} disturbed, ${paused.healMs} ms`);
  const { done: handshakes } = sim.handshakes;
  const { verifications } = sim.records;
  const figures: Figures = {
    nodes: count,
    linksMean: links.reduce((sum, value) => sum + value, 0) / links.length,
    linksMost: Math.max(...links),
    idle: rest,
    newcomer: late,
    lostPush: lost,
    partition: cut,
    pause: paused,
    away,
    heapMegabytes,
    cpuMs: cpuMs(),
    handshakes,
    verifications,
  };
  await sim.stopAll();
  return figures;
}
