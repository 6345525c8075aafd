import { SCHEMA_VERSION, type IpamDocument } from '../api/control.js';
import { takeFromEnvelope } from '../ipam/envelope.js';
import { decodeTitle, networkOfPool, type Title } from '../ipam/title.js';
import type { Actions } from '../link/actions.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { bodyOfRecord, type SignedRecord } from '../records/signed-record.js';
import { RECORD_KIND } from '../wire/record.js';
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

export interface MeshAddressesComponents extends MeshIpamComponents {
  readonly networks: MeshNetworks;
}

interface Managed {
  readonly ipam: MeshIpam;
  /** Of the definition, as text: another one makes another machine. */
  readonly shape: string;
  isRunning: boolean;
}

export class MeshAddresses implements RecordRoom {
  readonly kind = RECORD_KIND.TITLE;
  readonly ofDefault: MeshIpam;
  readonly #components: MeshAddressesComponents;
  readonly #options: MeshIpamOptions;
  readonly #managed = new Map<NetworkId, Managed>();
  #isStarted = false;
  #revision = -1;

  constructor(components: MeshAddressesComponents, options: MeshIpamOptions) {
    this.#components = components;
    this.#options = options;
    this.ofDefault = new MeshIpam(components, options);
  }

  /** Undefined: there is no such network, or there are too many. */
  of(network: NetworkId): MeshIpam | undefined {
    if (network === DEFAULT_NETWORK_ID) return this.ofDefault;
    const held = this.#managed.get(network)?.ipam;
    const definition = this.#components.networks.byId(network);
    return held ?? (definition && this.#add(definition));
  }

  /** Of one network or all, the default one first. */
  document(network?: NetworkId): IpamDocument {
    const others = [...this.#managed.values()].map(({ ipam }) => ipam);
    const asked = network === undefined ? [this.ofDefault, ...others] : [this.of(network)];
    const all = asked.flatMap((ipam) => ipam?.document() ?? []);
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
    if (network === DEFAULT_NETWORK_ID) this.ofDefault.onTitle(title);
    else this.#managed.get(network)?.ipam.onTitle(title);
  }

  // ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

  get turnDeadlineMs(): number {
    let next = this.ofDefault.turnDeadlineMs;
    for (const { ipam } of this.#managed.values()) next = Math.min(next, ipam.turnDeadlineMs);
    return this.#components.networks.revision === this.#revision ? next : 0;
  }

  /** The records are restored. */
  start(nowMs: number, out: Actions): void {
    this.ofDefault.start(nowMs, out);
    this.#isStarted = true;
    this.#followNetworks(nowMs, out);
  }

  onMessage(peer: PeerId, type: number, bytes: Uint8Array, nowMs: number, out: Actions): void {
    const { network, body } = takeFromEnvelope(bytes);
    const ipam = network === DEFAULT_NETWORK_ID ? this.ofDefault : this.#managed.get(network)?.ipam;
    ipam?.onMessage(peer, type, body, nowMs, out);
  }

  /** Once a turn. */
  follow(nowMs: number, out: Actions): void {
    if (this.#isStarted) this.#followNetworks(nowMs, out);
    this.ofDefault.follow(nowMs, out);
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

  #add(definition: NetworkDefinition): MeshIpam | undefined {
    if (this.#managed.size >= MAX_MANAGED) return undefined;
    // Its ranges are nobody's business on the host itself: they may be those of other networks, or of routes.
    const components: MeshIpamComponents = {
      ...this.#components,
      nodeAddresses: () => [],
      admitPool: () => Promise.resolve(),
    };
    const ipam = new MeshIpam(components, {
      ...{ self: this.#options.self, pools: definition.subnets, hasContacts: true },
      network: definition,
    });
    this.#managed.set(definition.id, { ipam, shape: shapeOf(definition), isRunning: false });
    for (const record of this.#components.records().store.ofKind(RECORD_KIND.TITLE)) {
      ipam.onChange({ record });
    }
    return ipam;
  }
}

function shapeOf({ subnets, createdMs }: NetworkDefinition): string {
  return `${createdMs} ${subnets.join()}`;
}
