import type { EventDocument } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import { parseCidr, cidrsOverlap, formatCidr, widthOf } from '../model/cidr.js';
import {
  DEFAULT_NETWORK_ID,
  MAX_MTU_BYTES,
  MAX_SUBNETS,
  MIN_MTU_BYTES,
  parseNetworkName,
  type NetworkDefinition,
  type NetworkId,
} from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { Catalog, type CatalogEvent } from '../networks/catalog.js';
import { bodyOfRecord } from '../records/signed-record.js';
import { networkKey, networkOfKey } from '../wire/group-record.js';
import {
  clampCreatedMs,
  decodeNetworkRecord,
  encodeNetworkRecord,
  MAX_CREATED_MS,
  type NetworkStatement,
} from '../wire/network-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { StateStore } from './ports.js';
import type { RecordRoom, SayRecord } from './record-room.js';

/*
 * The mesh's networks as this node knows them, and what it says of them: records of kind network. What it says is on
 * disk too, so that what is attached comes back before anybody was met.
 */

/** Keys of the state store: this and the network's id in hex. */
const STORED = 'network/';
/** Networks of one mesh: beyond that none is created here, ... */
const MAX_CREATED = 255;
/** ... but that many by each node all the same: what others name shall not end that. */
const MAX_CREATED_ALWAYS = 16;
/** Whether a definition in use gives way to another. */
const JUDGE_AGAIN_MS = 60_000;
/** Two bits for hosts at least. */
const MIN_HOST_BITS = 2;

export interface NetworkRequest {
  readonly name: string;
  readonly subnets?: readonly string[] | undefined;
  readonly mtu?: number | undefined;
}

export interface MeshNetworksComponents {
  readonly state: Pick<StateStore, 'declared' | 'writeDeclared'>;
  readonly wallMs: () => number;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** How people call a peer. */
  readonly nameOf: (peer: PeerId) => string;
  /** Whether this node has known it for over an hour. */
  readonly isEstablished: (peer: PeerId) => boolean;
}

export interface MeshNetworksOptions {
  /** The default network, which is not in the records. */
  readonly defaultNetwork: NetworkDefinition;
  readonly idOf: (name: string) => NetworkId;
}

export class MeshNetworks implements RecordRoom {
  readonly kind = RECORD_KIND.NETWORK;
  readonly #components: MeshNetworksComponents;
  readonly #options: MeshNetworksOptions;
  readonly #catalog: Catalog;
  /** Keys of records of an earlier run that this one does not say. */
  readonly #stale = new Map<NetworkId, Uint8Array>();
  /** Networks that were created here and nobody has asked for yet. */
  #created: NetworkId[] = [];
  /** While anything is contested. */
  #judgeAtMs: number | undefined;
  #wake: () => void = () => undefined;
  #onGone: (id: NetworkId) => void = () => undefined;

