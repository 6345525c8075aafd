import { meshIdOf } from '../../src/crypto/mesh.js';
import { recordSigner } from '../../src/crypto/record-signature.js';
import { macOfPeer } from '../../src/model/peer-id.js';
import { recordCell } from '../../src/records/persistence.js';
import { signRecord } from '../../src/records/signed-record.js';
import { encodePeerRecord } from '../../src/wire/peer-record.js';
import { RECORD_KIND } from '../../src/wire/record.js';
import { macBytes } from '../../src/model/mac.js';
import { PORT, Sim, type SimNode } from './harness.js';

/*
 * Meshes of hundreds of nodes at 20 ms round trip, with counted handshakes and shared records. They begin from memory,
 * all at once, each with everybody's peer record in its state directory: a data centre after a power cut.
 */

export interface Mesh {
  readonly sim: Sim;
  readonly nodes: SimNode[];
}

export async function meshFromMemory(count: number, seed: number): Promise<Mesh> {
  const sim = await makeSim(seed);
  const nodes: SimNode[] = [];
  for (let at = 0; at < count; at++) addTo(sim, nodes, []);
  const cells = nodes.map((node) => peerCellOf(sim, node));
  for (const node of nodes) {
    for (const [key, value] of cells) node.state.writeRecordCell(key, value);
  }
  for (const node of nodes) await node.start();
  return { sim, nodes };
}

/** One more, not started. */
export function addTo(sim: Sim, nodes: SimNode[], peers?: readonly string[]): SimNode {
  const at = nodes.length;
  const contact = nodes[Math.floor(sim.rng.fraction() * at)];
  const node = sim.node(`n${at}`, {
    isCounted: true,
    peers: peers ?? (contact ? [contact.address] : []),
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

/** A frame to all hosts of the segment. */
export function broadcastFrom(node: SimNode, text: string): Uint8Array {
  const frame = new Uint8Array(60).fill(0xff, 0, 6);
  frame.set(macBytes(macOfPeer(node.id)), 6);
  frame.set([0x88, 0xb5], 12);
  frame.set(new TextEncoder().encode(text), 14);
  return frame;
}

/** Who has that IPv4 address? */
export function arpRequestFrom(node: SimNode, target: string): Uint8Array {
  const frame = broadcastFrom(node, '');
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1], 12);
  frame.set(target.split('.').map(Number), 38);
  return frame;
}

export async function makeSim(seed: number): Promise<Sim> {
  const sim = await Sim.create(seed);
  sim.network.setAll({ delayMs: 10 });
  return sim;
}

/** Its peer record, as another node stored it before the simulation began. */
export function peerCellOf(sim: Sim, node: SimNode): readonly [string, Uint8Array] {
  const { identity } = node.state;
  const body = encodePeerRecord({
    nickname: node.name,
    endpoints: [{ family: 4, address: node.address, port: PORT }],
    addresses: [],
    version: '0.0.0-sim',
    isRelay: true,
  });
  const record = signRecord(
    {
      kind: RECORD_KIND.PEER,
      key: new Uint8Array(0),
      version: sim.time.wallMs() - 1000,
      isTombstone: false,
      body,
      publicKey: identity.publicKey,
    },
    recordSigner(identity, meshIdOf('default')),
  );
  return [recordCell(identity.id, record, false), record.bytes];
}
