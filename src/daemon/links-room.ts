import { TokenBucket } from '../base/token-bucket.js';
import type { PeerId } from '../model/peer-id.js';
import type { RecordChange } from '../records/actions.js';
import { bodyOfRecord } from '../records/signed-record.js';
import { costStep, Topology } from '../routing/topology.js';
import { decodeLinksRecord, encodeLinksRecord } from '../wire/links-record.js';
import { RECORD_KIND } from '../wire/record.js';
import type { RecordRoom, SayRecord } from './record-room.js';

/*
 * The links records (docs/protocol.md §5): those of others become the topology, ours says whom this node reaches
 * directly and at what cost, when it relays at all.
 */

/** The one record of its kind. */
const NO_KEY = new Uint8Array(0);
interface Pace {
  /** What changed waits this long for more, and that for more again … */
  readonly afterMs: number;
  /** … but not longer than this. */
  readonly withinMs: number;
  /** Where links only went. */
  readonly goneMs: number;
  /** Where costs changed or links came that nobody waits for. */
  readonly spareMs: number;
}

/** Relays are wanted within seconds, and what a record of ours costs the mesh is little. */
const FEW: Pace = { afterMs: 200, withinMs: 1000, goneMs: 200, spareMs: 200 };
/**
 * Where all of some dozen start together, each new one would be a record of every other. While all reach each other,
 * nobody looks for a relay, and a newcomer that lacks somebody needs the links of the others, not theirs to it. So links
 * that came wait for more, longer once six others list them. Not those that went, nor while this node has said few of its
 * links and lacks somebody, or one that just said its own does.
 */
const SOME: Pace = { afterMs: 5000, withinMs: 15_000, goneMs: 200, spareMs: 30_000 };
const SOME_FROM = 8;
/**
 * Each record goes to a thousand, and each of those has sixteen links. One that went costs whoever tries it a refusal,
 * and most come back: a machine slept, a wire was pulled. Those that took their place meanwhile go when they come back,
 * so they wait as well, unless somebody has few links, and so do costs, which are high while a link is young: a third of a
 * mesh that was cut off for a minute would make all of it write, and be told of all, three times.
 */
const MANY: Pace = { afterMs: 3000, withinMs: 15_000, goneMs: 120_000, spareMs: 180_000 };
const MANY_FROM = 64;
/** Whom so many list, or who has that share of what it listed, can be reached through those. */
const LISTED_ENOUGH = 6;
const STANDING_ENOUGH = 0.5;
/** What an earlier run listed has this long to come back before it is taken from the list. */
const RETURN_MS = 5000;
/** So many of those that a newcomer lists say what it lacks: ways through more are not asked for. */
const HELPERS = 6;
/** Writes: one in 10 s, a few at once when neighbours come and go. */
const SAYS_BURST = 4;
const SAYS_PER_SECOND = 0.1;
/** Costs below are noise: they would only write records. */
const LEAST_COST_MS = 1;
/** A quarter beyond the border of a step is still that step: a cost on the border would write again and again. */
const BORDER = 1.25;
const STEPS_DOWN = 3;

export interface LinksRoomOptions {
  /** A clone takes another while it runs. */
  readonly selfId: () => PeerId;
  /** Carries the traffic of others. */
  readonly isRelay: boolean;
}

export class LinksRoom implements RecordRoom {
  readonly kind = RECORD_KIND.LINKS;
  readonly topology = new Topology();
  readonly #selfId: () => PeerId;
  readonly #isRelay: boolean;
  readonly #says = new TokenBucket(SAYS_BURST, SAYS_PER_SECOND);
  /** As said last, by an earlier run perhaps. */
  #said: ReadonlyMap<PeerId, number> | undefined;
  #isSaidEarlier = false;
  #costs: ReadonlyMap<PeerId, number> = new Map();
  #sayAtMs = Number.POSITIVE_INFINITY;
  /** The first change that is not said yet … */
  #changedMs: number | undefined;
  /** … and the first that can wait long, while no other does. */
  #lateMs: number | undefined;
  /** Of the pace at which the change waits. */
  #afterMs = 0;
  #isSeeking = false;
  /** Somebody lacks a peer that is reached from here, and cannot know. */
  #isNeeded = false;

