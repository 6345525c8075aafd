import { TokenBucket } from '../base/token-bucket.js';
import type { PeerId } from '../model/peer-id.js';
import {
  ACCUSE_AGAIN_MS,
  ACCUSED_KEPT,
  ACCUSE_CHECKS_BURST,
  ACCUSE_CHECKS_PER_SECOND,
  PUSHED_BURST,
  PUSHED_PER_SECOND,
} from './constants.js';

/**
 * What a neighbour may make this node do unasked, and who is named for saying more than its share. What is refused here
 * is not lost: the next comparison of digests brings what counts, at this node's own pace.
 */
export class Shares {
  readonly #pushed = new Map<PeerId, TokenBucket>();
  readonly #accused = new Map<PeerId, number>();
  readonly #checks = new TokenBucket(ACCUSE_CHECKS_BURST, ACCUSE_CHECKS_PER_SECOND);

  /** One more record that nobody asked for and that would have to be verified. */
  mayPush(neighbour: PeerId, nowMs: number): boolean {
    let bucket = this.#pushed.get(neighbour);
    if (!bucket) {
      bucket = new TokenBucket(PUSHED_BURST, PUSHED_PER_SECOND);
      this.#pushed.set(neighbour, bucket);
    }
    return bucket.take(nowMs);
  }

  /** Is it worth a look whether this owner signed what it is to be named for? Anybody can write its name. */
  mayCheck(owner: PeerId, nowMs: number): boolean {
    return this.#isUntold(owner, nowMs) && this.#checks.take(nowMs);
  }

  /** @returns true when it is to be said now: once in ten minutes for each. */
  accuse(peer: PeerId, nowMs: number): boolean {
    if (!this.#isUntold(peer, nowMs)) return false;
    this.#accused.delete(peer);
    this.#accused.set(peer, nowMs);
    const oldest = this.#accused.keys().next();
    if (this.#accused.size > ACCUSED_KEPT && !oldest.done) this.#accused.delete(oldest.value);
    return true;
  }

  forget(neighbour: PeerId): void {
    this.#pushed.delete(neighbour);
  }

  #isUntold(peer: PeerId, nowMs: number): boolean {
    return nowMs - (this.#accused.get(peer) ?? Number.NEGATIVE_INFINITY) >= ACCUSE_AGAIN_MS;
  }
}