  constructor(components: MeshNetworksComponents, options: MeshNetworksOptions) {
    this.#components = components;
    this.#options = options;
    this.#catalog = new Catalog({
      idOf: options.idOf,
      isEstablished: components.isEstablished,
    });
    for (const [, value] of components.state.declared(STORED)) {
      const statement = fromStored(value);
      if (statement && options.idOf(statement.name) !== DEFAULT_NETWORK_ID) {
        this.#catalog.restore(statement);
      }
    }
  }

  // ── as a room of the records ─────────────────────────────────────────────────────────────────────────────────────

  onWork(wake: () => void): void {
    this.#wake = wake;
  }

  get nextDeadlineMs(): number {
    if (this.#catalog.hasDirty || this.#stale.size > 0) return 0;
    return this.#catalog.isContested ? (this.#judgeAtMs ?? 0) : Number.POSITIVE_INFINITY;
  }

  onChange({ owner, key, record }: Parameters<RecordRoom['onChange']>[0], isOwn: boolean): void {
    const id = networkOfKey(key);
    if (isOwn) {
      const isSaid = id !== undefined && this.#catalog.ownStatement(id) !== undefined;
      if (record && !isSaid) this.#stale.set(id ?? -1, key);
      return;
    }
    if (id === undefined) return;
    const read = record && decodeNetworkRecord(bodyOfRecord(record));
    const wasThere = this.byId(id) !== undefined;
    this.#catalog.onStatement(owner, id, read?.ok === true ? read.value : undefined);
    this.#follow();
    if (wasThere && this.byId(id) === undefined) this.#onGone(id);
  }

  onDeadline(nowMs: number, say: SayRecord): void {
    this.#judgeContested(nowMs);
    const gone = [...this.#stale].filter(([id]) => !this.#catalog.ownStatement(id));
    this.#stale.clear();
    for (const [, key] of gone) say(this.kind, key, undefined);
    for (const id of this.#catalog.takeDirty()) {
      const own = this.#catalog.ownStatement(id);
      say(this.kind, networkKey(id), own && encodeNetworkRecord(own));
    }
  }

  #judgeContested(nowMs: number): void {
    if (!this.#catalog.isContested) {
      this.#judgeAtMs = undefined;
      return;
    }
    this.#judgeAtMs ??= nowMs + JUDGE_AGAIN_MS;
    if (nowMs < this.#judgeAtMs) return;
    this.#judgeAtMs = nowMs + JUDGE_AGAIN_MS;
    this.#catalog.judgeContested();
    this.#follow();
  }

  // ── for the rest of the daemon ───────────────────────────────────────────────────────────────────────────────────

  /** Called when a network that was known is no more. */
  onGone(callback: (id: NetworkId) => void): void {
    this.#onGone = callback;
  }

  /** Changes whenever a definition or a member does. */
  get revision(): number {
    return this.#catalog.revision;
  }

  /** The default network first, the others by name. */
  get all(): readonly NetworkDefinition[] {
    return [this.#options.defaultNetwork, ...this.#catalog.all];
  }

  byId(id: NetworkId): NetworkDefinition | undefined {
    return id === DEFAULT_NETWORK_ID ? this.#options.defaultNetwork : this.#catalog.get(id);
  }

  /** @throws OVL_NOT_FOUND naming those there are */
  find(text: string): NetworkDefinition {
    const name = parseNetworkName(text);
    const found = this.all.find((network) => network.name === name);
    if (found) return found;
    const names = this.all.slice(0, 16).map((network) => network.name);
    throw new OverlayError('OVL_NOT_FOUND', `There is no network '${text}'`, {
      value: text,
      cure: `Networks: ${names.join(', ')}. 'overlayctl network create' makes another.`,
    });
  }

  /** Of those who speak of a network, how many the one speaks of who speaks of fewest; 0: this node does itself. */
  shareOf(id: NetworkId): number {
    return this.#catalog.shareOf(id);
  }

  /** Other nodes that have something on a network, but the default one. */
  members(id: NetworkId): readonly PeerId[] {
    return this.#catalog.members(id);
  }

  /** Networks created here since this was asked last. */
  takeCreated(): readonly NetworkId[] {
    const created = this.#created;
    this.#created = [];
    return created;
  }

  /** This node has something on it, or nothing any more. */
  setUsed(id: NetworkId, isUsed: boolean): void {
    this.#catalog.setUsed(id, isUsed);
    this.#store(id);
    this.#wake();
  }

  /**
   * Nothing happens when it is there as asked for.
   * @throws OVL_NAME_INVALID, OVL_ADDRESS_INVALID, OVL_USAGE, OVL_NETWORK_CONFLICT
   */
  create(request: NetworkRequest): NetworkDefinition {
    const name = parseNetworkName(request.name);
    if (name === undefined) {
      throw new OverlayError('OVL_NAME_INVALID', `'${request.name}' cannot be a network's name`, {
        value: request.name,
        cure: 'Give letters, digits, dots, dashes and underscores, at most 63 bytes.',
      });
    }
    const subnets = request.subnets === undefined ? undefined : parseSubnets(request.subnets);
    const mtuBytes = mtuOf(request.mtu);
    const id = this.#options.idOf(name);
    const existing = this.byId(id);
    if (existing) {
      mustBeTheSame(existing, { name, subnets, mtuBytes });
      return existing;
    }
    const { size, ownSize } = this.#catalog;
    if (size >= MAX_CREATED && ownSize >= MAX_CREATED_ALWAYS) {
      throw new OverlayError('OVL_USAGE', `The mesh has ${MAX_CREATED} networks already`, {
        cure: 'Remove some first: overlayctl network remove.',
      });
    }
    const nowMs = clampCreatedMs(this.#components.wallMs());
    const createdMs = Math.max(nowMs, this.#catalog.removedMs(id) + 1);
    if (createdMs > MAX_CREATED_MS) {
      const message = `A member took the name '${name}' away for good`;
      throw new OverlayError('OVL_NETWORK_CONFLICT', message, {
        value: name,
        cure: 'Choose another name.',
      });
    }
    const definition = {
      ...{ id, name, subnets: subnets ?? [], createdMs },
      mtuBytes: mtuBytes ?? this.#options.defaultNetwork.mtuBytes,
    };
    this.#catalog.create(definition);
    this.#store(id);
    this.#created.push(id);
    this.#components.emit({
      level: 'info',
      code: 'network-created',
      message: `Network ${name} created`,
    });
    this.#wake();
    return definition;
  }

  /**
   * `targets`: what of this host is on it. Nothing happens when there is no such network.
   * @throws OVL_NETWORK_IN_USE naming what and where, OVL_USAGE for the default one
   */
  remove(text: string, targets: readonly string[]): void {
    const name = parseNetworkName(text);
    const found = this.all.find((network) => network.name === name);
    if (!found) return;
    if (found.id === DEFAULT_NETWORK_ID) {
      throw new OverlayError('OVL_USAGE', 'The default network cannot be removed', {
        value: text,
        cure: 'Every mesh has it.',
      });
    }
    const hosts = this.members(found.id).map(this.#components.nameOf);
    if (targets.length > 0 || hosts.length > 0) {
      const here = targets.length > 0 ? [`${shortList(targets)} on this host`] : [];
      const there = hosts.length > 0 ? [`something on ${shortList(hosts)}`] : [];
      const what = [...here, ...there].join(', and ');
      throw new OverlayError('OVL_NETWORK_IN_USE', `Network ${found.name} has ${what}`, {
        value: text,
        cure: "Detach that first ('overlayctl ps' on each of these hosts lists it).",
      });
    }
    this.#catalog.remove(found.id);
    this.#store(found.id);
    this.#components.emit({
      level: 'info',
      code: 'network-removed',
      message: `Network ${found.name} removed`,
    });
    this.#onGone(found.id);
    this.#wake();
  }

  #follow(): void {
    for (const event of this.#catalog.takeEvents()) {
      this.#store(this.#options.idOf(event.name));
      this.#tell(event);
    }
  }

  #tell({ kind, name, winner, peer }: CatalogEvent): void {
    const about = peer && { peer };
    const who = peer === undefined ? 'a member' : this.#components.nameOf(peer);
    if (kind === 'removed') {
      const message = `Network ${name} was removed by ${who}`;
      this.#components.emit({ level: 'info', code: 'network-removed', message, ...about });
      return;
    }
    const other = `${winner?.subnets.join(', ') || 'any subnet'}, MTU ${winner?.mtuBytes ?? 0}`;
    this.#components.emit({
      level: 'warn',
      code: 'network-clash',
      message:
        kind === 'rival'
          ? `Network ${name} was created twice: what is in use here stays, ${who} uses another (${other})`
          : `Network ${name} was created twice: that of ${who} counts (${other})`,
      ...about,
      cure:
        kind === 'rival'
          ? `Detach what is on ${name} on the hosts that shall give way: the definition that more hosts use counts.`
          : 'Look whether what is attached still fits it; interfaces keep their MTU until the last target leaves.',
    });
  }

  /** @throws OVL_STATE_DIR */
  #store(id: NetworkId): void {
    const key = `${STORED}${id.toString(16).padStart(6, '0')}`;
    const own = this.#catalog.ownStatement(id);
    this.#components.state.writeDeclared(key, own && toStored(own));
  }
}

