import type { BenchPlaceDocument, BenchWish, NodeControl } from '../api/control.js';
import { findPeer } from '../api/find-peer.js';
import { toHex } from '../base/bytes.js';
import type { PeerId } from '../model/peer-id.js';
import type { Contacts } from './contacts.js';
import type { EventRing } from './event-ring.js';
import type { LoadTests } from './load-tests.js';
import type { MeshRemovals } from './mesh-removals.js';
import * as snapshot from './snapshot.js';

export interface NodeControlComponents {
  readonly contacts: Contacts;
  readonly events: EventRing;
  /** Those of now: others are made at the start. */
  readonly machines: () => { readonly removals: MeshRemovals; readonly loads: LoadTests };
  readonly source: () => snapshot.SnapshotSource;
  readonly reset: () => Promise<void>;
}

/** What operators ask of the node itself: documents of what is now, and commands. */
export function makeNodeControl(components: NodeControlComponents): NodeControl {
  const { contacts, events, machines, source, reset } = components;
  return {
    status: () => snapshot.statusDocument(source()),
    peers: () => ({ schema: 1, peers: snapshot.peerDocuments(source()) }),
    routes: () => ({ schema: 1, routes: snapshot.routeDocuments(source()) }),
    paths: (peer) => snapshot.pathsDocument(source(), peer),
    report: () => snapshot.reportDocument(source()),
    connect: (texts) => Promise.resolve().then(() => contacts.add(texts)),
    forget: (texts) => Promise.resolve().then(() => contacts.forget(texts)),
    removePeer: (peer, isForced) => machines().removals.remove(peer, isForced),
    bench: (peer, wish) => placeForBench(components, peer, wish),
    events: (afterSeq) => events.after(afterSeq),
    onEvent: (callback) => events.onEvent(callback),
    reset,
  };
}

async function placeForBench(
  { source, machines }: NodeControlComponents,
  text: string,
  wish: BenchWish,
): Promise<BenchPlaceDocument> {
  const nodes = snapshot.peerDocuments(source());
  const named = nodes.map((node) => ({ ...node, id: node.id as PeerId }));
  const [others, self] = [named.filter((node) => !node.self), named.find((node) => node.self)];
  const { id, nickname, path } = findPeer(others, text, self);
  const { token, proof, ...place } = await machines().loads.ask(id, nickname, wish);
  const secrets = { token: toHex(token), proof: toHex(proof) };
  return { schema: 1, peer: id, nickname, path, ...place, ...secrets };
}
