import { SCHEMA_VERSION, type IpamDocument } from '../api/control.js';
import { takeFromEnvelope } from '../ipam/envelope.js';
import {
  decodeTitle,
  networkOfPool,
  titleRecordKey,
  titleRecordVersion,
  type Title,
} from '../ipam/title.js';
import type { Actions } from '../link/actions.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { bodyOfRecord, keyOfRecord, type SignedRecord } from '../records/signed-record.js';
import { RECORD_KIND } from '../wire/record.js';
import {
  AddressRequests,
  type AddressRequestsComponents,
  type AddressRequestsOptions,
} from './address-requests.js';
import { MeshIpam, type MeshIpamComponents, type MeshIpamOptions } from './mesh-ipam.js';
import type { MeshNetworks } from './mesh-networks.js';
import type { RecordRoom } from './record-room.js';

/*
 * Address management of every network, each a machine of its own (mesh-ipam.ts): overlapping subnets of two networks know
 * nothing of each other, and one without subnets has no pool until one is added. All nodes run all of them, also those that have nothing on a network: rule 5
 * of docs/protocol.md §9 asks every member. A title says by its pool's id which network it is of, a message by its
 * envelope.
 */

/** As many as are created in a mesh; a member that invents more does not make all others run machines for them. */
const MAX_MANAGED = 255;
/** More for those whose sayers name few. */
const MAX_MANAGED_OF_SMALL = 2 * MAX_MANAGED;
const SMALL_SHARE = 16;

export interface MeshAddressesComponents extends MeshIpamComponents, AddressRequestsComponents {
  readonly networks: MeshNetworks;
}

export type MeshAddressesOptions = MeshIpamOptions & AddressRequestsOptions;

/** A network's machine in the mesh, and how this host asks it. */
interface Addresses {
  readonly ipam: MeshIpam;
  readonly requests: AddressRequests;
}

interface Managed extends Addresses {
  /** Of the definition, as text: another one makes another machine. */
  readonly shape: string;
  isRunning: boolean;
}

export class MeshAddresses implements RecordRoom {
  readonly kind = RECORD_KIND.TITLE;
  readonly #default: Addresses;
  readonly #components: MeshAddressesComponents;
  readonly #options: MeshAddressesOptions;
  readonly #managed = new Map<NetworkId, Managed>();
  #isStarted = false;
  #revision = -1;

  constructor(components: MeshAddressesComponents, options: MeshAddressesOptions) {
    this.#components = components;
    this.#options = options;
    this.#default = makeAddresses(components, options);
  }

  /** Whether a title may stand as a record: signed by who countersigned it, under its own key and version. */
  static accepts(record: SignedRecord): boolean {
    if (record.kind !== RECORD_KIND.TITLE) return true;
    const title = record.isTombstone ? undefined : decodeTitle(bodyOfRecord(record));
    if (!title?.ok) return false;
    const { witness, grantor } = title.value;
    return (
      record.owner === (witness ?? grantor) &&
      record.version === titleRecordVersion(title.value) &&
      Buffer.compare(keyOfRecord(record), titleRecordKey(title.value)) === 0
    );
  }

  get ofDefault(): AddressRequests {
    return this.#default.requests;
  }

  /** Undefined: there is no such network, or there are too many. */
  of(network: NetworkId): AddressRequests | undefined {
    return this.#find(network)?.requests;
  }

  /** What its titles say. Undefined as `of` is. */
  ipamOf(network: NetworkId): MeshIpam | undefined {
    return this.#find(network)?.ipam;
  }

  #find(network: NetworkId): Addresses | undefined {
    if (network === DEFAULT_NETWORK_ID) return this.#default;
    const held = this.#managed.get(network);
    const definition = this.#components.networks.byId(network);
    return held ?? (definition && this.#add(definition));
  }

