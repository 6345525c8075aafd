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
/** A neighbour that comes or goes waits this long for more, and they for more again, but not longer than a second. */
const SAY_AFTER_MS = 200;
const SAY_WITHIN_MS = 1000;
/** Writes: one in 10 s, a few at once when neighbours come and go. */
const SAYS_BURST = 4;
const SAYS_PER_SECOND = 0.1;
/** Costs below are noise: they would only write records. */
const LEAST_COST_MS = 1;
/** A quarter beyond the border of a step is still that step: a cost on the border would write again and again. */
const BORDER = 1.25;
const STEPS_DOWN = 3;

export class LinksRoom implements RecordRoom {
  readonly kind = RECORD_KIND.LINKS;
  readonly topology = new Topology();
  readonly #isRelay: boolean;
  readonly #says = new TokenBucket(SAYS_BURST, SAYS_PER_SECOND);
  /** As said last. */
  #said: ReadonlyMap<PeerId, number> | undefined;
  #costs: ReadonlyMap<PeerId, number> = new Map();
  #sayAtMs = Number.POSITIVE_INFINITY;
  /** The first change that is not said yet. */
  #changedMs = 0;

  /** @param isRelay Carries the traffic of others. */
  constructor(isRelay: boolean) {
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
    if (isOwn) {
      // Of a run that relayed: this one takes back what it listed.
      if (record && !this.#isRelay) this.#sayAtMs = 0;
      return;
    }
    const read = record && decodeLinksRecord(bodyOfRecord(record));
    if (read?.ok) this.topology.setLinks(owner, read.value);
    else this.topology.remove(owner);
  }

  /** Whom this node reaches directly, and at what cost in ms. */
  setCosts(costs: ReadonlyMap<PeerId, number>, nowMs: number): void {
    const isMore = [...costs.keys()].some((peer) => !this.#costs.has(peer));
    const isOther = isMore || costs.size !== this.#costs.size;
    this.#costs = costs;
    if (!this.#isRelay || !this.#hasChanged()) return;
    const isWaiting = this.#sayAtMs !== Number.POSITIVE_INFINITY;
    if (isWaiting && !isOther) return;
    if (!isWaiting) this.#changedMs = nowMs;
    const quietMs = Math.min(nowMs + SAY_AFTER_MS, this.#changedMs + SAY_WITHIN_MS);
    this.#sayAtMs = Math.max(quietMs, nowMs + this.#says.waitMs(nowMs));
  }

  onDeadline(nowMs: number, say: SayRecord): void {
    this.#sayAtMs = Number.POSITIVE_INFINITY;
    if (!this.#isRelay) {
      say(this.kind, NO_KEY, undefined);
      return;
    }
    if (!this.#hasChanged()) return;
    if (!this.#says.take(nowMs)) {
      this.#sayAtMs = nowMs + Math.max(1, this.#says.waitMs(nowMs));
      return;
    }
    const before = this.#said;
    this.#said = new Map(
      [...this.#costs].map(([peer, costMs]) => [peer, stepOf(costMs, before?.get(peer))]),
    );
    say(this.kind, NO_KEY, encodeLinksRecord(this.#said));
  }

  #hasChanged(): boolean {
    const said = this.#said;
    if (!said) return this.#costs.size > 0;
    if (said.size !== this.#costs.size) return true;
    for (const [peer, costMs] of this.#costs) {
      const step = said.get(peer);
      if (step === undefined || stepOf(costMs, step) !== step) return true;
    }
    return false;
  }
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
