import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Database, RootDatabase } from 'lmdb';
import { open } from 'lmdb';

import { OverlayError } from '../base/errors.js';
import type { Rng } from '../base/rng.js';
import { formatEndpoint, parseEndpoint } from '../model/endpoint.js';
import type { PeerId } from '../model/peer-id.js';
import { parsePeerId } from '../model/peer-id.js';
import { databaseDamage } from './database-file.js';
import { GroupCommit } from './group-commit.js';
import { loadIdentity, replaceIdentity } from './identity-file.js';
import { InstanceFile } from './instance-file.js';
import type { KnownPeer, Logger, NodeIdentity, StateStore } from './ports.js';
import { ensureStateDir, stateDirError } from './state-dir.js';

/*
 * What survives a restart:
 *
 *   <state-dir>/identity.json   the node's key, see identity-file.ts
 *   <state-dir>/instances.json  which processes ran on it, see instance-file.ts
 *   <state-dir>/state.mdb       lmdb, values in JSON: version · contacts · known peers · own address
 *                               records, see records/persistence.ts (bytes) · attachments, see workload/stored.ts
 *                               address management, see ipam/estate.ts
 *                               declared: names and the like
 *
 * Read whole at start and kept in memory (it is bounded); changes are written behind, in order, one transaction
 * each. A crash loses the last moments at most; nothing here is more than a memory that the mesh renews.
 */

const FORMAT_VERSION = 1;
const MAX_KNOWN_PEERS = 4096;
const MAX_ENDPOINTS = 8;
const MAX_CONTACTS = 256;

export interface StateStoreComponents {
  readonly rng: Rng;
  readonly log: Logger;
  /** Of the process; who else may own the directory. */
  readonly ownUid: number;
}

/** The store of a state directory with what bin needs besides. */
export interface OpenStateStore extends StateStore {
  /** For reset: contacts, known peers, own address and attachments go, the identity stays. */
  clear(): void;
}

/** @throws OverlayError OVL_STATE_DIR, OVL_STATE_NEWER */
export function openStateStore(stateDir: string, components: StateStoreComponents): OpenStateStore {
  ensureStateDir(stateDir, components.ownUid);
  const identity = loadIdentity(stateDir, components.rng);
  return new LmdbStateStore(openDatabase(stateDir), identity, components.log, {
    instances: new InstanceFile(stateDir),
    replace: () => replaceIdentity(stateDir, components.rng, identity),
  });
}