  /** Of one network or all, the default one first. */
  document(network?: NetworkId): IpamDocument {
    const others = [...this.#managed.values()].map(({ requests }) => requests);
    const asked = network === undefined ? [this.ofDefault, ...others] : [this.of(network)];
    const all = asked.flatMap((requests) => requests?.document() ?? []);
    return {
      schema: SCHEMA_VERSION,
      pools: all.flatMap(({ pools }) => pools),
      used: all.flatMap(({ used }) => used),
      reserved: all.flatMap(({ reserved }) => reserved),
      clashes: all.flatMap(({ clashes }) => clashes),
    };
  }

  // ── as a room of the records ─────────────────────────────────────────────────────────────────────────────────────

  onWork(): void {
    // Wakes the loop by itself.
  }

  get nextDeadlineMs(): number {
    return Infinity;
  }

  onDeadline(): void {
    // See `follow`.
  }

  onChange({ record }: { readonly record: SignedRecord | undefined }): void {
    const title = record && decodeTitle(bodyOfRecord(record));
    if (title?.ok) this.#onTitle(title.value);
  }

  #onTitle(title: Title): void {
    const network = networkOfPool(title.pool);
    this.#machine(network)?.onTitle(title);
  }

  /** None is made for a network that has none yet. */
  #machine(network: NetworkId): MeshIpam | undefined {
    return (network === DEFAULT_NETWORK_ID ? this.#default : this.#managed.get(network))?.ipam;
  }

  // ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

  get turnDeadlineMs(): number {
    let next = this.#default.ipam.turnDeadlineMs;
    for (const { ipam } of this.#managed.values()) next = Math.min(next, ipam.turnDeadlineMs);
    return this.#components.networks.revision === this.#revision ? next : 0;
  }

  /** The records are restored. */
  start(nowMs: number, out: Actions): void {
    this.#default.ipam.start(nowMs, out);
    this.#isStarted = true;
    this.#followNetworks(nowMs, out);
  }

  onMessage(peer: PeerId, type: number, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const { network, body } = takeFromEnvelope(bytes);
    this.#machine(network)?.onMessage(peer, type, body, nowMs, out);
  }

  /** Once a turn. */
  follow(nowMs: number, out: Actions): void {
    if (this.#isStarted) this.#followNetworks(nowMs, out);
    this.#default.ipam.follow(nowMs, out);
    for (const { ipam } of this.#managed.values()) ipam.follow(nowMs, out);
  }

  #followNetworks(nowMs: number, out: Actions): void {
    const { networks } = this.#components;
    if (networks.revision === this.#revision) return;
    this.#revision = networks.revision;
    const created = new Set(networks.takeCreated());
    for (const [id, { ipam, shape }] of [...this.#managed]) {
      const definition = networks.byId(id);
      if (definition && shapeOf(definition) === shape) continue;
      this.#managed.delete(id);
      if (definition) ipam.end();
      else ipam.drop();
    }
    for (const definition of networks.all) {
      const { id } = definition;
      if (id === DEFAULT_NETWORK_ID) continue;
      if (!this.#managed.has(id)) this.#add(definition);
      const managed = this.#managed.get(id);
      if (managed === undefined) continue;
      if (!managed.isRunning) managed.ipam.start(nowMs, out);
      managed.isRunning = true;
      if (created.has(id)) managed.ipam.found(nowMs, out);
    }
  }

  /** Who names many networks leaves room for those of others, and for ours. */
  #hasRoom(network: NetworkId): boolean {
    const { size } = this.#managed;
    if (size < MAX_MANAGED) return true;
    const share = this.#components.networks.shareOf(network);
    return share === 0 || (share <= SMALL_SHARE && size < MAX_MANAGED_OF_SMALL);
  }

  #add(definition: NetworkDefinition): Addresses | undefined {
    if (!this.#hasRoom(definition.id)) return undefined;
    // Its ranges are nobody's business on the host itself: they may be those of other networks, or of routes.
    const components: MeshAddressesComponents = {
      ...this.#components,
      nodeAddresses: () => [],
      admitPool: () => Promise.resolve(),
    };
    const made = makeAddresses(components, {
      ...{ self: this.#options.self, pools: definition.subnets, hasContacts: true },
      network: definition,
    });
    this.#managed.set(definition.id, { ...made, shape: shapeOf(definition), isRunning: false });
    for (const record of this.#components.records().store.ofKind(RECORD_KIND.TITLE)) {
      const title = decodeTitle(bodyOfRecord(record));
      if (title.ok) made.ipam.onTitle(title.value);
    }
    return made;
  }
}

function makeAddresses(
  components: MeshAddressesComponents,
  options: MeshAddressesOptions,
): Addresses {
  const ipam = new MeshIpam(components, options);
  return { ipam, requests: new AddressRequests(ipam, components, options) };
}

function shapeOf({ subnets, createdMs }: NetworkDefinition): string {
  return `${createdMs} ${subnets.join()}`;
}
