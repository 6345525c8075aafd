import { TokenBucket } from '../base/token-bucket.js';
import type { DataPlaneEvent, PeerSlot, SendItem, TableEntry } from '../dataplane/dataplane.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';
import { macOfPeer, shortPeerId, tapMacOfPeer, type PeerId } from '../model/peer-id.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  networkKey,
  networkOfKey,
} from '../wire/group-record.js';
import { decodeMacRecord, encodeMacRecord, macKey, macOfKey } from '../wire/mac-record.js';
import { RECORD_KIND } from '../wire/record.js';
import { GROUP_RECORD_BURST, GROUP_RECORDS_PER_SECOND, MAC_EVENT_EVERY_MS } from './constants.js';
import { GroupFanout, type FanoutPeer } from './group-fanout.js';
import { Listeners } from './listeners.js';
import { MacClaims } from './mac-claims.js';

/*
 * One network as a bridge (docs/protocol.md §10): who listens to which group, and where MACs went.
 *
 *   data plane ── membership ──► Listeners ──► our group record        records of others ──► GroupFanout ──► groupSet
 *              ── macClaim ────► MacClaims ──► our location records    records of others ──► MacClaims ────► fdbSet
 */

/** An operator asks about it; the daemon stamps it. */
export interface EthernetEvent {
  readonly level: 'info' | 'warn';
  readonly code: 'mac-moved' | 'mac-flapping' | 'mac-refused';
  readonly message: string;
  readonly peer?: PeerId;
  readonly cure?: string;
}

/** To be stated; no body: withdrawn. */
export interface OwnRecord {
  readonly kind: number;
  readonly key: Uint8Array;
  readonly body: Uint8Array | undefined;
}

/** What a turn wants done, in this order. */
export interface EthernetActions {
  readonly entries: TableEntry[];
  readonly sends: SendItem[];
  readonly records: OwnRecord[];
  readonly events: EthernetEvent[];
}

export interface EthernetOptions {
  readonly network: number;
  readonly selfId: PeerId;
  readonly nowMs: number;
}

/** One of a kind for this mesh: no port of a bridge has it. */
function querierMac(selfId: PeerId): Mac {
  const bytes = macBytes(macOfPeer(selfId));
  bytes[5] = (bytes[5] ?? 0) ^ 2;
  return macFromBytes(bytes);
}

export class Ethernet {
  readonly #network: number;
  readonly #selfId: PeerId;
  readonly #listeners: Listeners;
  readonly #fanout: GroupFanout;
  readonly #claims: MacClaims;
  readonly #reserved = new Set<Mac>();
  readonly #recordBucket = new TokenBucket(GROUP_RECORD_BURST, GROUP_RECORDS_PER_SECOND);
  readonly #toldAtMs = new Map<string, number>();
  #peers: readonly FanoutPeer[] = [];
  #said = '';
  #isChanged = true;
  #sayAtMs = 0;
  #out: EthernetActions = emptyActions();

  constructor({ network, selfId, nowMs }: EthernetOptions) {
    this.#network = network;
    this.#selfId = selfId;
    this.#listeners = new Listeners(querierMac(selfId), nowMs);
    this.#fanout = new GroupFanout(network);
    const isReserved = (mac: Mac): boolean => this.#reserved.has(mac);
    this.#claims = new MacClaims({ network, selfId, isReserved });
    this.#reserve(selfId);
  }

