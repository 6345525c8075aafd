import { meshIdOf } from '../../src/crypto/mesh.js';
import { recordSigner } from '../../src/crypto/record-signature.js';
import type { DaemonOptions } from '../../src/daemon/ports.js';
import { makeAppetite } from '../../src/daemon/lasting-parts.js';
import { OwnAddress } from '../../src/daemon/own-address.js';
import { macOfPeer, type PeerId } from '../../src/model/peer-id.js';
import { recordCell } from '../../src/records/persistence.js';
import { signRecord, type SignedRecord } from '../../src/records/signed-record.js';
import { costStep } from '../../src/routing/topology.js';
import { encodeGroupRecord, networkKey } from '../../src/wire/group-record.js';
import { encodeLinksRecord } from '../../src/wire/links-record.js';
import { encodePeerRecord } from '../../src/wire/peer-record.js';
import { RECORD_KIND, type RecordFields } from '../../src/wire/record.js';
import { macBytes } from '../../src/model/mac.js';
import { POOL, PORT, Sim, type SimNode } from './harness.js';
import { Words } from './words.js';

/*
 * Meshes of hundreds of nodes at 20 ms round trip, with counted handshakes and shared records. They begin from memory,
 * all at once, each with everybody's peer record in its state directory: a data centre after a power cut.
 */

const NO_GROUPS = { wantsEverything: false, hasRouter: false, groups: [] };

export interface Mesh {
  readonly sim: Sim;
  readonly nodes: SimNode[];
  readonly words: MeshWords;
}

/** What nodes say into the records for a scenario, and hear of others; it outlives their processes. */
export class MeshWords {
  readonly #words = new WeakMap<SimNode, Words>();

  of(node: SimNode): Words {
    let words = this.#words.get(node);
    if (!words) this.#words.set(node, (words = new Words()));
    return words;
  }
}

export async function meshFromMemory(
  count: number,
  seed: number,
  options: Partial<DaemonOptions> = {},
): Promise<Mesh> {
  const mesh = { sim: await makeSim(seed), nodes: [] as SimNode[], words: new MeshWords() };
  const { sim, nodes } = mesh;
  for (let at = 0; at < count; at++) addTo(mesh, []);
  const cells = nodes.map((node) => peerCellOf(sim, node));
  for (const node of nodes) {
    for (const [key, value] of cells) node.state.writeRecordCell(key, value);
  }
  for (const node of nodes) await node.start(options);
  return mesh;
}

/**
 * The same after a restart of all: each has everything in its state directory that the others said at rest, whom they
 * are linked with, too, which is those it will link with again. Their disks are not kept: nobody may be started again.
 */
export async function meshAtRest(count: number, seed: number): Promise<Mesh> {
  const mesh = { sim: await makeSim(seed), nodes: [] as SimNode[], words: new MeshWords() };
  const { sim, nodes } = mesh;
  for (let at = 0; at < count; at++) addTo(mesh, []);
  const linked = linksAtRest(nodes);
  const cells = nodes.flatMap((node) => cellsOf(sim, node, [...(linked.get(node.id) ?? [])]));
  for (const { state } of nodes) state.seedRecordCells(cells);
  for (const node of nodes) {
    await node.start();
    node.state.forgetRecords();
  }
  return mesh;
}

/** Who chose it and whom it chose. */
function linksAtRest(nodes: readonly SimNode[]): ReadonlyMap<PeerId, ReadonlySet<PeerId>> {
  const linked = new Map(nodes.map(({ id }) => [id, new Set<PeerId>()]));
  for (const { id, state } of nodes) {
    const appetite = makeAppetite(state.identity);
    const others = nodes.filter((other) => other.id !== id);
    for (const other of others) appetite.onMember(other.id);
    appetite.step(0, () => -1);
    const chosen = appetite.isSparse ? appetite.neighbours : others.map((other) => other.id);
    for (const other of chosen) {
      linked.get(id)?.add(other);
      linked.get(other)?.add(id);
    }
  }
  return linked;
}

/** So many of the others, at random. */
export function someOf(sim: Sim, others: readonly SimNode[], count: number): readonly PeerId[] {
  const some = new Set<PeerId>();
  while (some.size < Math.min(count, others.length)) {
    const other = others[Math.floor(sim.rng.fraction() * others.length)];
    if (other) some.add(other.id);
  }
  return [...some];
}

/** One more, not started; it was given the address of another unless `peers` says whose. */
export function addTo({ sim, nodes, words }: Mesh, peers?: readonly string[]): SimNode {
  const at = nodes.length;
  const contact = nodes[Math.floor(sim.rng.fraction() * at)];
  const node = sim.node(`n${at}`, {
    isCounted: true,
    peers: peers ?? (contact ? [contact.address] : []),
    underlay: [`10.200.${at >> 8}.${at & 255}`],
    rooms: (self) => [words.of(self)],
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
  const record = peerRecordOf(node, sim.time.wallMs() - 1000);
  return [recordCell(node.id, record, false), record.bytes];
}

/** All that a node at rest says, as another stored it: who it is, whom it is linked with, groups. */
export function cellsOf(
  sim: Sim,
  node: SimNode,
  linked: readonly PeerId[],
): readonly (readonly [string, Uint8Array])[] {
  const steps = new Map(linked.map((id) => [id, costStep(20)]));
  const version = sim.time.wallMs() - 500;
  const said = [
    { kind: RECORD_KIND.LINKS, key: new Uint8Array(0), body: encodeLinksRecord(steps) },
    { kind: RECORD_KIND.GROUP, key: networkKey(0), body: encodeGroupRecord(NO_GROUPS) },
  ].map((fields) => recordOf(node, { ...fields, version }));
  const cells = said.map((record) => [recordCell(node.id, record, false), record.bytes] as const);
  return [peerCellOf(sim, node), ...cells];
}

/** What it said of itself under that version. */
export function peerRecordOf(node: SimNode, version: number): SignedRecord {
  const who = { id: node.id, meshId: meshIdOf('default') };
  const own = new OwnAddress({ ...who, mode: 'auto', pool: POOL, stored: undefined });
  const body = encodePeerRecord({
    nickname: node.name,
    endpoints: [{ family: 4, address: node.address, port: PORT }],
    addresses: own.cidrs,
    version: '0.0.0-sim',
    isRelay: true,
  });
  return recordOf(node, { kind: RECORD_KIND.PEER, key: new Uint8Array(0), version, body });
}

/** Signed by the node, as it would itself. */
export function recordOf(
  { state: { identity } }: SimNode,
  fields: Pick<RecordFields, 'kind' | 'key' | 'version' | 'body'>,
): SignedRecord {
  const { publicKey } = identity;
  return signRecord(
    { ...fields, isTombstone: false, publicKey },
    recordSigner(identity, meshIdOf('default')),
  );
}
