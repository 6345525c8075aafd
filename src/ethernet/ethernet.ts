import { Pages } from '../base/pages.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { DataPlaneEvent, PeerSlot, SendItem, TableEntry } from '../dataplane/dataplane.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';
import { macOfPeer, shortPeerId, twinOfNodeMac, type PeerId } from '../model/peer-id.js';
import {
  addressEntryBytes,
  decodeAddressRecord,
  encodeAddressRecord,
  MAX_ENTRY_ADDRESSES,
  type AddressEntry,
} from '../wire/address-record.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  networkKey,
  networkOfKey,
  type GroupRecord,
} from '../wire/group-record.js';
import { decodeMacRecord, encodeMacRecord, macKey, macOfKey } from '../wire/mac-record.js';
import { decodeNameKey, encodeNameKey } from '../wire/name-record.js';
import { MAX_RECORD_BODY_BYTES, RECORD_KIND } from '../wire/record.js';
import {
  ADDRESS_RECORD_BURST,
  ADDRESS_RECORD_EVERY_MS,
  GROUP_RECORD_BURST,
  GROUP_RECORDS_PER_SECOND,
  MAC_EVENT_EVERY_MS,
  MAX_ADDRESS_PAGES,
} from './constants.js';
import { GroupFanout, type FanoutPeer } from './group-fanout.js';
import { Listeners, type Listening } from './listeners.js';
import { MacClaims } from './mac-claims.js';
import { Neighbours } from './neighbours.js';

/*
 * One network as a bridge (docs/protocol.md §10): who listens to which group, and where MACs went.
 *
 *   data plane ── membership ──► Listeners ──► our group record        records of others ──► GroupFanout ──► groupSet
 *              ── macClaim ────► MacClaims ──► our location records    records of others ──► MacClaims ────► fdbSet
 *   this host  ── ports ───────► Pages ──────► our address records     records of others ──► Neighbours ──► neighbourSet
 */

/** An operator asks about it; the daemon stamps it. */
export interface EthernetEvent {
  readonly level: 'info' | 'warn';
  readonly code: 'mac-moved' | 'mac-flapping' | 'mac-refused' | 'address-spoofed';
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
  /** Whether a peer may have an address: those of pools are their title's holder's. */
  readonly mayHave: (peer: PeerId, address: string) => boolean;
  /** Whether that is one peer only. */
  readonly isOneOwners: (address: string) => boolean;
  /** Whether titles have a say in that. */
  readonly isGrantable: (address: string) => boolean;
}