  get nextDeadlineMs(): number {
    if (this.#isChanged) return 0;
    return Math.min(this.#sayAtMs, this.#listeners.nextDeadlineMs, this.#claims.nextDeadlineMs);
  }

  /** Everybody whom frames can or could be sent to. */
  setPeers(peers: readonly FanoutPeer[]): void {
    const isSame =
      peers.length === this.#peers.length &&
      peers.every(({ id, slot }, at) => {
        const before = this.#peers[at];
        return before?.id === id && before.slot === slot;
      });
    if (isSame) return;
    this.#peers = peers.map(({ id, slot }) => ({ id, slot }));
    for (const { id } of peers) this.#reserve(id);
    this.#claims.touchAll();
    this.#isChanged = true;
  }

  /** MACs of this host's ports, all of them: frames of peers under one of these are refused. */
  setPorts(macs: readonly Mac[]): void {
    this.#claims.setPorts(macs);
    this.#isChanged = true;
  }

  onEvent(event: DataPlaneEvent, nowMs: number): void {
    if (event.kind === 'membership' && event.network === this.#network) {
      this.#listeners.onFrame(event.frame, event.missed, nowMs);
      this.#isChanged = true;
    } else if (event.kind === 'macClaim' && event.network === this.#network) {
      this.#onMacClaim(event, nowMs);
    }
  }

  /** A record of kind group or location came, changed or went; of ours: what an earlier run said. */
  onRecord(owner: PeerId, kind: number, key: Uint8Array, body: Uint8Array | undefined): void {
    if (kind === RECORD_KIND.GROUP) this.#onGroupRecord(owner, key, body);
    else if (kind === RECORD_KIND.LOCATION) this.#onMacRecord(owner, key, body);
  }

  /** It is not needed any more: what takes all it set out of the table. */
  clear(): readonly TableEntry[] {
    return [...this.#claims.clear(), ...this.#fanout.clear()];
  }

  onDeadline(nowMs: number): EthernetActions {
    for (const frame of this.#listeners.onDeadline(nowMs)) {
      this.#out.sends.push({ kind: 'tapFrame', network: this.#network, frame });
    }
    for (const mac of this.#claims.onDeadline(nowMs)) this.#putMac(mac, undefined);
    this.#say(nowMs);
    if (this.#isChanged) {
      this.#isChanged = false;
      const slots = new Map(this.#peers.map(({ id, slot }) => [id, slot]));
      const slotOf = (peer: PeerId): PeerSlot | undefined => slots.get(peer);
      const { groups } = this.#listeners.listening(nowMs);
      this.#out.entries.push(...this.#claims.update(slotOf, nowMs));
      this.#out.entries.push(...this.#fanout.update(this.#peers, groups));
    }
    const out = this.#out;
    this.#out = emptyActions();
    return out;
  }

  /** Writes what this host listens to, if that is not what was written last. */
  #say(nowMs: number): void {
    this.#sayAtMs = this.#listeners.settlesAtMs(nowMs);
    const listening = this.#listeners.listening(nowMs);
    const body = encodeGroupRecord(listening);
    const text = Buffer.from(body).toString('hex');
    if (text === this.#said) return;
    if (!this.#recordBucket.take(nowMs)) {
      this.#sayAtMs = nowMs + this.#recordBucket.waitMs(nowMs);
      return;
    }
    this.#said = text;
    this.#isChanged = true;
    this.#out.records.push({ kind: RECORD_KIND.GROUP, key: networkKey(this.#network), body });
  }

  #onGroupRecord(owner: PeerId, key: Uint8Array, body: Uint8Array | undefined): void {
    if (networkOfKey(key) !== this.#network || owner === this.#selfId) return;
    const read = body && decodeGroupRecord(body);
    this.#fanout.setStatement(owner, read?.ok === true ? read.value : undefined);
    this.#isChanged = true;
  }

  #onMacRecord(owner: PeerId, key: Uint8Array, body: Uint8Array | undefined): void {
    const place = macOfKey(key);
    if (place?.network !== this.#network) return;
    const read = body && decodeMacRecord(body);
    const sequence = read?.ok === true ? read.value : undefined;
    if (owner !== this.#selfId) this.#claims.setClaim(owner, place.mac, sequence);
    else if (sequence !== undefined) this.#claims.restoreOwn(place.mac, sequence);
    this.#isChanged = true;
  }

  #onMacClaim(event: Extract<DataPlaneEvent, { kind: 'macClaim' }>, nowMs: number): void {
    const { mac, verdict } = event;
    const peer = this.#peers.find(({ slot }) => slot === event.peer)?.id;
    if (verdict === 'local') {
      const outcome = this.#claims.onLocal(mac, nowMs);
      if (outcome.kind === 'claimed') {
        this.#putMac(mac, outcome.sequence);
        for (const gone of outcome.withdrawn) this.#putMac(gone, undefined);
        this.#isChanged = true;
        this.#tell('mac-moved', `MAC ${mac} is here now`, mac, peer, nowMs);
      } else if (outcome.kind === 'tooOften') {
        this.#tell(
          'mac-flapping',
          `MAC ${mac} moves too often: left where it was said last`,
          mac,
          peer,
          nowMs,
        );
      }
      return;
    }
    if (peer === undefined) return;
    const name = shortPeerId(peer);
    if (verdict === 'flapping') {
      const message = `MAC ${mac} moves too often: kept where it was, not at ${name}`;
      this.#tell('mac-flapping', message, peer, peer, nowMs);
    } else {
      const message = `Peer ${name} sends frames from MAC ${mac}, which is not there; dropped`;
      this.#tell('mac-refused', message, peer, peer, nowMs);
    }
  }

  /** Once a minute and subject: a MAC that moved, a peer that did something. */
  #tell(
    code: EthernetEvent['code'],
    message: string,
    subject: string,
    peer: PeerId | undefined,
    nowMs: number,
  ): void {
    const key = `${code} ${subject}`;
    const lastMs = this.#toldAtMs.get(key);
    if (lastMs !== undefined && nowMs < lastMs + MAC_EVENT_EVERY_MS) return;
    for (const [other, atMs] of this.#toldAtMs) {
      if (nowMs >= atMs + MAC_EVENT_EVERY_MS || this.#toldAtMs.size >= MAX_TOLD) {
        this.#toldAtMs.delete(other);
      }
    }
    this.#toldAtMs.set(key, nowMs);
    this.#isChanged = true;
    this.#out.events.push({
      level: code === 'mac-moved' ? 'info' : 'warn',
      code,
      message,
      ...(peer !== undefined && { peer }),
      ...(code !== 'mac-moved' && {
        cure: 'Look for a loop between two networks, or for two machines with one MAC.',
      }),
    });
  }

  #putMac(mac: Mac, sequence: number | undefined): void {
    const body = sequence === undefined ? undefined : encodeMacRecord(sequence);
    const key = macKey({ network: this.#network, mac });
    this.#out.records.push({ kind: RECORD_KIND.LOCATION, key, body });
  }

  #reserve(peer: PeerId): void {
    this.#reserved.add(macOfPeer(peer));
    this.#reserved.add(tapMacOfPeer(peer));
  }
}

const MAX_TOLD = 1024;

function emptyActions(): EthernetActions {
  return { entries: [], sends: [], records: [], events: [] };
}