  constructor({ selfId, isRelay }: LinksRoomOptions) {
    this.#selfId = selfId;
    this.#isRelay = isRelay;
  }

  get nextDeadlineMs(): number {
    return this.#sayAtMs;
  }

  /** Nobody outside the loop tells it anything. */
  onWork(): void {
    return;
  }

  onChange({ owner, record }: Pick<RecordChange, 'owner' | 'record'>, isOwn: boolean): void {
    const read = record && decodeLinksRecord(bodyOfRecord(record));
    if (isOwn) {
      // Of a run that relayed: this one takes back what it listed.
      if (record && !this.#isRelay) this.#sayAtMs = 0;
      if (!this.#isRelay || this.#said || read?.ok !== true) return;
      this.#said = read.value;
      this.#isSaidEarlier = true;
      return;
    }
    if (read?.ok) {
      this.topology.setLinks(owner, read.value);
      this.#noteLacks(owner, read.value);
    } else this.topology.remove(owner);
  }

  /**
   * Whom this node reaches directly, and at what cost in ms. `isSeeking`: it looks for ways to others, so the mesh is
   * not one in which all reach each other.
   */
  setCosts(costs: ReadonlyMap<PeerId, number>, nowMs: number, isSeeking = false): void {
    const isMore = [...costs.keys()].some((peer) => !this.#costs.has(peer));
    const isOther = isMore || costs.size !== this.#costs.size;
    this.#costs = costs;
    this.#isSeeking = isSeeking;
    if (!this.#isRelay) return;
    const change = this.#change();
    if (change === 'none') {
      this.#isSaidEarlier = false;
      this.#rest();
      return;
    }
    const { afterMs, withinMs, goneMs, spareMs } = this.#paceOf(change);
    const lateMs = { gone: goneMs, spare: spareMs, news: 0 }[change];
    if (lateMs > afterMs) {
      this.#changedMs = undefined;
      this.#lateMs ??= nowMs;
      this.#sayFrom(this.#lateMs + lateMs, nowMs);
      return;
    }
    if (this.#changedMs !== undefined && !isOther && afterMs === this.#afterMs) return;
    this.#afterMs = afterMs;
    this.#changedMs ??= nowMs;
    this.#sayFrom(Math.min(nowMs + afterMs, this.#changedMs + withinMs), nowMs);
  }

  onDeadline(nowMs: number, say: SayRecord): void {
    if (!this.#isRelay) {
      this.#rest();
      say(this.kind, NO_KEY, undefined);
      return;
    }
    if (this.#change() !== 'none' && !this.#says.take(nowMs)) {
      this.#sayAtMs = nowMs + Math.max(1, this.#says.waitMs(nowMs));
      return;
    }
    this.#rest();
    if (this.#change() === 'none') return;
    this.#isSaidEarlier = false;
    const before = this.#said;
    this.#said = new Map(
      [...this.#costs].map(([peer, costMs]) => [peer, stepOf(costMs, before?.get(peer))]),
    );
    say(this.kind, NO_KEY, encodeLinksRecord(this.#said));
  }

  #paceOf(change: 'gone' | 'spare' | 'news'): Pace {
    if (this.topology.size > MANY_FROM) return this.#patient(MANY);
    const isUrgent =
      (this.#isSeeking && !this.#isMostSaid) ||
      this.#isNeeded ||
      (!this.#isSaidEarlier && this.#hasLost);
    return this.#patient(change !== 'gone' && this.#isMiddling && !isUrgent ? SOME : FEW);
  }

  /** What an earlier run listed may come back. */
  #patient(pace: Pace): Pace {
    return this.#isSaidEarlier ? { ...pace, goneMs: Math.max(pace.goneMs, RETURN_MS) } : pace;
  }

  get #isMiddling(): boolean {
    const { size } = this.topology;
    return size > SOME_FROM && size <= MANY_FROM;
  }

  /** Who looks for a way has as many as it needs by what it listed; one more would be no other way. */
  get #isMostSaid(): boolean {
    const said = [...this.#costs.keys()].filter((peer) => this.#said?.has(peer) === true).length;
    return said >= LISTED_ENOUGH && said >= this.#costs.size * STANDING_ENOUGH;
  }

  /** A link that was listed is gone. */
  get #hasLost(): boolean {
    return [...(this.#said?.keys() ?? [])].some((peer) => !this.#costs.has(peer));
  }

  /**
   * Who just said its links, and is linked with us, lacks somebody whose link with us is not said yet, and no record
   * tells of a relay between the two.
   */
  #noteLacks(owner: PeerId, listed: ReadonlyMap<PeerId, number>): void {
    const sinceMs = this.#changedMs ?? this.#lateMs;
    if (sinceMs === undefined || !this.#isMiddling || !this.#costs.has(owner)) return;
    if (!helpersOf(owner, listed).includes(this.#selfId())) return;
    const near = new Set([...this.topology.relaysOf(owner)].map(([relay]) => relay));
    const isLacking = [...this.#costs.keys()].some((peer) => {
      if (peer === owner || listed.has(peer) || this.#said?.has(peer) === true) return false;
      return ![...this.topology.relaysOf(peer)].some(([relay]) => near.has(relay));
    });
    if (!isLacking) return;
    this.#isNeeded = true;
    this.#sayAtMs = Math.min(this.#sayAtMs, sinceMs + FEW.afterMs);
  }

  #sayFrom(atMs: number, nowMs: number): void {
    this.#sayAtMs = Math.max(atMs, nowMs + this.#says.waitMs(nowMs));
  }

  /** Nothing waits to be said. */
  #rest(): void {
    this.#sayAtMs = Number.POSITIVE_INFINITY;
    this.#changedMs = undefined;
    this.#lateMs = undefined;
    this.#isNeeded = false;
  }

  #change(): 'none' | 'gone' | 'spare' | 'news' {
    const said = this.#said;
    if (!said) return this.#costs.size > 0 ? 'news' : 'none';
    let standing = 0;
    let isOther = false;
    for (const [peer, costMs] of this.#costs) {
      const step = said.get(peer);
      if (step === undefined && this.topology.listedBy(peer) < LISTED_ENOUGH) return 'news';
      if (step !== undefined) standing += 1;
      if (step === undefined || stepOf(costMs, step) !== step) isOther = true;
    }
    if (!isOther) return said.size === standing ? 'none' : 'gone';
    return standing === 0 || standing < said.size * STANDING_ENOUGH ? 'news' : 'spare';
  }
}

/** The first of those it lists, in the order of ids, from its own on: all agree who, and each newcomer has others. */
function helpersOf(owner: PeerId, listed: ReadonlyMap<PeerId, number>): readonly PeerId[] {
  const sorted = [...listed.keys()].sort();
  const from = sorted.findIndex((peer) => peer > owner);
  return from < 0 ? sorted.slice(0, HELPERS) : [...sorted.slice(from), ...sorted].slice(0, HELPERS);
}

/**
 * The step said last stays while the cost is near it. Downwards that is two steps: a new link looks dear until its
 * variation is known, which takes minutes of PINGs, and each step on the way down would be a record of every node.
 */
function stepOf(costMs: number, said: number | undefined): number {
  const cost = Math.max(costMs, LEAST_COST_MS);
  const step = costStep(cost);
  if (said === undefined) return step;
  const isNear = step > said ? costStep(cost / BORDER) <= said : step > said - STEPS_DOWN;
  return isNear ? said : step;
}
