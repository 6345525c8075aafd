import type { EventDocument } from '../api/control.js';
import type { DataPlaneEvent } from '../dataplane/dataplane.js';
import { Ethernet, type EthernetOptions, type OwnRecord } from '../ethernet/ethernet.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import type { Mac } from '../model/mac.js';
import { bodyOfRecord } from '../records/signed-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { RecordRoom, SayRecord } from './record-room.js';

const KINDS = [RECORD_KIND.GROUP, RECORD_KIND.LOCATION] as const;

export interface MeshEthernetComponents {
  readonly links: Links;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
}

/** The default network's bridge between the data plane, the links and the records. */
export class MeshEthernet {
  /** For the records: one a kind. */
  readonly rooms: readonly RecordRoom[];
  readonly #components: MeshEthernetComponents;
  readonly #ethernet: Ethernet;
  #unsaid: OwnRecord[] = [];
  #revision = -1;

  constructor(components: MeshEthernetComponents, options: EthernetOptions) {
    this.#components = components;
    this.#ethernet = new Ethernet(options);
    this.rooms = KINDS.map((kind) => this.#makeRoom(kind));
  }

  get nextDeadlineMs(): number {
    return this.#ethernet.nextDeadlineMs;
  }

  setPorts(macs: readonly Mac[]): void {
    this.#ethernet.setPorts(macs);
  }

  onEvent(event: DataPlaneEvent, nowMs: number): void {
    this.#ethernet.onEvent(event, nowMs);
  }

  /** Once a turn. */
  onDeadline(nowMs: number, out: Actions): void {
    const { links, emit } = this.#components;
    if (links.revision !== this.#revision) {
      this.#revision = links.revision;
      this.#ethernet.setPeers(links.peers.filter((peer) => peer.isReachable));
    }
    if (nowMs < this.#ethernet.nextDeadlineMs) return;
    const { entries, sends, records, events } = this.#ethernet.onDeadline(nowMs);
    for (const entry of entries) out.table(entry);
    for (const item of sends) out.send(item);
    for (const event of events) emit(event);
    this.#unsaid.push(...records);
  }

  #makeRoom(kind: (typeof KINDS)[number]): RecordRoom {
    const hasUnsaid = (): boolean => this.#unsaid.some((record) => record.kind === kind);
    return {
      kind,
      onWork: () => undefined,
      onChange: ({ owner, key, record }) => {
        this.#ethernet.onRecord(owner, kind, key, record && bodyOfRecord(record));
      },
      get nextDeadlineMs() {
        return hasUnsaid() ? 0 : Number.POSITIVE_INFINITY;
      },
      onDeadline: (_nowMs: number, say: SayRecord) => {
        for (const record of this.#unsaid) {
          if (record.kind === kind) say(kind, record.key, record.body);
        }
        this.#unsaid = this.#unsaid.filter((record) => record.kind !== kind);
      },
    };
  }
}