/** Of MessagePack's longest array here. */
const PAGE_HEAD_BYTES = 3;

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
  readonly #neighbours: Neighbours;
  /** By MAC and number of the entry. */
  readonly #pages = new Pages<AddressEntry>({
    maxPages: MAX_ADDRESS_PAGES,
    maxBytes: MAX_RECORD_BODY_BYTES,
    headBytes: PAGE_HEAD_BYTES,
    burst: ADDRESS_RECORD_BURST,
    rewriteEveryMs: ADDRESS_RECORD_EVERY_MS,
    bytesOf: addressEntryBytes,
    encode: encodeAddressRecord,
  });
  /** Keys of address records that an earlier run said. */
  #stalePages: Uint8Array[] = [];
  #ports: readonly AddressEntry[] = [];
  #arePortsNew = false;
  #ownAddresses: readonly string[] = [];
  /** MACs of nodes' bridges. */
  readonly #reserved = new Set<Mac>();
  readonly #recordBucket = new TokenBucket(GROUP_RECORD_BURST, GROUP_RECORDS_PER_SECOND);
  readonly #toldAtMs = new Map<string, number>();
  #peers: readonly FanoutPeer[] = [];
  #said = '';
  /** What an earlier run said it listened to. */
  #earlier: GroupRecord | undefined;
  #isChanged = true;
  #sayAtMs = 0;
  #out: EthernetActions = emptyActions();

  constructor(options: EthernetOptions) {
    const { network, selfId, nowMs } = options;
    this.#network = network;
    this.#selfId = selfId;
    this.#listeners = new Listeners(querierMac(selfId), nowMs);
    this.#fanout = new GroupFanout(network);
    const isReserved = (mac: Mac): boolean => this.#isReserved(mac);
    this.#claims = new MacClaims({ network, selfId, isReserved });
    this.#neighbours = new Neighbours({ ...options, isReserved });
    this.#reserve(selfId);
  }

  get nextDeadlineMs(): number {
    if (this.#isChanged) return 0;
    return Math.min(
      this.#sayAtMs,
      this.#listeners.nextDeadlineMs,
      this.#claims.nextDeadlineMs,
      this.#pages.nextDeadlineMs,
    );
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

  /**
   * What is on this host's ports, all of it: frames of peers under one of these MACs are refused, and the mesh is told
   * which addresses, without length, are there. The bridge's own MAC may be among them.
   */
  setPorts(ports: readonly AddressEntry[]): void {
    const isPort = ({ mac }: AddressEntry): boolean => !this.#isReserved(mac);
    this.#claims.setPorts(ports.filter(isPort).map(({ mac }) => mac));
    this.#ports = ports;
    this.#arePortsNew = true;
    this.#followOwn();
  }

  /** This node's own addresses, without length: what is here is not asked elsewhere. */
  setOwnAddresses(addresses: readonly string[]): void {
    this.#ownAddresses = addresses;
    this.#followOwn();
  }

  /** A member's own addresses, without length, as its peer record has them. */
  setNodeAddresses(peer: PeerId, addresses: readonly string[]): void {
    if (peer === this.#selfId) return;
    this.#neighbours.setNode(peer, this.#reserve(peer), addresses);
    this.#isChanged = true;
  }

  /** Titles of address blocks are others now; `areInSameRanges`: of the same pools as before. */
  onTitles(areInSameRanges: boolean): void {
    if (areInSameRanges) this.#neighbours.touchGrantable();
    else this.#neighbours.touchAll();
    this.#isChanged = true;
  }

  /** Who says to have an address, and may. */
  holderOf(address: string): PeerId | undefined {
    return this.#neighbours.holderOf(address);
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
    else if (kind === RECORD_KIND.ADDRESS) this.#onAddressRecord(owner, key, body);
  }

  /** It is not needed any more: what takes all it set out of the table. */
  clear(): readonly TableEntry[] {
    return [...this.#claims.clear(), ...this.#neighbours.clear(), ...this.#fanout.clear()];
  }

  onDeadline(nowMs: number): EthernetActions {
    for (const frame of this.#listeners.onDeadline(nowMs)) {
      this.#out.sends.push({ kind: 'tapFrame', network: this.#network, frame });
    }
    for (const mac of this.#claims.onDeadline(nowMs)) this.#putMac(mac, undefined);
    this.#say(nowMs);
    this.#sayAddresses(nowMs);
    if (this.#isChanged) {
      this.#isChanged = false;
      const slots = new Map(this.#peers.map(({ id, slot }) => [id, slot]));
      const slotOf = (peer: PeerId): PeerSlot | undefined => slots.get(peer);
      const { groups } = this.#listeners.listening(nowMs);
      this.#out.entries.push(...this.#claims.update(slotOf, nowMs), ...this.#neighbours.update());
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
    if (this.#isSaidEarlier(listening, nowMs)) return;
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

  /**
   * What an earlier run listened to still stands, so its guests miss nothing while this one asks them; to say that all is
   * wanted, and three seconds later that it is not, would be two records of every node when many start anew.
   */
  #isSaidEarlier({ hasRouter, groups }: Listening, nowMs: number): boolean {
    const earlier = this.#earlier;
    if (!earlier || this.#said !== '' || !this.#listeners.isYoung(nowMs)) return false;
    if (hasRouter && !earlier.hasRouter) return false;
    return earlier.wantsEverything || groups.every((mac) => earlier.groups.includes(mac));
  }

  #followOwn(): void {
    this.#neighbours.setOwn([
      { mac: macOfPeer(this.#selfId), addresses: this.#ownAddresses },
      ...this.#ports,
    ]);
    this.#isChanged = true;
  }

  /** Writes what is on which port of this host, page by page. */
  #sayAddresses(nowMs: number): void {
    if (this.#arePortsNew) this.#list(nowMs);
    this.#arePortsNew = false;
    for (const key of this.#stalePages) {
      const page = decodeNameKey(key);
      if (page && this.#pages.has(page)) continue;
      this.#out.records.push({ kind: RECORD_KIND.ADDRESS, key, body: undefined });
    }
    this.#stalePages = [];
    for (const { body, ...page } of this.#pages.due(nowMs)) {
      this.#out.records.push({ kind: RECORD_KIND.ADDRESS, key: encodeNameKey(page), body });
    }
  }

  #list(nowMs: number): void {
    const wanted = new Map<string, AddressEntry>();
    for (const port of this.#ports) {
      const { mac, addresses } = port;
      for (let at = 0; at < addresses.length; at += MAX_ENTRY_ADDRESSES) {
        const part = { mac, addresses: addresses.slice(at, at + MAX_ENTRY_ADDRESSES) };
        wanted.set(`${mac} ${at}`, part.addresses.length === addresses.length ? port : part);
      }
    }
    for (const statement of [...this.#pages.statements]) {
      if (!wanted.has(statement)) this.#pages.delete(statement, nowMs);
    }
    for (const [statement, entry] of wanted) {
      const held = this.#pages.get(statement);
      if (held === entry || held?.addresses.join() === entry.addresses.join()) continue;
      this.#pages.put(this.#network, statement, entry, nowMs);
    }
  }

  #onAddressRecord(owner: PeerId, key: Uint8Array, body: Uint8Array | undefined): void {
    const page = decodeNameKey(key);
    if (page?.network !== this.#network) return;
    this.#isChanged = true;
    if (owner === this.#selfId) {
      if (body && !this.#pages.has(page)) this.#stalePages.push(key);
      return;
    }
    const read = body && decodeAddressRecord(body);
    this.#reserve(owner);
    const before = this.#neighbours.macsOf(owner);
    this.#neighbours.setPage(owner, page.page, read?.ok === true ? read.value : undefined);
    const after = this.#neighbours.macsOf(owner);
    for (const mac of before) if (!after.has(mac)) this.#claims.setListed(owner, mac, false);
    for (const mac of after) if (!before.has(mac)) this.#claims.setListed(owner, mac, true);
  }

  #onGroupRecord(owner: PeerId, key: Uint8Array, body: Uint8Array | undefined): void {
    if (networkOfKey(key) !== this.#network) return;
    const read = body && decodeGroupRecord(body);
    if (owner === this.#selfId) {
      this.#earlier = read?.ok === true ? read.value : undefined;
      return;
    }
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
    } else if (verdict === 'spoofed') {
      const message = `Peer ${name} sends frames from an address that is another's (MAC ${mac}); dropped`;
      this.#tell('address-spoofed', message, peer, peer, nowMs);
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
        cure:
          code === 'address-spoofed'
            ? 'Look at that host: a guest with a wrong address, or a router between subnets of one network.'
            : 'Look for a loop between two networks, or for two machines with one MAC.',
      }),
    });
  }

  #putMac(mac: Mac, sequence: number | undefined): void {
    const body = sequence === undefined ? undefined : encodeMacRecord(sequence);
    const key = macKey({ network: this.#network, mac });
    this.#out.records.push({ kind: RECORD_KIND.LOCATION, key, body });
  }

  /** @returns the MAC of its bridge. */
  #reserve(peer: PeerId): Mac {
    const mac = macOfPeer(peer);
    this.#reserved.add(mac);
    return mac;
  }

  /** A node's bridge or TAP has it. */
  #isReserved(mac: Mac): boolean {
    return this.#reserved.has(mac) || this.#reserved.has(twinOfNodeMac(mac));
  }
}

const MAX_TOLD = 1024;

function emptyActions(): EthernetActions {
  return { entries: [], sends: [], records: [], events: [] };
}
