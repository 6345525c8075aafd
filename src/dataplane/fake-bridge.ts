import { isSnoopedMac, macFromBytes, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { isLinkLocal, isMacControl, membershipOf, ROUTER_GROUP } from './fake-ethernet.js';
import { FakeFloodTree, type FakeFlood } from './fake-flood-tree.js';
import { neighbourAnswer, neighbourQuestionOf, neighbourSourcesOf } from './fake-neighbours.js';
import { FakeNetworks } from './fake-networks.js';
import type { FakeBody } from './fake-sessions.js';
import {
  DEFAULT_NETWORK,
  type DataPlaneEvent,
  type FdbEntry,
  type PathId,
  type PeerSlot,
  type SessionIndex,
  type TableEntry,
} from './dataplane.js';

/*
 * The Ethernet of a fake data plane: where a frame of the TAP goes, and whether one of a peer's may go on to the TAP.
 *
 *     TAP ── fromTap ──► FDB, groups, tree ──► send ──► peers
 *     TAP ◄── deliver ── source guard, learning ◄── fromPeer, floodFromPeer ── peers
 */

/** In the FDB: a port of this host. */
export const LOCAL_PEER: PeerSlot = 0;

export interface FakePeer {
  readonly id: PeerId;
  session: SessionIndex;
  path: PathId;
}

/** What is sealed for a peer and has a frame inside. */
export type FrameBody = Extract<FakeBody, { readonly frame: Uint8Array }>;

/** What the rest of the data plane does for it. */
export interface BridgeOutlets {
  readonly peers: ReadonlyMap<PeerSlot, FakePeer>;
  /** On the default network. */
  readonly ownMacs: () => readonly Mac[];
  readonly send: (slot: PeerSlot, network: number, body: FrameBody) => void;
  /** To the TAP; peer 0: nobody sent it. */
  readonly deliver: (frame: Uint8Array, peer: PeerSlot, network: number) => void;
  /** A frame found no way: to this peer, or to who has this IPv4 address. */
  readonly want: (network: number, peer: PeerSlot, target: number) => void;
  readonly emit: (event: DataPlaneEvent) => void;
  readonly count: (name: string) => void;
  readonly drop: (reason: string) => void;
}

type BridgeKind =
  | ('fdbSet' | 'fdbRemove' | 'groupSet' | 'groupRemove')
  | ('membersSet' | 'treeSet' | 'neighbourSet' | 'neighbourRemove');

export class FakeBridge {
  readonly networks = new FakeNetworks();
  readonly #out: BridgeOutlets;
  readonly #fdb = new Map<string, FdbEntry>();
  readonly #groups = new Map<string, readonly PeerSlot[]>();
  readonly #tree = new FakeFloodTree();
  /** MACs by network and address. */
  readonly #neighbours = new Map<string, Mac>();
  readonly #guarded = new Set<string>();

  constructor(outlets: BridgeOutlets) {
    this.#out = outlets;
  }

  apply(entry: Extract<TableEntry, { readonly kind: BridgeKind }>): void {
    switch (entry.kind) {
      case 'fdbSet': {
        const { network, mac, peer } = entry;
        const declared = { network, mac, peer, isDeclared: true, ageSeconds: 0 };
        this.#fdb.set(fdbKey(network, mac), declared);
        break;
      }
      case 'fdbRemove':
        this.#fdb.delete(fdbKey(entry.network, entry.mac));
        break;
      case 'groupSet':
        this.#groups.set(fdbKey(entry.network, entry.mac), entry.peers);
        break;
      case 'groupRemove':
        this.#groups.delete(fdbKey(entry.network, entry.mac));
        break;
      case 'membersSet':
        this.networks.setMembers(entry.network, entry.peers);
        break;
      case 'treeSet':
        this.#tree.set(entry.origin, entry.peers);
        break;
      case 'neighbourSet': {
        const key = neighbourKey(entry.network, entry.address);
        this.#neighbours.set(key, entry.mac);
        if (entry.isGuarded) this.#guarded.add(key);
        else this.#guarded.delete(key);
        break;
      }
      case 'neighbourRemove':
        this.#neighbours.delete(neighbourKey(entry.network, entry.address));
        this.#guarded.delete(neighbourKey(entry.network, entry.address));
        break;
    }
  }

  /** What was learned there goes with it. */
  closeNetwork(network: number): void {
    this.networks.close(network);
    for (const [key, entry] of this.#fdb) {
      if (entry.network === network && !entry.isDeclared) this.#fdb.delete(key);
    }
  }

  dumpFdb(): readonly FdbEntry[] {
    return [...this.#fdb.values()];
  }

  /** A frame that the TAP of this network read. */
  fromTap(frame: Uint8Array, network: number): void {
    if (!this.networks.isOpen(network)) return;
    const destination = macFromBytes(frame.subarray(0, 6));
    if (isLinkLocal(destination) || isMacControl(frame)) {
      this.#out.drop(isLinkLocal(destination) ? 'reserved_multicast' : 'mac_control');
      return;
    }
    this.#noteLocalSource(network, macFromBytes(frame.subarray(6, 12)));
    const entry = this.#fdb.get(fdbKey(network, destination));
    if (entry?.peer === LOCAL_PEER) {
      this.#out.drop('own_destination');
      return;
    }
    const asked = this.#answerNeighbour(network, frame);
    if (asked === 'answered') return;
    const listeners = this.#listenersOf(network, destination, frame);
    if (entry) {
      this.#sendFrame(entry.peer, network, frame);
      return;
    }
    const members =
      network === DEFAULT_NETWORK ? [...this.#out.peers.keys()] : this.networks.membersOf(network);
    const reachable = members.filter((slot) => {
      const peer = this.#out.peers.get(slot);
      return peer !== undefined && peer.session * peer.path !== 0;
    });
    if (reachable.length < members.length && !isHousekeeping(frame)) {
      if (asked === undefined) this.#out.want(network, 0, arpTargetOf(frame));
      else this.#out.want(network, asked, 0);
    }
    if (listeners === undefined && network === DEFAULT_NETWORK && this.#tree.isOn) {
      const flood = this.#tree.originate(frame);
      for (const slot of this.#tree.next(LOCAL_PEER)) this.#sendFlood(slot, flood);
      return;
    }
    if (reachable.length === 0) this.#out.drop('flood_no_members');
    for (const slot of reachable) {
      if (listeners?.includes(slot) !== false) this.#sendFrame(slot, network, frame);
    }
  }

  /** A frame of a peer's own. @returns whether it went on to the TAP */
  fromPeer(peer: PeerSlot, { network, frame }: Extract<FrameBody, { kind: 'frame' }>): boolean {
    if (!this.networks.isOpen(network)) {
      this.#out.drop('inner_network');
      return false;
    }
    const source = macFromBytes(frame.subarray(6, 12));
    const isGroup = ((frame[6] ?? 0) & 1) === 1;
    const ownMacs =
      network === DEFAULT_NETWORK ? this.#out.ownMacs() : this.networks.ownMacsOf(network);
    if (isGroup || ownMacs.includes(source)) {
      this.#out.drop('source mac');
      return false;
    }
    if (isLinkLocal(macFromBytes(frame.subarray(0, 6))) || isMacControl(frame)) {
      this.#out.drop(isMacControl(frame) ? 'mac_control' : 'reserved_multicast');
      return false;
    }
    const key = fdbKey(network, source);
    const known = this.#fdb.get(key);
    if (known?.isDeclared && known.peer !== peer) {
      this.#out.emit({ kind: 'macClaim', network, mac: source, peer, verdict: 'refused' });
      this.#out.drop(known.peer === LOCAL_PEER ? 'own_source' : 'source_guard');
      return false;
    }
    if (this.#isSpoofed(network, peer, frame, ownMacs)) {
      this.#out.emit({ kind: 'macClaim', network, mac: source, peer, verdict: 'spoofed' });
      this.#out.drop('spoofed_address');
      return false;
    }
    if (!known?.isDeclared) {
      this.#fdb.set(key, { network, mac: source, peer, isDeclared: false, ageSeconds: 0 });
    }
    this.#out.count('rxFrames');
    this.#out.deliver(frame, peer, network);
    return true;
  }

  /** One that is handed from neighbour to neighbour. */
  floodFromPeer(via: PeerSlot, flood: FakeFlood): void {
    if (!this.#tree.isTaking) {
      this.#out.drop('flood_no_tree');
      return;
    }
    const { origin, frame, hops } = flood;
    const source = macFromBytes(frame.subarray(6, 12));
    const isGroup = ((frame[6] ?? 0) & 1) === 1;
    if (isGroup || this.#out.ownMacs().includes(source)) {
      this.#out.drop('source mac');
      return;
    }
    const [slot] = [...this.#out.peers].find(([, { id }]) => id === origin) ?? [];
    const known = this.#fdb.get(fdbKey(DEFAULT_NETWORK, source));
    if (known?.isDeclared && known.peer !== slot) {
      this.#out.drop(known.peer === LOCAL_PEER ? 'own_source' : 'source_guard');
      return;
    }
    if (this.#isSpoofed(DEFAULT_NETWORK, slot ?? LOCAL_PEER, frame, this.#out.ownMacs())) {
      this.#out.drop('spoofed_address');
      return;
    }
    if (!this.#tree.take(flood)) {
      this.#out.drop('flood_again');
      return;
    }
    if (!known && slot !== undefined) {
      const learned = { network: DEFAULT_NETWORK, mac: source, peer: slot };
      const entry = { ...learned, isDeclared: false, ageSeconds: 0 };
      this.#fdb.set(fdbKey(DEFAULT_NETWORK, source), entry);
    }
    this.#out.deliver(frame, via, DEFAULT_NETWORK);
    if (hops === 0) return;
    this.#out.count('floods_passed');
    for (const other of this.#tree.next(via)) this.#sendFlood(other, { ...flood, hops: hops - 1 });
  }

  #sendFrame(slot: PeerSlot, network: number, frame: Uint8Array): void {
    this.#out.send(slot, network, { kind: 'frame', network, frame: frame.slice() });
  }

  #sendFlood(slot: PeerSlot, flood: FakeFlood): void {
    const peer = this.#out.peers.get(slot);
    if (peer && peer.session * peer.path !== 0) this.#out.send(slot, DEFAULT_NETWORK, flood);
  }

  /** native/engine/address_guard.h. `sender` 0: nobody we know. */
  #isSpoofed(
    network: number,
    sender: PeerSlot,
    frame: Uint8Array,
    ownMacs: readonly Mac[],
  ): boolean {
    if (this.#guarded.size === 0) return false;
    return neighbourSourcesOf(frame).some((address) => {
      const key = neighbourKey(network, address);
      const mac = this.#guarded.has(key) ? this.#neighbours.get(key) : undefined;
      if (mac === undefined) return false;
      if (ownMacs.includes(mac)) return true;
      const holder = this.#fdb.get(fdbKey(network, mac));
      if (!holder?.isDeclared || (holder.peer === sender && sender !== LOCAL_PEER)) return false;
      const peer = this.#out.peers.get(holder.peer);
      return holder.peer === LOCAL_PEER || (peer?.session ?? 0) * (peer?.path ?? 0) !== 0;
    });
  }

  /** Asked for a host behind a peer: native/engine/neighbour_answer.h. @returns the peer when it is out of reach */
  #answerNeighbour(network: number, frame: Uint8Array): 'answered' | PeerSlot | undefined {
    const question = neighbourQuestionOf(frame);
    const mac = question && this.#neighbours.get(neighbourKey(network, question.target));
    if (mac === undefined || mac === question?.asker) return undefined;
    const holder = this.#fdb.get(fdbKey(network, mac));
    const { session, path } = this.#out.peers.get(holder?.peer ?? LOCAL_PEER) ?? {
      session: 0,
      path: 0,
    };
    if (!holder?.isDeclared || holder.peer === LOCAL_PEER) return undefined;
    if (session === 0 || path === 0) return holder.peer;
    this.#out.count('neighbours_answered');
    this.#out.deliver(neighbourAnswer(frame, mac), LOCAL_PEER, network);
    return 'answered';
  }

  #listenersOf(network: number, group: Mac, frame: Uint8Array): readonly PeerSlot[] | undefined {
    const membership = membershipOf(frame);
    if (membership !== 'none') {
      this.#out.emit({ kind: 'membership', network, frame: frame.slice(), missed: 0 });
    }
    if (membership === 'report') return this.#groups.get(fdbKey(network, ROUTER_GROUP));
    return isSnoopedMac(group) ? this.#groups.get(fdbKey(network, group)) : undefined;
  }

  #noteLocalSource(network: number, mac: Mac): void {
    const key = fdbKey(network, mac);
    const known = this.#fdb.get(key);
    if (!known || known.peer === LOCAL_PEER) return;
    if (!known.isDeclared) this.#fdb.delete(key);
    this.#out.emit({ kind: 'macClaim', network, mac, peer: known.peer, verdict: 'local' });
  }
}

/** What kernels say unasked, see native/core/mac.h. */
function isHousekeeping(frame: Uint8Array): boolean {
  const to = Buffer.from(frame.subarray(0, 6)).toString('hex');
  return /^(3333000000|01005e0000)(01|02|16)$/.test(to);
}

function arpTargetOf(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return frame.length >= 42 && view.getUint16(12) === 0x0806 ? view.getUint32(38) : 0;
}

function neighbourKey(network: number, address: string): string {
  return `${network} ${address}`;
}

function fdbKey(network: number, mac: Mac): string {
  return `${network} ${mac}`;
}