function parseSubnets(texts: readonly string[]): readonly string[] {
  if (texts.length > MAX_SUBNETS) {
    throw new OverlayError('OVL_USAGE', `A network has at most ${MAX_SUBNETS} subnets`, {
      value: String(texts.length),
      cure: 'Give fewer, or larger ones.',
    });
  }
  const ranges = texts.map((text) => {
    const range = parseCidr(text);
    if (range && range.bits > 0 && range.bits <= widthOf(range.family) - MIN_HOST_BITS)
      return range;
    throw new OverlayError('OVL_ADDRESS_INVALID', `'${text}' is not a subnet`, {
      value: text,
      cure: 'Give it by its first address and length, like 10.80.0.0/16 or fd12:3456::/64.',
    });
  });
  for (const [at, range] of ranges.entries()) {
    const other = ranges.slice(0, at).find((earlier) => cidrsOverlap(earlier, range));
    if (!other) continue;
    const message = `The subnets ${formatCidr(other)} and ${formatCidr(range)} overlap`;
    throw new OverlayError('OVL_ADDRESS_INVALID', message, {
      value: formatCidr(range),
      cure: 'Give subnets of one network side by side.',
    });
  }
  return ranges.map(formatCidr);
}

function mtuOf(mtu: number | undefined): number | undefined {
  if (mtu === undefined || (mtu >= MIN_MTU_BYTES && mtu <= MAX_MTU_BYTES)) return mtu;
  throw new OverlayError('OVL_USAGE', `A network cannot have the MTU ${mtu}`, {
    value: String(mtu),
    cure: `Give bytes from ${MIN_MTU_BYTES} to ${MAX_MTU_BYTES}.`,
  });
}

