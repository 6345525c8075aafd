import assert from 'node:assert/strict';
import { seededRng, type Rng } from '../../../src/base/rng.js';
import { formatAddress, parseCidr, type Cidr } from '../../../src/model/cidr.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';
import {
  IpamActions,
  type Clash,
  type IpamMessage,
  type Outcome,
} from '../../../src/ipam/actions.js';
import { Ipam, type Want } from '../../../src/ipam/ipam.js';
import { titleText, type Title } from '../../../src/ipam/title.js';

/*
 * Nodes with a machine each on a bus that loses, repeats, delays and cuts, on a virtual clock, from a seed. Titles and
 * removals spread as records do: pushed to three, and compared by neighbours from time to time. A crash may come
 * between any two actions of one turn; what was written down by then is what comes back.
 */

type Parcel =
  | { readonly kind: 'message'; readonly message: IpamMessage }
  | { readonly kind: 'titles'; readonly titles: readonly Title[] }
  | { readonly kind: 'gossip'; readonly node: Gossip };

interface Gossip {
  readonly titles: readonly Title[];
  readonly gone: readonly PeerId[];
  readonly known: readonly PeerId[];
}

interface InFlight {
  readonly atMs: number;
  readonly from: PeerId;
  readonly to: PeerId;
  readonly parcel: Parcel;
}

export interface Answer {
  readonly node: Node;
  readonly outcome: Outcome;
  readonly afterMs: number;
}

export class Node {
  readonly id: PeerId;
  readonly cells = new Map<string, string>();
  readonly gone = new Set<PeerId>();
  readonly known = new Set<PeerId>();
  readonly clashes: { readonly clash: Clash; readonly isOurs: boolean }[] = [];
  ipam: Ipam;
  isUp = true;
  /** Dead for good, and removed somewhere. */
  isRemoved = false;
  side = 0;
  gossipAtMs = 0;

  constructor(id: PeerId, ipam: Ipam) {
    this.id = id;
    this.ipam = ipam;
  }
}

export interface IslandOptions {
  readonly seed: number;
  readonly pool: string;
  /** 0 to 1. */
  readonly loss?: number;
  readonly repeats?: number;
  /** Chance of a crash within a turn. */
  readonly crashes?: number;
  readonly delayMs?: number;
}

const GOSSIP_MS = 800;

export class Island {
  readonly rng: Rng;
  readonly nodes: Node[] = [];
  readonly answers: Answer[] = [];
  nowMs = 0;
  loss: number;
  repeats: number;
  crashes: number;
  readonly #delayMs: number;
  readonly #pool: Cidr;
  #flying: InFlight[] = [];
  #requests = new Map<number, { node: Node; atMs: number }>();
  #nextRequest = 1;
  #forgotten: ReadonlySet<PeerId> = new Set();

  constructor({ seed, pool, loss = 0, repeats = 0, crashes = 0, delayMs = 20 }: IslandOptions) {
    this.rng = seededRng(seed);
    this.#pool = parseCidr(pool)!;
    this.loss = loss;
    this.repeats = repeats;
    this.crashes = crashes;
    this.#delayMs = delayMs;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.rng.fraction() * list.length)]!;
  }

  chance(probability: number): boolean {
    return this.rng.fraction() < probability;
  }

  get up(): readonly Node[] {
    return this.nodes.filter(({ isUp }) => isUp);
  }

  // ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** `via`: whose members it hears of first; without, it knows nobody. */
  join(via?: Node, pool = this.#pool): Node {
    const id = peerIdFromBytes(this.rng.bytes(16));
    const node = new Node(id, this.#machine(id, pool, via !== undefined));
    if (via) for (const peer of [via.id, ...via.known]) node.known.add(peer);
    if (via) for (const peer of via.gone) node.gone.add(peer);
    node.side = via?.side ?? 0;
    node.gossipAtMs = this.nowMs + Math.floor(this.rng.fraction() * GOSSIP_MS);
    this.nodes.push(node);
    for (const other of this.#neighbours(node)) {
      other.known.add(id);
      node.known.add(other.id);
      if (via) this.#send(other, node, this.#gossipOf(other));
    }
    this.followMembers();
    return node;
  }

  #machine(self: PeerId, range: Cidr, hasCompany: boolean): Ipam {
    const rng = seededRng(Math.floor(this.rng.fraction() * 2 ** 32));
    return new Ipam(rng, { self, ranges: [range], hasCompany, nowMs: this.nowMs });
  }

  /** kill -9: what was written is left. */
  crash(node: Node): void {
    node.isUp = false;
    node.ipam = this.#machine(node.id, this.#pool, true);
    node.ipam.restore(node.cells, this.nowMs);
    this.followMembers();
  }

  restart(node: Node): void {
    node.ipam = this.#machine(node.id, this.#pool, true);
    node.ipam.restore(node.cells, this.nowMs);
    node.isUp = true;
    this.followMembers();
  }

