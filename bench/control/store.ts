import type { TableEntry } from '../../src/dataplane/dataplane.js';
import { FakeDataPlane } from '../../src/dataplane/fake.js';
import type { Sim } from '../../test/sim/harness.js';
import {
  addTo,
  cellsOf,
  knownTo,
  makeSim,
  MeshWords,
  someOf,
  type Mesh,
} from '../../test/sim/mesh.js';
import { areSame } from '../../test/sim/scale-scenarios.js';

/* One daemon that knows ten thousand others: what each costs it, and how long a newcomer needs to learn of them. */

/** Who chose it and whom it chose: what a node of a large mesh lists. */
const LINKS_EACH = 16;

export interface StoreFigures {
  /**
   * What one daemon's heap grew by, a remote node, before anybody asked for anything, without the tables of the
   * simulated data plane: those are native memory in a real one.
   */
  readonly heapBytesPerNode: number;
  /** What those tables cost, strings that the control plane has as well not counted. */
  readonly planeBytesPerNode: number;
  /** Until the newcomer has the same digest; undefined: not within five minutes. */
  readonly syncMs: number | undefined;
  /** Members that the newcomer knows at the end. */
  readonly owners: number;
  readonly cpuMs: number;
}

export async function storeOf(count: number, seed: number): Promise<StoreFigures> {
  const startCpu = process.cpuUsage();
  const mesh: Mesh = { sim: await makeSim(seed), nodes: [], words: new MeshWords() };
  const { sim } = mesh;
  // Machines that are off: their records are all there is of them.
  const absent: Mesh = { ...mesh, nodes: [] };
  for (let at = 0; at < count; at++) addTo(absent, []);
  const cells = absent.nodes.flatMap((node) =>
    cellsOf(sim, node, someOf(sim, absent.nodes, LINKS_EACH)),
  );
  const rich = addTo(absent, []);
  for (const [key, value] of cells) rich.state.writeRecordCell(key, value);
  absent.nodes.length = sim.nodes.length = 0;
  sim.records.isSharing = false;
  const before = heapBytes();
  await rich.start();
  await sim.run(1000);
  const grown = (heapBytes() - before) / count;
  const tables: TableEntry[] = [];
  const late = sim.node('late', {
    isCounted: true,
    peers: [rich.address],
    underlay: ['10.199.0.1'],
    onTables: (batch) => tables.push(...batch),
  });
  const startMs = sim.time.nowMs();
  await late.start();
  const hasAll = await sim.time.runUntil(
    () => knownTo(late) === count + 2 && areSame([rich, late]),
    300_000,
  );
  const syncMs = hasAll ? sim.time.nowMs() - startMs : undefined;
  const { user, system } = process.cpuUsage(startCpu);
  const owners = knownTo(late);
  const planeBytesPerNode = planeBytes(sim, tables) / count;
  const heapBytesPerNode = grown - planeBytesPerNode;
  return { heapBytesPerNode, planeBytesPerNode, syncMs, owners, cpuMs: (user + system) / 1000 };
}

/** What a simulated data plane keeps of these entries, members without a session. */
function planeBytes(sim: Sim, tables: readonly TableEntry[]): number {
  const entries = tables.filter((entry) => {
    return (
      entry.kind === 'fdbSet' ||
      entry.kind === 'neighbourSet' ||
      (entry.kind === 'peerSet' && entry.session === 0 && entry.path === 0)
    );
  });
  const { network } = sim;
  const plane = new FakeDataPlane({ network, addresses: [], secret: new Uint8Array(16) });
  const before = heapBytes();
  plane.apply(entries);
  const bytes = heapBytes() - before;
  plane.close();
  return bytes;
}

function heapBytes(): number {
  const collect = (globalThis as { readonly gc?: () => void }).gc;
  if (!collect) throw new Error('Run node with --expose-gc');
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
