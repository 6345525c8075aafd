import type { Rng } from '../base/rng.js';
import { formatCidr, type Cidr } from '../model/cidr.js';
import type { NetworkId } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import type { IpamActions } from './actions.js';
import {
  FOUND_ALONE_AFTER_MS,
  FOUND_TOGETHER_AFTER_MS,
  HELLO_AGAIN_MS,
  HELLO_WITHIN_MS,
} from './constants.js';
import type { Estate } from './estate.js';
import { drawPoolId, type PoolId } from './title.js';

/*
 * The first pool (rule 7). A node that knows nobody to ask founds at once. One that was told of others waits for them:
 *
 *   nobody answers for 10 s ─────────────────────────────────────────► founds
 *   somebody has a pool ─────────────────────────────────────────────► waits for its titles
 *   all that answer have none, and 300 ms have shown who is there ───► the smallest id founds, the others wait for it
 */
export interface FoundingOptions {
  /** The pools to found. Of the default network one, and any other of its family will do. */
  readonly ranges: readonly Cidr[];
  /** By default the default one. Of another its subnets are wanted, each, by all nodes alike. */
  readonly network?: { readonly id: NetworkId; readonly createdMs: number } | undefined;
  /** There is somebody who could have a pool: a contact, or a member of the store. */
  readonly hasCompany: boolean;
  readonly nowMs: number;
}

export class Founding {
  readonly #estate: Estate;
  readonly #rng: Rng;
  readonly #options: FoundingOptions;
  readonly #hellos = new Map<PeerId, boolean>();
  #metAtMs: number | undefined;
  #aloneSinceMs: number;
  #helloAtMs = -Infinity;
  #lookAtMs = -Infinity;
  /** Who was told, and what. */
  #greeted: ReadonlySet<PeerId> = new Set();
  #saidPool = false;

  constructor(estate: Estate, rng: Rng, options: FoundingOptions) {
    this.#estate = estate;
    this.#rng = rng;
    this.#options = options;
    this.#aloneSinceMs = options.nowMs;
  }

  /** Nothing is to be founded any more. */
  get hasPool(): boolean {
    return this.#missing().length === 0;
  }

  /** What ended is not founded again by itself. */
  #missing(): readonly Cidr[] {
    const { ledger } = this.#estate;
    const { ranges, network } = this.#options;
    if (network) return ranges.filter((range) => !ledger.hasHeardOf(range));
    const pools = ledger.pools();
    return ranges.filter(({ family }) => !pools.some(({ range }) => range.family === family));
  }

  get nextDeadlineMs(): number {
    if (this.hasPool) return Infinity;
    if (this.#metAtMs === undefined) {
      return Math.max(this.#lookAtMs, this.#aloneSinceMs + FOUND_ALONE_AFTER_MS);
    }
    return this.#lookAtMs;
  }

  onHello(from: PeerId, hasPool: boolean): void {
    this.#hellos.set(from, hasPool);
  }

  /** Who a pool is expected of; undefined: nobody in particular. */
  get waitsFor(): PeerId | undefined {
    const neighbours = this.#neighbourList();
    const [owner] = neighbours.filter((peer) => this.#hellos.get(peer) ?? false);
    const [smallest] = [...neighbours].sort();
    return owner ?? (smallest && smallest < this.#estate.self ? smallest : undefined);
  }

  onDeadline(nowMs: number, out: IpamActions): void {
    const neighbours = this.#neighbourList();
    this.#lookAtMs = nowMs + FOUND_TOGETHER_AFTER_MS;
    if (neighbours.length > 0) this.#metAtMs ??= nowMs;
    else if (this.#metAtMs !== undefined) {
      this.#metAtMs = undefined;
      this.#aloneSinceMs = nowMs;
    }
    this.#greet(neighbours, nowMs, out);
    if (this.hasPool) return;
    if (!this.#mayFound(neighbours, nowMs)) return;
    for (const range of this.#missing()) this.found(range, out);
  }

  found(range: Cidr, out: IpamActions): PoolId {
    const { self } = this.#estate;
    const { network } = this.#options;
    const pool = drawPoolId(this.#rng.bytes(13), network?.id ?? 0, network?.createdMs);
    const title = {
      ...{ pool, poolBits: range.bits, block: range, epoch: 0, holder: self, grantor: self },
      ...{ witness: undefined, chain: [], request: 0 },
    };
    this.#estate.learn(title, out);
    out.publish(title);
    out.event('pool-founded', `Founded the address pool ${formatCidr(range)}`);
    return pool;
  }

  #neighbourList(): readonly PeerId[] {
    const { members } = this.#estate;
    return members.others.filter((peer) => members.isReachable(peer));
  }

  /** Said to whoever is new, to all while we wait, and once more when we have a pool. */
  #greet(neighbours: readonly PeerId[], nowMs: number, out: IpamActions): void {
    const { hasPool } = this;
    const isAgain = !hasPool && nowMs - this.#helloAtMs >= HELLO_AGAIN_MS;
    const isForAll = isAgain || hasPool !== this.#saidPool;
    if (isForAll) this.#helloAtMs = nowMs;
    this.#saidPool = hasPool;
    const before = this.#greeted;
    this.#greeted = new Set(neighbours);
    for (const peer of neighbours) {
      if (isForAll || !before.has(peer)) out.send(peer, { kind: 'hello', hasPool });
    }
  }

  #mayFound(neighbours: readonly PeerId[], nowMs: number): boolean {
    if (this.#estate.isGone(this.#estate.self)) return false;
    if (neighbours.length === 0) {
      const isExpectingNobody =
        !this.#options.hasCompany && this.#aloneSinceMs === this.#options.nowMs;
      return isExpectingNobody || nowMs - this.#aloneSinceMs >= FOUND_ALONE_AFTER_MS;
    }
    const sinceMs = nowMs - (this.#metAtMs ?? nowMs);
    if (sinceMs < FOUND_TOGETHER_AFTER_MS) return false;
    const isAnswered = neighbours.every((peer) => this.#hellos.has(peer));
    if (!isAnswered && sinceMs < HELLO_WITHIN_MS) return false;
    if (neighbours.some((peer) => this.#hellos.get(peer) ?? false)) return false;
    return neighbours.every((peer) => peer > this.#estate.self);
  }
}