function openDatabase(stateDir: string): RootDatabase<unknown, string> {
  const path = join(stateDir, 'state.mdb');
  const damage = databaseDamage(path);
  if (damage !== undefined) throw unusable(path, damage);
  let root: RootDatabase<unknown, string>;
  try {
    root = open<unknown, string>({
      path,
      noSubdir: true,
      encoding: 'json',
      maxDbs: 8,
      maxReaders: 8,
    });
  } catch (cause) {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  for (const file of [path, `${path}-lock`]) if (existsSync(file)) chmodSync(file, 0o600);
  const version = root.get('version');
  if (version === undefined) root.putSync('version', FORMAT_VERSION);
  else if (version !== FORMAT_VERSION) {
    void root.close();
    throw new OverlayError(
      'OVL_STATE_NEWER',
      `${path} has version ${JSON.stringify(version)}, this overlayd knows ${FORMAT_VERSION}`,
      {
        cure: 'Run the newer overlayd that wrote it, or choose another --state-dir',
        value: path,
      },
    );
  }
  return root;
}

function unusable(path: string, why: string, cause?: unknown): OverlayError {
  return new OverlayError('OVL_STATE_DIR', `Cannot open ${path}: ${why}`, {
    cure: `Move ${path} away: contacts and known peers are forgotten, the identity stays`,
    value: path,
    cause,
  });
}

interface AttachmentWrite {
  readonly id: string;
  readonly value: object | undefined;
}

class LmdbStateStore implements OpenStateStore {
  readonly identity: NodeIdentity;
  readonly #root: RootDatabase<unknown, string>;
  readonly #contactTable: Database<unknown, string>;
  readonly #peerTable: Database<unknown, string>;
  readonly #recordTable: Database<Uint8Array, string>;
  readonly #attachmentTable: Database<unknown, string>;
  readonly #attachmentWrites = new GroupCommit<AttachmentWrite>((writes) => {
    this.#writeAttachments(writes);
  });
  readonly #declaredTable: Database<unknown, string>;
  readonly #ipamTable: Database<unknown, string>;
  /** Of address management: in no transaction yet. */
  readonly #waitingCells = new Map<string, string | undefined>();
  readonly #log: Logger;
  /** In order of addition, value: the key's number. */
  readonly #contacts = new Map<string, string>();
  /** Least recently saved first. */
  readonly #peers = new Map<PeerId, KnownPeer>();
  #nextSequence = 1;
  #ownAddress: string | undefined;
  #closing: Promise<void> | undefined;

  readonly #files: { readonly instances: InstanceFile; readonly replace: () => unknown };

  constructor(
    root: RootDatabase<unknown, string>,
    identity: NodeIdentity,
    log: Logger,
    files: { readonly instances: InstanceFile; readonly replace: () => unknown },
  ) {
    this.#files = files;
    this.#root = root;
    this.identity = identity;
    this.#log = log;
    this.#contactTable = root.openDB<unknown, string>('contacts', { encoding: 'json' });
    this.#peerTable = root.openDB<unknown, string>('peers', { encoding: 'json' });
    this.#recordTable = root.openDB<Uint8Array, string>('records', { encoding: 'binary' });
    this.#attachmentTable = root.openDB<unknown, string>('attachments', { encoding: 'json' });
    this.#declaredTable = root.openDB<unknown, string>('declared', { encoding: 'json' });
    this.#ipamTable = root.openDB<unknown, string>('ipam', { encoding: 'json' });
    this.#load();
  }

  contacts(): readonly string[] {
    return [...this.#contacts.keys()];
  }

  addContact(text: string): void {
    if (this.#contacts.has(text)) return;
    if (this.#contacts.size >= MAX_CONTACTS) {
      throw new OverlayError(
        'OVL_USAGE',
        `Cannot store contact ${text}: ${MAX_CONTACTS} are stored already`,
        {
          cure: 'Forget some first (overlayctl forget); peers find each other without',
          value: text,
        },
      );
    }
    const key = sequenceKey(this.#nextSequence++);
    this.#contacts.set(text, key);
    this.#write(this.#contactTable.put(key, text));
  }

  removeContact(text: string): boolean {
    const key = this.#contacts.get(text);
    if (key === undefined) return false;
    this.#contacts.delete(text);
    this.#write(this.#contactTable.remove(key));
    return true;
  }

  knownPeers(): readonly KnownPeer[] {
    return [...this.#peers.values()];
  }

  saveKnownPeer(peer: KnownPeer): void {
    this.#peers.delete(peer.id);
    const kept = { ...peer, endpoints: peer.endpoints.slice(0, MAX_ENDPOINTS) };
    this.#peers.set(peer.id, kept);
    this.#write(this.#peerTable.put(peer.id, peerToJson(kept, this.#nextSequence++)));
    for (const id of this.#peers.keys()) {
      if (this.#peers.size <= MAX_KNOWN_PEERS) break;
      this.removeKnownPeer(id);
    }
  }

  removeKnownPeer(id: PeerId): void {
    if (this.#peers.delete(id)) this.#write(this.#peerTable.remove(id));
  }

  *recordCells(): Iterable<readonly [string, Uint8Array]> {
    for (const { key, value } of this.#recordTable.getRange()) {
      if (value instanceof Uint8Array) yield [key, value];
    }
  }

  writeRecordCell(key: string, value: Uint8Array | undefined, isUrgent: boolean): void {
    if (!isUrgent) {
      const table = this.#recordTable;
      this.#write(value ? table.put(key, Buffer.from(value)) : table.remove(key));
      return;
    }
    try {
      if (value) this.#recordTable.putSync(key, Buffer.from(value));
      else this.#recordTable.removeSync(key);
    } catch (error) {
      this.#write(Promise.reject(error instanceof Error ? error : new Error(String(error))));
    }
  }

  *attachments(): Iterable<readonly [string, unknown]> {
    for (const { key, value } of this.#attachmentTable.getRange()) yield [key, value];
  }

  writeAttachment(id: string, value: object | undefined): Promise<void> {
    return this.#attachmentWrites.add({ id, value });
  }

  #writeAttachments(writes: readonly AttachmentWrite[]): void {
    this.#transact(() => {
      for (const { id, value } of writes) {
        if (value) this.#attachmentTable.putSync(id, value);
        else this.#attachmentTable.removeSync(id);
      }
    });
  }

  /** One commit with the cells that wait. @throws OVL_STATE_DIR, with nothing written */
  #transact(put: () => void): void {
    try {
      this.#root.transactionSync(() => {
        for (const [key, value] of this.#waitingCells) {
          if (value === undefined) this.#ipamTable.removeSync(key);
          else this.#ipamTable.putSync(key, value);
        }
        put();
      });
    } catch (error) {
      throw stateDirError('state.mdb', 'Cannot write', error);
    }
    this.#waitingCells.clear();
  }

  *declared(prefix: string): Iterable<readonly [string, unknown]> {
    for (const { key, value } of this.#declaredTable.getRange({ start: prefix })) {
      if (!key.startsWith(prefix)) return;
      yield [key, value];
    }
  }

  writeDeclared(key: string, value: object | undefined): void {
    try {
      if (value) this.#declaredTable.putSync(key, value);
      else this.#declaredTable.removeSync(key);
    } catch (error) {
      throw stateDirError('state.mdb', 'Cannot write', error);
    }
  }

  *ipamCells(): Iterable<readonly [string, string]> {
    this.writeIpamCells([]);
    for (const { key, value } of this.#ipamTable.getRange()) {
      if (typeof value === 'string') yield [key, value];
    }
  }

  writeIpamCells(cells: readonly (readonly [string, string | undefined])[], mayWait = false): void {
    for (const [key, value] of cells) this.#waitingCells.set(key, value);
    if (mayWait || this.#waitingCells.size === 0) return;
    this.#transact(() => undefined);
  }

  ownAddress(): string | undefined {
    return this.#ownAddress;
  }

  saveOwnAddress(cidr: string): void {
    if (cidr === this.#ownAddress) return;
    this.#ownAddress = cidr;
    this.#write(this.#root.put('ownAddress', cidr));
  }

  isOwnInstance(instance: Uint8Array): boolean {
    return this.#files.instances.has(instance);
  }

  addInstance(instance: Uint8Array): void {
    this.#files.instances.add(instance);
  }

  replaceIdentity(): void {
    this.#files.replace();
    // Pair keys and the address belong to the one that keeps the old identity.
    for (const { id, publicKey, nickname, endpoints } of this.knownPeers()) {
      this.saveKnownPeer({ id, publicKey, nickname, endpoints });
    }
    this.#ownAddress = undefined;
    this.#write(this.#root.remove('ownAddress'));
    // So do its titles.
    this.#waitingCells.clear();
    this.#write(this.#ipamTable.clearAsync().then(() => true));
  }

  clear(): void {
    this.#attachmentWrites.flush();
    for (const text of this.contacts()) this.removeContact(text);
    for (const id of [...this.#peers.keys()]) this.removeKnownPeer(id);
    this.#ownAddress = undefined;
    this.#write(this.#root.remove('ownAddress'));
    this.#write(this.#recordTable.clearAsync().then(() => true));
    this.#write(this.#attachmentTable.clearAsync().then(() => true));
    this.#waitingCells.clear();
    this.#write(this.#ipamTable.clearAsync().then(() => true));
    this.#write(this.#declaredTable.clearAsync().then(() => true));
  }

  close(): Promise<void> {
    this.#attachmentWrites.flush();
    if (this.#closing === undefined && this.#waitingCells.size > 0) this.#writeWaiting();
    this.#closing ??= this.#root.flushed.then(() => this.#root.close());
    return this.#closing;
  }

  #writeWaiting(): void {
    try {
      this.writeIpamCells([]);
    } catch (error) {
      this.#write(Promise.reject(error instanceof Error ? error : new Error(String(error))));
    }
  }

  /** A full disk must not stop the mesh: it is said, and what is in memory goes on. */
  #write(written: Promise<boolean>): void {
    written.catch((error: unknown) => {
      const { message } = stateDirError('state.mdb', 'Cannot write', error);
      this.#log.error({ err: error, code: 'OVL_STATE_DIR' }, message);
    });
  }

  #load(): void {
    let damaged = 0;
    for (const { key, value } of this.#contactTable.getRange()) {
      this.#nextSequence = Math.max(this.#nextSequence, Number(key) + 1);
      if (typeof value === 'string' && this.#contacts.size < MAX_CONTACTS)
        this.#contacts.set(value, key);
      else damaged++;
    }
    const peers: { peer: KnownPeer; sequence: number }[] = [];
    for (const { key, value } of this.#peerTable.getRange({ limit: 2 * MAX_KNOWN_PEERS })) {
      const read = peerFromJson(key, value);
      if (read === undefined) damaged++;
      else peers.push(read);
    }
    peers.sort((left, right) => left.sequence - right.sequence);
    for (const { peer, sequence } of peers.slice(-MAX_KNOWN_PEERS)) {
      this.#peers.set(peer.id, peer);
      this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
    }
    const ownAddress = this.#root.get('ownAddress');
    if (typeof ownAddress === 'string') this.#ownAddress = ownAddress;
    if (damaged > 0)
      this.#log.warn({ damaged }, 'Some entries of the state are damaged and left out');
  }
}

/** Keys that sort as the numbers do. */
function sequenceKey(sequence: number): string {
  return String(sequence).padStart(16, '0');
}

function peerToJson(peer: KnownPeer, sequence: number): Record<string, unknown> {
  return {
    sequence,
    publicKey: toBase64(peer.publicKey),
    nickname: peer.nickname,
    endpoints: peer.endpoints.map(formatEndpoint),
    ...(peer.hint === undefined ? {} : { hint: toBase64(peer.hint) }),
    ...(peer.pairKey === undefined ? {} : { pairKey: toBase64(peer.pairKey) }),
  };
}

function peerFromJson(
  key: string,
  value: unknown,
): { peer: KnownPeer; sequence: number } | undefined {
  const id = parsePeerId(key);
  if (id === undefined || typeof value !== 'object' || value === null) return undefined;
  const { sequence, publicKey, nickname, endpoints, hint, pairKey } = value as Record<
    string,
    unknown
  >;
  const keyBytes = fromBase64(publicKey, 32);
  if (typeof sequence !== 'number' || typeof nickname !== 'string' || keyBytes === undefined)
    return undefined;
  if (!Array.isArray(endpoints)) return undefined;
  const hintBytes = fromBase64(hint, 8);
  const pairBytes = fromBase64(pairKey, 32);
  const texts = (endpoints as readonly unknown[]).filter((text) => typeof text === 'string');
  const peer: KnownPeer = {
    id,
    publicKey: keyBytes,
    nickname,
    endpoints: texts.flatMap((text) => parseEndpoint(text) ?? []).slice(0, MAX_ENDPOINTS),
    // One without the other is of no use.
    ...(hintBytes === undefined || pairBytes === undefined
      ? {}
      : { hint: hintBytes, pairKey: pairBytes }),
  };
  return { peer, sequence };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function fromBase64(text: unknown, length: number): Uint8Array | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return bytes.length === length ? bytes : undefined;
}
