import type { Rng } from '../../src/base/rng.js';
import { generateIdentity } from '../../src/crypto/identity.js';
import type { KnownPeer, NodeIdentity, StateStore } from '../../src/daemon/ports.js';
import type { PeerId } from '../../src/model/peer-id.js';

/** A state directory in memory: outlives the daemon that uses it, like the real one. */
export class MemoryState implements StateStore {
  identity: NodeIdentity;
  readonly #instances = new Set<string>();
  readonly #contacts = new Set<string>();
  readonly #peers = new Map<PeerId, KnownPeer>();
  readonly #records = new Map<string, Uint8Array>();
  readonly #attachments = new Map<string, unknown>();
  readonly #declared = new Map<string, unknown>();
  readonly #ipam = new Map<string, string>();
  /** Cells that may wait, until something else is written. */
  readonly #waiting = new Map<string, string | undefined>();
  readonly #rng: Rng;
  #ownAddress: string | undefined;
  #keepsRecords = true;

  constructor(identity: NodeIdentity, rng: Rng) {
    this.#rng = rng;
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

  recordCells(): Iterable<readonly [string, Uint8Array]> {
    return [...this.#records];
  }

  /** Of a machine that is never started again: a thousand disks with a thousand members each are gigabytes. */
  forgetRecords(): void {
    this.#records.clear();
    this.#keepsRecords = false;
  }

  /** Cells of a state directory that was there before the simulation; not copied: many nodes share them. */
  seedRecordCells(cells: Iterable<readonly [string, Uint8Array]>): void {
    for (const [key, value] of cells) this.#records.set(key, value);
  }

  writeRecordCell(key: string, value: Uint8Array | undefined): void {
    if (!this.#keepsRecords) return;
    if (value) this.#records.set(key, value.slice());
    else this.#records.delete(key);
  }

  attachments(): Iterable<readonly [string, unknown]> {
    return [...this.#attachments];
  }

  async writeAttachment(id: string, value: object | undefined): Promise<void> {
    if (value) this.#attachments.set(id, structuredClone(value));
    else this.#attachments.delete(id);
    this.#writeWaiting();
  }

  declared(prefix: string): Iterable<readonly [string, unknown]> {
    return [...this.#declared].filter(([key]) => key.startsWith(prefix));
  }

  writeDeclared(key: string, value: object | undefined): void {
    if (value) this.#declared.set(key, structuredClone(value));
    else this.#declared.delete(key);
    this.#writeWaiting();
  }

  ipamCells(): Iterable<readonly [string, string]> {
    return [...this.#ipam];
  }

  writeIpamCells(cells: readonly (readonly [string, string | undefined])[], mayWait = false): void {
    for (const [key, value] of cells) this.#waiting.set(key, value);
    if (!mayWait) this.#writeWaiting();
  }

  #writeWaiting(): void {
    for (const [key, value] of this.#waiting) {
      if (value === undefined) this.#ipam.delete(key);
      else this.#ipam.set(key, value);
    }
    this.#waiting.clear();
  }

  /** kill -9: what waited to be written never is. */
  loseWaiting(): void {
    this.#waiting.clear();
  }

  ownAddress(): string | undefined {
    return this.#ownAddress;
  }

  saveOwnAddress(cidr: string): void {
    this.#ownAddress = cidr;
  }

  isOwnInstance(instance: Uint8Array): boolean {
    return this.#instances.has(Buffer.from(instance).toString('hex'));
  }

  addInstance(instance: Uint8Array): void {
    this.#instances.add(Buffer.from(instance).toString('hex'));
  }

  replaceIdentity(): void {
    this.identity = generateIdentity(this.#rng);
    this.#waiting.clear();
    this.#ipam.clear();
    this.#ownAddress = undefined;
  }

  clear(): void {
    this.#contacts.clear();
    this.#peers.clear();
    this.#records.clear();
    this.#attachments.clear();
    this.#waiting.clear();
    this.#ipam.clear();
    this.#ownAddress = undefined;
  }

  close(): Promise<void> {
    this.#writeWaiting();
    return Promise.resolve();
  }
}
