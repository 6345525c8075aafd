import { Sim, type SimNode } from './harness.js';

/*
 * Meshes of hundreds of nodes at 20 ms round trip, with counted handshakes and shared records: each node is given one
 * that was started before it, at random. They start a few at a time, as machines do, since each that comes learns of
 * the others before it dials them all.
 */

const JOIN_EVERY_MS = 25;

export async function meshOf(
  count: number,
  seed: number,
): Promise<{ readonly sim: Sim; readonly nodes: SimNode[] }> {
  const sim = await Sim.create(seed);
  sim.network.setAll({ delayMs: 10 });
  const nodes: SimNode[] = [];
  for (let at = 0; at < count; at++) {
    await addTo(sim, nodes).start();
    await sim.run(JOIN_EVERY_MS);
  }
  return { sim, nodes };
}

/** One more, not started. */
export function addTo(sim: Sim, nodes: SimNode[]): SimNode {
  const at = nodes.length;
  const contact = nodes[Math.floor(sim.rng.fraction() * at)];
  const node = sim.node(`n${at}`, {
    isCounted: true,
    peers: contact ? [contact.address] : [],
    underlay: [`10.200.${at >> 8}.${at & 255}`],
  });
  nodes.push(node);
  return node;
}

/** Members a node knows, itself included. */
export function knownTo(node: SimNode): number {
  return node.daemon.memberCount + 1;
}

export function established(node: SimNode): number {
  return node.daemon.control.status().links.established;
}

/** The root of a node's digest. */
export function rootOf(node: SimNode): string {
  return Buffer.from(node.daemon.recordRoot()).toString('hex');
}
