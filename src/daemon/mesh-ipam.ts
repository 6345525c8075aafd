import type { EventDocument, IpamDocument } from '../api/control.js';
import { SCHEMA_VERSION } from '../api/control.js';
import { fromHex } from '../base/bytes.js';
import { OverlayError } from '../base/errors.js';
import { DEFAULT_NETWORK } from '../crypto/mesh.js';
import type { Rng } from '../base/rng.js';
import { IpamActions, type Clash, type Outcome, type Refusal } from '../ipam/actions.js';
import { decodeIpamMessage, encodeIpamMessage } from '../ipam/codec.js';
import { Ipam, type Want } from '../ipam/ipam.js';
import { putInEnvelope } from '../ipam/envelope.js';
import type { MemberView } from '../ipam/members.js';
import { grantableRange, intersect, subtract } from '../ipam/space.js';
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
  cidrsEqual,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  formatRange,
  parseAddress,
  parseCidr,
  type AddressRange,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { bodyOfRecord, keyOfRecord, type SignedRecord } from '../records/signed-record.js';
import { RECORD_KIND } from '../wire/record.js';
import { NoAddresses } from '../workload/no-addresses.js';
import type { AddressSource } from '../workload/ports.js';
import {
  heldElsewhere,
  inNoPool,
  mustBeUsablePool,
  mustParsePool,
  mustParseRange,
  noSuchPool,
  notASubnet,
  nothingLeft,
  refusedError,
  stillInUse,
  type PoolHolders,
  type Purpose,
} from './address-answers.js';
import { ipamCellKey, ipamCellsOf } from './ipam-cells.js';
import type { MeshRecords } from './mesh-records.js';
import type { StateStore } from './ports.js';
import type { RecordRoom } from './record-room.js';

/** Of the store (ipam/estate.ts): who has an address. */
const ALLOCATION_CELL = 'a/';
/** That may wait for another commit so long. */
const LONGEST_UNWRITTEN_MS = 1000;

/*
 * The machine of ipam/ in its mesh: members and titles come from the records, messages go by the links, cells to the
 * state store, and what this host asks is a promise.
 *
 *   records ── titles, members, removals ──► Ipam ── publish, tell ──► records
 *   links ──── IPAM_… ─────────────────────►      ── send ───────────► links
 *   workloads, the API ── give, claim ─────►      ── answer ─────────► promise
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
  /** Own addresses of nodes, of this one too. */
  readonly nodeAddresses: () => readonly string[];
  /** Who has an address on this host, as people call it. */
  readonly userOf: (network: string, address: string) => string | undefined;
  /** Refuses a range that cannot be a pool on this host, beside the pools there are. @throws OVL_POOL_OVERLAP */
  readonly admitPool: (range: string, pools: readonly string[]) => Promise<void>;
}

export interface MeshIpamOptions {
  readonly self: PeerId;
  /** The pools to found, cidr texts. */
  readonly pools: readonly string[];
  /** Where addresses come from unless asked otherwise; undefined: from any pool. */
  readonly defaultSubnet?: string | undefined;
  /** Contacts were given. */
  readonly hasContacts: boolean;
  /** Whose addresses these are; undefined: the default one's. */
  readonly network?: NetworkDefinition;
}

