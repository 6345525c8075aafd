import { TokenBucket, TokenBuckets } from '../base/token-bucket.js';
import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import {
  STRANGER_INITS_OF_OWNER,
  STRANGER_INITS_PER_SECOND,
  STRANGER_INITS_TO_ENDPOINT,
  STRANGER_INITS_TRACKED,
  STRANGER_PAUSE_MS,
  STRANGER_ROUNDS,
} from './constants.js';
import type { DialTarget } from './dial-target.js';

/*
 * INITs to endpoints that a member's record lists and from which nothing ever came: whoever is there may never have
 * heard of the mesh (docs/protocol.md §6). One INIT a round, three rounds, then one round an hour. A member that keeps
 * changing its list begins again each time, so what it can have sent is bounded, of each member and to each endpoint.
 */

/** What of a target is about this. */
export type StrangerRounds = Pick<
  DialTarget,
  'key' | 'vouched' | 'strangerRounds' | 'strangersAtMs'
>;

export class StrangerInits {
  /** Of the whole node, shared with PINGs to such addresses. */
  readonly #probes: TokenBucket;
  readonly #ofOwner = bucketsOf(STRANGER_INITS_OF_OWNER);
  readonly #toEndpoint = bucketsOf(STRANGER_INITS_TO_ENDPOINT);

  constructor(probes: TokenBucket) {
    this.#probes = probes;
  }

  /** The list changed, or the peer answered. */
  restart(target: StrangerRounds): void {
    target.strangerRounds = 0;
    target.strangersAtMs = 0;
  }

  /** Those of a target's strangers whose turn it is. */
  due(
    target: StrangerRounds,
    strangers: readonly PathAddress[],
    nowMs: number,
  ): readonly PathAddress[] {
    if (nowMs < target.strangersAtMs || !this.#ofOwner.has(target.key, nowMs)) return [];
    return strangers.filter((address) => this.#toEndpoint.has(formatPathAddress(address), nowMs));
  }

  /** Milliseconds until the node may send one more. */
  waitMs(nowMs: number): number {
    return this.#probes.waitMs(nowMs);
  }

  /** Begins a round. @returns those of `due` that get an INIT now: as many as may be sent. */
  ask(target: StrangerRounds, due: readonly PathAddress[], nowMs: number): readonly PathAddress[] {
    const asked = due.filter((address) => this.#mayAsk(target.key, address, nowMs));
    if (asked.length === 0) return asked;
    target.strangerRounds += 1;
    if (target.strangerRounds >= STRANGER_ROUNDS) target.strangersAtMs = nowMs + STRANGER_PAUSE_MS;
    // Those the budget did not reach come first in the next round.
    target.vouched = [...target.vouched].sort(
      (a, b) => Number(asked.includes(a)) - Number(asked.includes(b)),
    );
    return asked;
  }

  #mayAsk(owner: string, address: PathAddress, nowMs: number): boolean {
    if (!this.#ofOwner.has(owner, nowMs) || !this.#probes.take(nowMs)) return false;
    this.#ofOwner.take(owner, nowMs);
    this.#toEndpoint.take(formatPathAddress(address), nowMs);
    return true;
  }
}

function bucketsOf(burst: number): TokenBuckets {
  return new TokenBuckets(
    () => new TokenBucket(burst, STRANGER_INITS_PER_SECOND),
    STRANGER_INITS_TRACKED,
  );
}
