import { addTo, knownTo, makeSim, peerCellOf } from '../../test/sim/mesh.js';
import type { SimNode } from '../../test/sim/harness.js';

/* One daemon that knows ten thousand others: what each costs it, and how long a newcomer needs to learn of them. */

export interface StoreFigures {
  /** What one daemon's heap grew by, a remote node, before anybody asked for anything. */
  readonly heapBytesPerNode: number;
  /** Undefined: not within two minutes. */
  readonly syncMs: number | undefined;
  /** Members that the newcomer knows at the end. */
  readonly owners: number;
  readonly cpuMs: number;
}

export async function storeOf(count: number, seed: number): Promise<StoreFigures> {
  const startCpu = process.cpuUsage();
  const sim = await makeSim(seed);
  const nodes: SimNode[] = [];
  // Machines that are off: their records are all there is of them.
  const absent: SimNode[] = [];
  for (let at = 0; at < count; at++) addTo(sim, absent, []);
  const cells = absent.map((node) => peerCellOf(sim, node));
  const rich = addTo(sim, absent, []);
  for (const [key, value] of cells) rich.state.writeRecordCell(key, value);
  absent.length = 0;
  sim.records.isSharing = false;
  const before = heapBytes();
  await rich.start();
  await sim.run(1000);
  const heapBytesPerNode = (heapBytes() - before) / count;
  nodes.push(rich);
  const late = sim.node('late', {
    isCounted: true,
    peers: [rich.address],
    underlay: ['10.199.0.1'],
  });
  const startMs = sim.time.nowMs();
  await late.start();
  const hasAll = await sim.time.runUntil(() => knownTo(late) === count + 2, 120_000);
  const syncMs = hasAll ? sim.time.nowMs() - startMs : undefined;
  const { user, system } = process.cpuUsage(startCpu);
  const owners = knownTo(late);
  return { heapBytesPerNode, syncMs, owners, cpuMs: (user + system) / 1000 };
}

function heapBytes(): number {
  const collect = (globalThis as { readonly gc?: () => void }).gc;
  if (!collect) throw new Error('Run node with --expose-gc');
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