export class MeshIpam implements RecordRoom, AddressSource {
  readonly kind = RECORD_KIND.TITLE;
  readonly #components: MeshIpamComponents;
  readonly #options: MeshIpamOptions;
  readonly #ranges: readonly Cidr[];
  readonly #answers = new Map<number, (outcome: Outcome) => void>();
  #ipam: Ipam | undefined;
  #titles: Title[] = [];
  #nextRequest = 1;
  /** Told before this was started. */
  #kept: ReadonlySet<string> | undefined;
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
    if (title?.ok) this.onTitle(title.value);
  }

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

  // ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

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
   * is for: one commit. Where that never comes, nobody has the address: at the start it is taken back from owners that
   * are no attachments.
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

  async give(owner: string, subnet: string | undefined): Promise<string> {
    const { network } = this.#options;
    if (network?.subnets.length === 0 && this.#ipam && this.pools.length === 0) {
      return new NoAddresses(network.name).give(owner, subnet);
    }
    const text = subnet ?? this.#options.defaultSubnet;
    const cidr = text === undefined ? undefined : parseCidr(text, 'cut');
    if (text !== undefined && !cidr) throw notASubnet(text);
    const outcome = await this.#request(owner, { kind: 'any', subnet: cidr });
    if (outcome.ok) return `${formatAddress(outcome.address)}/${outcome.bits}`;
    throw this.#refused('give', text ?? '', outcome.refusal);
  }

  async claim(owner: string, cidr: string): Promise<void> {
    const address = parseAddress(cidr.split('/')[0] ?? '');
    if (!address) return;
    const outcome = await this.#request(owner, { kind: 'address', address });
    if (outcome.ok || outcome.refusal.code === 'outside') return;
    throw this.#refused('give', cidr, outcome.refusal);
  }

  release(owner: string, cidr: string): void {
    const address = parseAddress(cidr.split('/')[0] ?? '');
    if (!address) return;
    this.#components.post((nowMs, out) => {
      this.#with(nowMs, out, (ipam, actions) => {
        ipam.release(owner, address, nowMs, actions);
      });
    });
  }

  keep(owners: ReadonlySet<string>): void {
    this.#kept = owners;
    this.#components.post((nowMs, out) => {
      this.#releaseOthers(nowMs, out);
    });
  }

  /** Whoever is not among those that `keep` named; once. */
  #releaseOthers(nowMs: number, out: Actions): void {
    const kept = this.#kept;
    this.#with(nowMs, out, (ipam, actions) => {
      this.#kept = undefined;
      for (const { owner, address } of kept === undefined ? [] : ipam.used()) {
        if (kept?.has(owner)) continue;
        ipam.release(owner, address, nowMs, actions);
      }
    });
  }

  // ── for operators ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ranges of the pools there are, cidr texts. */
  get pools(): readonly string[] {
    return (this.#ipam?.ledger.pools() ?? []).map(({ range }) => formatCidr(range));
  }

  document(): IpamDocument {
    const { nameOf } = this.#components;
    const who = (peer: PeerId): { readonly id: string; readonly nickname: string } => ({
      id: peer,
      nickname: nameOf(peer),
    });
    const used = this.#ipam?.used() ?? [];
    const network = this.#options.network?.name ?? DEFAULT_NETWORK;
    return {
      schema: SCHEMA_VERSION,
      pools: (this.#ipam?.pools() ?? []).map(({ pool, holders, titles }) => ({
        range: formatCidr(pool.range),
        network,
        id: pool.id,
        titles,
        holders: holders.map(({ peer, addresses, blocks, isGone, waitingFor }) => ({
          ...who(peer),
          self: peer === this.#options.self,
          addresses: Number(addresses),
          blocks,
          gone: isGone,
          waitingFor: waitingFor.map(nameOf),
        })),
      })),
      used: used.map(({ address, owner, isActive }) => ({
        ...{ address: formatAddress(address), network, owner, active: isActive },
      })),
      reserved: (this.#ipam?.reserved() ?? []).map(formatRange),
      clashes: (this.#ipam?.clashes() ?? []).map(({ address, holder, loser }) => ({
        address: formatAddress(address),
        network,
        holder: nameOf(holder),
        loser: nameOf(loser),
      })),
    };
  }

  /**
   * Keeps addresses from being handed out, by anybody: `a`, `a-b` or a cidr, without those that are excepted.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE, OVL_ADDRESS_UNAVAILABLE, with nothing changed
   */
  async reserve(text: string, except: readonly string[]): Promise<void> {
    const { family, ...whole } = mustParseRange(text);
    const holes = except.map((other) => mustParseRange(other));
    const left = subtract(
      [whole],
      holes.filter((hole) => hole.family === family),
    );
    if (left.length === 0) throw nothingLeft(text, holes);
    const ranges = left.map((range) => ({ family, ...range }));
    const outcome = await this.#request('', { kind: 'reserve', ranges });
    if (!outcome.ok) throw this.#refused('reserve', text, outcome.refusal);
  }

  /**
   * Takes back what is reserved of a range. No error when nothing was, as long as nothing else stands where it would.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE where it is in use here, OVL_ADDRESS_UNAVAILABLE where it is others'
   */
  async unreserve(text: string): Promise<void> {
    const range = mustParseRange(text);
    await this.#run((ipam, actions, nowMs) => {
      if (!ipam.reserved().some((other) => haveCommon(other, range))) {
        this.#mustBeFree(text, range, ipam);
      }
      ipam.unreserve(range, nowMs, actions);
    });
  }

  #mustBeFree(text: string, range: AddressRange, ipam: Ipam): void {
    const { nameOf, nodeAddresses } = this.#components;
    const { first } = range;
    const isOne = first === range.last;
    const address = { family: range.family, value: first };
    const used = ipam.used().find((each) => isIn(range, each.address));
    const own = isOne ? this.#userOf(formatAddress(address)) : undefined;
    if (used) throw stillInUse(text, used.address, this.#userOf(formatAddress(used.address)));
    if (own !== undefined) throw stillInUse(text, address, own);
    const isNode = (cidr: string): boolean => {
      const node = parseAddress(cidr.split('/')[0] ?? '');
      return node?.family === address.family && node.value === first;
    };
    if (isOne && nodeAddresses().some(isNode)) throw stillInUse(text, address, 'a node as its own');
    const { ledger } = ipam;
    const spans = ledger
      .pools()
      .flatMap((pool) =>
        pool.range.family === range.family
          ? ledger.spans(pool.id).filter((span) => intersect(span, range) !== undefined)
          : [],
      );
    const [head] = spans;
    if (!head) throw inNoPool(text);
    if (spans.some(({ title }) => title.holder === this.#options.self)) return;
    throw heldElsewhere(text, nameOf(head.title.holder));
  }

  /** One more pool. @throws OVL_ADDRESS_INVALID for a range that overlaps another, OVL_POOL_OVERLAP */
  async addPool(text: string): Promise<void> {
    const range = mustParsePool(text);
    const { pools } = this;
    if (pools.includes(formatCidr(range))) return;
    mustBeUsablePool(text, range);
    await this.#components.admitPool(formatCidr(range), pools);
    await this.#run((ipam, actions, nowMs) => {
      const other = ipam.addPool(range, nowMs, actions);
      if (!other || cidrsEqual(other.range, range)) return;
      const cure = 'Choose a range beside it.';
      const message = `${text} overlaps the pool ${formatCidr(other.range)}`;
      throw new OverlayError('OVL_ADDRESS_INVALID', message, { value: text, cure });
    });
  }

  /**
   * Ends a pool. No error when there is none.
   * @throws OVL_ADDRESS_INVALID, OVL_ADDRESS_IN_USE naming an address that is, OVL_ADDRESS_UNAVAILABLE
   */
  async removePool(text: string): Promise<void> {
    const pool = mustParsePool(text);
    const node = this.#components.nodeAddresses().find((cidr) => {
      const address = parseAddress(cidr.split('/')[0] ?? '');
      return address !== undefined && cidrHas(pool, address);
    });
    const ranges = this.#ipam?.ledger.pools().map(({ range }) => range) ?? [];
    const isPool = ranges.some((range) => cidrsEqual(range, pool));
    const near = ranges.find((range) => cidrsOverlap(range, pool));
    if (!isPool && near) throw noSuchPool(text, near);
    if (isPool && node !== undefined) {
      throw new OverlayError(
        'OVL_ADDRESS_IN_USE',
        `The pool ${text} cannot be removed: ${node} is a node's own address`,
        { value: text, cure: 'Start that node with another --ipalloc-range or --address first.' },
      );
    }
    const outcome = await this.#request('', { kind: 'end', pool });
    if (!outcome.ok) throw this.#refused('end', text, outcome.refusal);
  }

  /** In the loop. @throws OVL_ADDRESS_UNAVAILABLE before the start; what `act` throws */
  #run(act: (ipam: Ipam, actions: IpamActions, nowMs: number) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#components.post((nowMs, out) => {
        let failure: Error | undefined;
        if (!this.#ipam) failure = this.#refused('give', '', STARTING);
        this.#with(nowMs, out, (ipam, actions) => {
          try {
            act(ipam, actions, nowMs);
          } catch (error) {
            failure = error instanceof Error ? error : new Error(String(error));
          }
        });
        if (failure) reject(failure);
        else resolve();
      });
    });
  }

  #request(owner: string, want: Want): Promise<Outcome> {
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

  #refused(purpose: Purpose, value: string, refusal: Refusal): OverlayError {
    const { peer, address } = refusal;
    const isUs = peer === this.#options.self;
    return refusedError(purpose, value, refusal, {
      peer: peer && !isUs ? ` (${this.#components.nameOf(peer)})` : '',
      user: address && this.#userOf(address),
      pools: refusal.code === 'full' ? this.#holdersAround(value) : [],
    });
  }

  /** Of the pools that an address of `text` could come from; of all when it names none. */
  #holdersAround(text: string): readonly PoolHolders[] {
    const wanted = parseCidr(text, 'cut');
    const pools = this.#ipam?.pools() ?? [];
    return pools
      .filter(({ pool }) => !wanted || cidrsOverlap(pool.range, wanted))
      .map(({ pool, holders }) => ({
        range: pool.range,
        holders: holders.map(({ peer, addresses }) => {
          const isUs = peer === this.#options.self;
          return { name: isUs ? 'this node' : this.#components.nameOf(peer), addresses };
        }),
      }));
  }

  #userOf(address: string): string | undefined {
    const { network } = this.#options;
    return this.#components.userOf(network?.name ?? DEFAULT_NETWORK, address);
  }
}

const STARTING: Refusal = {
  code: 'no pool',
  text: 'this node is still starting',
  peer: undefined,
};

function isIn({ family, first, last }: AddressRange, address: IpAddress): boolean {
  return address.family === family && first <= address.value && address.value <= last;
}

function haveCommon(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && intersect(a, b) !== undefined;
}

function haveSame(a: ReadonlySet<PeerId>, b: ReadonlySet<PeerId>): boolean {
  return a.size === b.size && [...a].every((peer) => b.has(peer));
}