function mustBeTheSame(
  existing: NetworkDefinition,
  asked: Pick<NetworkRequest, 'name' | 'subnets'> & { readonly mtuBytes: number | undefined },
): void {
  if (existing.name !== asked.name) {
    const message = `The name '${asked.name}' has the id of the network ${existing.name}`;
    throw new OverlayError('OVL_NETWORK_CONFLICT', message, {
      value: asked.name,
      cure: 'Choose another name.',
    });
  }
  const isSame =
    (asked.subnets === undefined || sorted(asked.subnets) === sorted(existing.subnets)) &&
    (asked.mtuBytes === undefined || asked.mtuBytes === existing.mtuBytes);
  if (isSame) return;
  const has = `${existing.subnets.join(', ') || 'no subnet'} and MTU ${existing.mtuBytes}`;
  const message = `The network ${existing.name} is there already, with ${has}`;
  throw new OverlayError('OVL_NETWORK_CONFLICT', message, {
    value: asked.name,
    cure: 'Choose another name, or remove it first: overlayctl network remove.',
  });
}

function sorted(texts: readonly string[]): string {
  return [...texts].sort().join();
}

function shortList(texts: readonly string[]): string {
  const more = texts.length > 8 ? ` and ${texts.length - 8} more` : '';
  return `${texts.slice(0, 8).join(', ')}${more}`;
}

/** What was in use goes on to count as that until it is again. */
function toStored(statement: NetworkStatement): object {
  const { name, subnets, mtuBytes, createdMs, removedMs, isUsed, isRemoved } = statement;
  return { name, subnets, mtuBytes, createdMs, removedMs, isUsed, isRemoved };
}

/** Undefined: damaged. */
function fromStored(value: unknown): NetworkStatement | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, subnets, mtuBytes, createdMs, removedMs, isUsed, isRemoved } = value as Stored;
  if (typeof name !== 'string' || typeof mtuBytes !== 'number') return undefined;
  if (typeof createdMs !== 'number' || typeof removedMs !== 'number') return undefined;
  if (!Array.isArray(subnets)) return undefined;
  const texts = (subnets as readonly unknown[]).filter((text) => typeof text === 'string');
  const said = { name, subnets: texts, mtuBytes, createdMs, removedMs, isUsed: isUsed === true };
  const read = decodeNetworkRecord(encodeNetworkRecord({ ...said, isRemoved: isRemoved === true }));
  return read.ok ? read.value : undefined;
}

type Stored = Readonly<Record<string, unknown>>;
