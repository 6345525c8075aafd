import type { EventDocument } from '../api/control.js';
import { fromHex } from '../base/bytes.js';
import type { Rng } from '../base/rng.js';
import { IpamActions, type Clash, type Outcome, type Refusal } from '../ipam/actions.js';
import { decodeIpamMessage, encodeIpamMessage } from '../ipam/codec.js';
import { Ipam, type Want } from '../ipam/ipam.js';
import { putInEnvelope } from '../ipam/envelope.js';
import type { MemberView } from '../ipam/members.js';
import { grantableRange } from '../ipam/space.js';
import {
  createdMsOfPool,
  decodeTitle,
  encodeTitle,
  networkOfPool,
  rangeOf,
  titleRecordKey,
  titleRecordVersion,
  titleText,
  type Title,
} from '../ipam/title.js';
import { type Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import {
  cidrHas,
  formatAddress,
  formatCidr,
  parseCidr,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { bodyOfRecord } from '../records/signed-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { AddressMachine, KeptAddresses } from './address-requests.js';
import { ipamCellKey, ipamCellsOf } from './ipam-cells.js';
import type { MeshRecords } from './mesh-records.js';
import type { StateStore } from './ports.js';

/** Of the store (ipam/estate.ts): who has an address. */
const ALLOCATION_CELL = 'a/';
/** That may wait for another commit so long. */
const LONGEST_UNWRITTEN_MS = 1000;

/*
 * The machine of ipam/ in its mesh: members and titles come from the records, messages go by the links, cells to the
 * state store, and what this host asks (address-requests.ts) is a promise.
 *
 *   records ── titles, members, removals ──► Ipam ── publish, tell ──► records
 *   links ──── IPAM_… ─────────────────────►      ── send ───────────► links
 *   address requests ──────────────────────►      ── answer ─────────► promise
 */

export interface MeshIpamComponents {
  readonly state: StateStore;
  readonly rng: Rng;
  /** Those of this start: the daemon makes them anew once it has measured its suites. */
  readonly links: () => Links;
  readonly records: () => MeshRecords;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** How people call a peer. */
  readonly nameOf: (peer: PeerId) => string;
  readonly post: (run: (nowMs: number, out: Actions) => void) => void;
}

export interface MeshIpamOptions {
  readonly self: PeerId;
  /** The pools to found, cidr texts. */
  readonly pools: readonly string[];
  /** Contacts were given. */
  readonly hasContacts: boolean;
  /** Whose addresses these are; undefined: the default one's. */
  readonly network?: NetworkDefinition;
}

export class MeshIpam implements AddressMachine {
  readonly #components: MeshIpamComponents;
  readonly #options: MeshIpamOptions;
  readonly #ranges: readonly Cidr[];
  readonly #answers = new Map<number, (outcome: Outcome) => void>();
  #ipam: Ipam | undefined;
  #titles: Title[] = [];
  #nextRequest = 1;
  /** Told before this was started. */
  #kept: KeptAddresses | undefined;
  /** Of links and store, when the members were looked at last. */
  #seen = '';
  /** As told last. */
  #view: { readonly [Of in keyof MemberView]: Set<PeerId> } | undefined;
  #membersRevision = -1;
  /** When what waits to be written is written by itself. */
  #writeAtMs = Infinity;

  constructor(components: MeshIpamComponents, options: MeshIpamOptions) {
    this.#components = components;
    this.#options = options;
    this.#ranges = options.pools.flatMap((text) => parseCidr(text) ?? []);
  }

  // ── what titles say ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Those of other networks, and of pools that a network of this name had in an earlier life, mean nothing. */
  onTitle(title: Title): void {
    if (this.#isOurs(title)) this.#titles.push(title);
  }

  #isOurs(title: Title): boolean {
    const { network } = this.#options;
    if (networkOfPool(title.pool) !== this.#network) return false;
    if (network === undefined || network.subnets.includes(formatCidr(rangeOf(title)))) return true;
    return createdMsOfPool(title.pool) === network.createdMs;
  }

  /** A title as its cell has it: titleText. */
  #isOfNow(text: string): boolean {
    const title = /^([0-9a-f]{2})+$/.test(text) ? decodeTitle(fromHex(text)) : undefined;
    return title?.ok === true && this.#isOurs(title.value);
  }

  get #network(): NetworkId {
    return this.#options.network?.id ?? DEFAULT_NETWORK_ID;
  }

  /** Grows with every title, and when the first pool is known: who may have an address is to be asked again. */
  get titleRevision(): number {
    return this.#ipam?.ledger.revision ?? 0;
  }

  /** Whether the titles let a peer have an address. Where there are none, and in the nodes' own part, all may. */
  mayHave(peer: PeerId, address: IpAddress): boolean {
    return !this.isGrantable(address) || this.#ipam?.ledger.holderOf(address) === peer;
  }

  /** Whether titles have a say in who has an address: one of a pool, beside the nodes' own part. */
  isGrantable(address: IpAddress): boolean {
    const ours = this.#ranges.find((each) => cidrHas(each, address));
    const range = this.#ipam?.ledger.poolAt(address)?.range ?? ours;
    return range !== undefined && address.value <= grantableRange(range).last;
  }

  /** Where `isGrantable` looks: while it is the same, a title changes nothing for any other address. */
  get grantableRanges(): string {
    const pools = this.#ipam?.ledger.pools() ?? [];
    return [...this.#ranges, ...pools.map(({ range }) => range)].map(formatCidr).join();
  }

  /** Whether a title says whose an address is. */
  isTitled(address: IpAddress): boolean {
    const ledger = this.#ipam?.ledger;
    const range = ledger?.poolAt(address)?.range;
    if (!range || address.value > grantableRange(range).last) return false;
    return ledger.holderOf(address) !== undefined;
  }

  // ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The machine; undefined before the start. */
  get ipam(): Ipam | undefined {
    return this.#ipam;
  }

  get turnDeadlineMs(): number {
    return Math.min(this.#writeAtMs, this.#ipam?.nextDeadlineMs ?? Infinity);
  }

  /** The records are restored. */
  start(nowMs: number, out: Actions): void {
    const { state, rng, records } = this.#components;
    const { self, hasContacts } = this.#options;
    const ranges = this.#ranges;
    const isKnown = state.knownPeers().length > 0 || records().members.size > 0;
    const { network } = this.#options;
    const hasCompany = hasContacts || isKnown;
    this.#seen = '';
    this.#view = undefined;
    this.#ipam = new Ipam(rng, { self, ranges, network, hasCompany, nowMs });
    const cells = [...ipamCellsOf(state.ipamCells(), this.#network)];
    this.#ipam.restore(
      cells.filter(([key, value]) => !/^[tp]\//.test(key) || this.#isOfNow(value)),
      nowMs,
    );
    this.#releaseOthers(nowMs, out);
    this.follow(nowMs, out);
  }

  /** It was created here, just now: nobody else can have addresses of it. */
  found(nowMs: number, out: Actions): void {
    this.#with(nowMs, out, (ipam, actions) => {
      for (const range of this.#ranges) ipam.addPool(range, nowMs, actions);
    });
  }

  /** Another machine takes its place: who waits hears of it. */
  end(text = 'the network is another one now'): void {
    this.#ipam = undefined;
    for (const [id, settle] of this.#answers) {
      this.#answers.delete(id);
      settle({ ok: false, refusal: { code: 'no pool', text, peer: undefined } });
    }
  }

  /** The network is no more: nothing of it stays on disk. */
  drop(): void {
    const { state } = this.#components;
    const network = this.#network;
    this.end('the network was removed');
    const keys = [...ipamCellsOf(state.ipamCells(), network)].map(([key]) => key);
    state.writeIpamCells(keys.map((key) => [ipamCellKey(key, network), undefined]));
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, nowMs: number, out: Actions): void {
    const message = decodeIpamMessage(type, body);
    if (!message.ok) return;
    this.#with(nowMs, out, (ipam, actions) => {
      ipam.onMessage(peer, message.value, nowMs, actions);
    });
  }

  /** Once a turn: new titles, who is there, what is due. */
  follow(nowMs: number, out: Actions): void {
    const titles = this.#titles;
    this.#titles = [];
    if (nowMs >= this.#writeAtMs) {
      this.#writeAtMs = Infinity;
      this.#components.state.writeIpamCells([]);
    }
    if (!this.#ipam) return;
    if (titles.length > 0) {
      this.#with(nowMs, out, (ipam, actions) => {
        ipam.onTitles(titles, nowMs, actions);
      });
    }
    this.#followMembers(nowMs, out);
    if (nowMs < this.#ipam.nextDeadlineMs) return;
    this.#with(nowMs, out, (ipam, actions) => {
      ipam.onDeadline(nowMs, actions);
    });
  }

  #followMembers(nowMs: number, out: Actions): void {
    const [links, { store }] = [this.#components.links(), this.#components.records()];
    const seen = `${links.revision}/${store.membersRevision}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    const reachable = new Set(links.peers.filter((peer) => peer.isReachable).map(({ id }) => id));
    const before = this.#view;
    const isSame = before !== undefined && this.#membersRevision === store.membersRevision;
    // Links change all the time, and there may be a thousand members: what did not change is not made again.
    if (isSame && haveSame(reachable, before.reachable)) return;
    const hasAll = isSame && [...reachable].every((peer) => before.known.has(peer));
    const gone = isSame ? before.gone : new Set([...store.removedPeers, ...store.hiddenPeers]);
    const known = hasAll ? before.known : new Set([...store.owners(), ...gone, ...reachable]);
    if (!hasAll) known.delete(this.#options.self);
    this.#membersRevision = store.membersRevision;
    this.#view = { known, reachable, gone };
    this.#with(nowMs, out, (ipam, actions) => {
      ipam.setMembers({ known, reachable, gone }, nowMs, actions);
    });
  }

  #with(nowMs: number, out: Actions, act: (ipam: Ipam, actions: IpamActions) => void): void {
    if (!this.#ipam) return;
    const actions = new IpamActions();
    act(this.#ipam, actions);
    let cells: (readonly [string, string | undefined])[] = [];
    const answers: (() => void)[] = [];
    for (const action of actions.list) {
      if (action.kind === 'persist') {
        cells.push([ipamCellKey(action.key, this.#network), action.value]);
        continue;
      }
      if (action.kind === 'answer') {
        answers.push(() => {
          const settle = this.#answers.get(action.id);
          this.#answers.delete(action.id);
          settle?.(action.outcome);
        });
        continue;
      }
      if (cells.length > 0) this.#components.state.writeIpamCells(cells);
      cells = [];
      switch (action.kind) {
        case 'send': {
          const { type, body } = encodeIpamMessage(action.message);
          const bytes = putInEnvelope(this.#network, body);
          this.#components.links().control(action.to, type, bytes, out);
          break;
        }
        case 'publish':
          this.#publish(action.title, nowMs, out);
          break;
        case 'tell':
          this.#tell(action.to, action.titles, nowMs, out);
          break;
        case 'clash':
          this.#emitClash(action.clash, action.isOurs);
          break;
        case 'event': {
          const { code, text, peer } = action;
          const of = peer ? ` of ${this.#components.nameOf(peer)}` : '';
          this.#components.emit({
            level: 'info',
            code,
            message: `${text}${of}`,
            ...(peer && { peer }),
          });
          break;
        }
      }
    }
    if (cells.length > 0) this.#writeLast(cells, nowMs);
    for (const answer of answers) answer();
  }

  /**
   * What follows from them is this host's business alone. Whose address it is comes to disk with the attachment that it
   * is for: one commit. Where that never comes, nobody has the address: at the start it is taken back from whoever was
   * not written down with it.
   */
  #writeLast(cells: readonly (readonly [string, string | undefined])[], nowMs: number): void {
    const prefix = ipamCellKey(ALLOCATION_CELL, this.#network);
    const mayWait = cells.every(([key]) => key.startsWith(prefix));
    this.#components.state.writeIpamCells(cells, mayWait);
    if (mayWait) this.#writeAtMs = Math.min(this.#writeAtMs, nowMs + LONGEST_UNWRITTEN_MS);
  }

  #publish(title: Title, nowMs: number, out: Actions): void {
    const [key, version] = [titleRecordKey(title), titleRecordVersion(title)];
    this.#components.records().speak(nowMs, out, (gossip, actions) => {
      gossip.putShared(RECORD_KIND.TITLE, key, version, encodeTitle(title), nowMs, actions);
    });
  }

  #tell(to: PeerId, titles: readonly Title[], nowMs: number, out: Actions): void {
    const records = this.#components.records();
    const found = titles.flatMap((title) => {
      const record = records.store.getShared(RECORD_KIND.TITLE, titleRecordKey(title));
      const said = record && decodeTitle(bodyOfRecord(record));
      return record && said?.ok && titleText(said.value) === titleText(title) ? [record] : [];
    });
    records.speak(nowMs, out, (gossip, actions) => {
      gossip.hand(to, found, actions);
    });
  }

  #emitClash({ address, holder, loser }: Clash, isOurs: boolean): void {
    const { emit, nameOf } = this.#components;
    const text = formatAddress(address);
    emit({
      level: 'warn',
      code: 'address-clash',
      message: isOurs
        ? `${text} is in use here and on ${nameOf(holder)}, whose it is`
        : `${text} is in use here and on ${nameOf(loser)}, which must give it up`,
      peer: isOurs ? holder : loser,
      cure: isOurs ? 'Detach it and attach it again: it gets another address.' : '',
    });
  }
  // ── what this host asks ──────────────────────────────────────────────────────────────────────────────────────────

  request(owner: string, want: Want): Promise<Outcome> {
    const id = this.#nextRequest++;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#components.post((nowMs, out) => {
        if (!this.#ipam) {
          this.#answers.delete(id);
          resolve({ ok: false, refusal: STARTING });
          return;
        }
        this.#with(nowMs, out, (ipam, actions) => {
          ipam.request(id, owner, want, nowMs, actions);
        });
      });
    });
  }

  run(
    act: (ipam: Ipam, actions: IpamActions, nowMs: number) => void,
  ): Promise<Refusal | undefined> {
    return new Promise((resolve, reject) => {
      this.#components.post((nowMs, out) => {
        let failure: Error | undefined;
        const refusal = this.#ipam ? undefined : STARTING;
        this.#with(nowMs, out, (ipam, actions) => {
          try {
            act(ipam, actions, nowMs);
          } catch (error) {
            failure = error instanceof Error ? error : new Error(String(error));
          }
        });
        if (failure) reject(failure);
        else resolve(refusal);
      });
    });
  }

  release(owner: string, address: IpAddress): void {
    this.#components.post((nowMs, out) => {
      this.#with(nowMs, out, (ipam, actions) => {
        ipam.release(owner, address, nowMs, actions);
      });
    });
  }

  keep(owned: KeptAddresses): void {
    this.#kept = owned;
    this.#components.post((nowMs, out) => {
      this.#releaseOthers(nowMs, out);
    });
  }

  /** What is not among that which `keep` named; once. */
  #releaseOthers(nowMs: number, out: Actions): void {
    const kept = this.#kept;
    this.#with(nowMs, out, (ipam, actions) => {
      this.#kept = undefined;
      for (const { owner, address } of kept === undefined ? [] : ipam.used()) {
        if (kept?.get(owner)?.has(formatAddress(address))) continue;
        ipam.release(owner, address, nowMs, actions);
      }
    });
  }
}

const STARTING: Refusal = {
  code: 'no pool',
  text: 'this node is still starting',
  peer: undefined,
};

function haveSame(a: ReadonlySet<PeerId>, b: ReadonlySet<PeerId>): boolean {
  return a.size === b.size && [...a].every((peer) => b.has(peer));
}