  /** An operator says on one node that another is dead. */
  remove(node: Node, at: Node): void {
    assert(!node.isUp);
    node.isRemoved = true;
    at.gone.add(node.id);
    for (const other of this.#neighbours(at)) this.#post(at, other.id, this.#gossipOf(at));
    this.followMembers();
  }

  /**
   * The removed that no title of any node mentions are left out from here on, so that a long walk costs by the living.
   * Nobody may be about to speak of them: what is under way was said by those who live.
   */
  forgetRemoved(): void {
    const titles = this.nodes
      .filter((node) => !node.isRemoved)
      .map(({ ipam }) => ipam.ledger.all());
    const mentioned = new Set(
      titles
        .flat()
        .flatMap(({ holder, grantor, witness, chain }) => [
          ...[holder, grantor, ...chain],
          ...(witness ? [witness] : []),
        ]),
    );
    const gone = this.nodes.filter(({ id, isRemoved }) => isRemoved && !mentioned.has(id));
    const ids = new Set(gone.map(({ id }) => id));
    this.#flying = this.#flying.filter(({ from, to }) => !ids.has(from) && !ids.has(to));
    for (const { parcel } of this.#flying) {
      if (parcel.kind === 'titles') assert(parcel.titles.every(({ holder }) => !ids.has(holder)));
    }
    this.#forgotten = new Set([...this.#forgotten, ...ids]);
    for (const node of gone) this.nodes.splice(this.nodes.indexOf(node), 1);
    for (const { known, gone: removed } of this.nodes) {
      for (const id of ids) {
        known.delete(id);
        removed.delete(id);
      }
    }
    this.followMembers();
  }

  areLinked(a: Node, b: Node): boolean {
    return a !== b && a.isUp && b.isUp && a.side === b.side;
  }

  #neighbours(node: Node): readonly Node[] {
    return this.nodes.filter((other) => this.areLinked(node, other));
  }

  /** Tells every machine whom it can reach now. */
  followMembers(): void {
    for (const node of this.up) {
      for (const other of this.#neighbours(node)) node.known.add(other.id);
      const reachable = new Set(this.#neighbours(node).map(({ id }) => id));
      this.act(node, (out) => {
        node.ipam.setMembers(
          { known: node.known, gone: new Set(node.gone), reachable },
          this.nowMs,
          out,
        );
      });
    }
  }

  /** One side each, by number. */
  cut(sideOf: (node: Node, at: number) => number): void {
    this.nodes.forEach((node, at) => (node.side = sideOf(node, at)));
    this.followMembers();
  }

  heal(): void {
    this.cut(() => 0);
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

  request(node: Node, owner: string, want: Want = { kind: 'any', subnet: undefined }): number {
    const id = this.#nextRequest++;
    this.#requests.set(id, { node, atMs: this.nowMs });
    this.act(node, (out) => {
      node.ipam.request(id, owner, want, this.nowMs, out);
    });
    return id;
  }

  /** Asks and waits for the answer. */
  ask(node: Node, owner: string, want?: Want): Outcome {
    const before = this.answers.length;
    this.request(node, owner, want);
    for (let waited = 0; waited < 2000; waited += 10) {
      const answer = this.answers.slice(before).find((each) => each.node === node);
      if (answer) return answer.outcome;
      this.run(10);
    }
    return assert.fail('no answer within 2 s');
  }

  address(node: Node, owner: string, want?: Want): string {
    const outcome = this.ask(node, owner, want);
    assert(outcome.ok, outcome.ok ? '' : JSON.stringify(outcome.refusal));
    return formatAddress(outcome.address);
  }

  release(node: Node, owner: string): void {
    this.act(node, (out) => {
      node.ipam.release(owner, undefined, this.nowMs, out);
    });
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    let turns = 0;
    for (;;) {
      const next = this.#nextMs();
      if (next > untilMs) break;
      turns = next > this.nowMs ? 0 : turns + 1;
      assert(turns < 10_000, 'a deadline stays due');
      this.nowMs = Math.max(this.nowMs, next);
      this.#turn();
    }
    this.nowMs = untilMs;
  }

  #nextMs(): number {
    let next = this.#flying[0]?.atMs ?? Infinity;
    for (const node of this.up) next = Math.min(next, node.ipam.nextDeadlineMs, node.gossipAtMs);
    return next;
  }

  #turn(): void {
    while (this.#flying[0] && this.#flying[0].atMs <= this.nowMs) {
      this.#deliver(this.#flying.shift()!);
    }
    for (const node of this.up) {
      if (node.isUp && node.ipam.nextDeadlineMs <= this.nowMs) {
        this.act(node, (out) => {
          node.ipam.onDeadline(this.nowMs, out);
        });
      }
      if (node.isUp && node.gossipAtMs <= this.nowMs) this.#gossip(node);
    }
  }

  /** Runs a machine and does what it wants done, or dies in the middle of it. */
  act(node: Node, run: (out: IpamActions) => void): void {
    const out = new IpamActions();
    run(out);
    const dies = this.crashes > 0 && out.list.length > 0 && this.chance(this.crashes);
    const until = dies ? Math.floor(this.rng.fraction() * (out.list.length + 1)) : out.list.length;
    for (const action of out.list.slice(0, until)) {
      switch (action.kind) {
        case 'persist':
          if (action.value === undefined) node.cells.delete(action.key);
          else node.cells.set(action.key, action.value);
          break;
        case 'send':
          this.#post(node, action.to, { kind: 'message', message: action.message });
          break;
        case 'tell':
          this.#post(node, action.to, { kind: 'titles', titles: action.titles });
          break;
        case 'publish': {
          const titles = [action.title];
          for (let push = 0; push < 3; push++) {
            const neighbours = this.#neighbours(node);
            if (neighbours.length === 0) break;
            this.#post(node, this.pick(neighbours).id, { kind: 'titles', titles });
          }
          break;
        }
        case 'answer': {
          const asked = this.#requests.get(action.id);
          if (!asked) break;
          this.#requests.delete(action.id);
          const answer = { node, outcome: action.outcome, afterMs: this.nowMs - asked.atMs };
          this.answers.push(answer);
          this.onAnswer(answer);
          break;
        }
        case 'clash':
          node.clashes.push(action);
          break;
        case 'event':
          break;
      }
    }
    if (dies) {
      for (const [id, { node: asking }] of this.#requests)
        if (asking === node) this.#requests.delete(id);
      this.crash(node);
      this.restart(node);
    }
  }

  onAnswer: (answer: Answer) => void = () => undefined;

  #gossipOf(node: Node): Parcel {
    const titles = node.ipam.ledger.all();
    return {
      kind: 'gossip',
      node: { titles, gone: [...node.gone], known: [...node.known, node.id] },
    };
  }

  #gossip(node: Node): void {
    node.gossipAtMs = this.nowMs + GOSSIP_MS / 2 + Math.floor(this.rng.fraction() * GOSSIP_MS);
    const neighbours = this.#neighbours(node);
    if (neighbours.length === 0) return;
    const other = this.pick(neighbours);
    this.#post(node, other.id, this.#gossipOf(node));
    this.#post(other, node.id, this.#gossipOf(other));
  }

