import type { KnownPeer, NodeIdentity, StateStore } from '../../src/daemon/ports.js';
import type { PeerId } from '../../src/model/peer-id.js';

/** A state directory in memory: outlives the daemon that uses it, like the real one. */
export class MemoryState implements StateStore {
  readonly identity: NodeIdentity;
  readonly #contacts = new Set<string>();
  readonly #peers = new Map<PeerId, KnownPeer>();
  #ownAddress: string | undefined;

  constructor(identity: NodeIdentity) {
    this.identity = identity;
  }

  contacts(): readonly string[] {
    return [...this.#contacts];
  }

  addContact(text: string): void {
    this.#contacts.add(text);
  }

  removeContact(text: string): boolean {
    return this.#contacts.delete(text);
  }

  knownPeers(): readonly KnownPeer[] {
    return [...this.#peers.values()];
  }

  saveKnownPeer(peer: KnownPeer): void {
    this.#peers.set(peer.id, peer);
  }

  removeKnownPeer(id: PeerId): void {
    this.#peers.delete(id);
  }

  ownAddress(): string | undefined {
    return this.#ownAddress;
  }

  saveOwnAddress(cidr: string): void {
    this.#ownAddress = cidr;
  }

  clear(): void {
    this.#contacts.clear();
    this.#peers.clear();
    this.#ownAddress = undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