  #post(from: Node, to: PeerId, parcel: Parcel): void {
    const other = this.nodes.find(({ id }) => id === to);
    if (!other || !this.areLinked(from, other)) return;
    if (!this.chance(this.loss)) this.#send(from, other, parcel);
    if (this.chance(this.repeats)) this.#send(from, other, parcel);
  }

  #send(from: Node, to: Node, parcel: Parcel): void {
    const late = this.chance(0.05) ? 20 : 1;
    const atMs = this.nowMs + 1 + Math.floor(this.rng.fraction() * this.#delayMs * late);
    let at = this.#flying.length;
    while (at > 0 && this.#flying[at - 1]!.atMs > atMs) at -= 1;
    this.#flying.splice(at, 0, { atMs, from: from.id, to: to.id, parcel });
  }

  #deliver({ from, to, parcel }: InFlight): void {
    const node = this.nodes.find(({ id }) => id === to)!;
    const sender = this.nodes.find(({ id }) => id === from)!;
    // Across a cut nothing arrives; of a sender that died in the meantime it does.
    if (!node.isUp || node.side !== sender.side) return;
    const titles = (list: readonly Title[]): void => {
      this.act(node, (out) => {
        node.ipam.onTitles(list, this.nowMs, out);
      });
    };
    if (parcel.kind === 'titles') titles(parcel.titles);
    else if (parcel.kind === 'message') {
      this.act(node, (out) => {
        node.ipam.onMessage(from, parcel.message, this.nowMs, out);
      });
    } else {
      titles(parcel.node.titles);
      const size = node.gone.size + node.known.size;
      for (const peer of parcel.node.gone) if (!this.#forgotten.has(peer)) node.gone.add(peer);
      for (const peer of parcel.node.known) {
        if (peer !== node.id && !this.#forgotten.has(peer)) node.known.add(peer);
      }
      if (node.gone.size + node.known.size > size) {
        const reachable = new Set(this.#neighbours(node).map(({ id }) => id));
        this.act(node, (out) => {
          node.ipam.setMembers(
            { known: node.known, gone: new Set(node.gone), reachable },
            this.nowMs,
            out,
          );
        });
      }
    }
  }

  // ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Who may have an address on the wire, by address; nodes that are down count until they are removed. */
  active(): ReadonlyMap<string, readonly Node[]> {
    const all = new Map<string, Node[]>();
    for (const node of this.nodes) {
      if (node.isRemoved) continue;
      for (const { address, isActive } of node.ipam.used()) {
        if (!isActive) continue;
        const text = formatAddress(address);
        all.set(text, [...(all.get(text) ?? []), node]);
      }
    }
    return all;
  }

  duplicates(): readonly string[] {
    return [...this.active()].filter(([, holders]) => holders.length > 1).map(([text]) => text);
  }

  /** Every node that is up knows the same titles. */
  isOfOneMind(): boolean {
    const minds = this.up.map(({ ipam }) => ipam.ledger.all().map(titleText).sort().join());
    return new Set(minds).size <= 1;
  }
}
