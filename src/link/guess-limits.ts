import { TokenBucket, TokenBuckets } from '../base/token-bucket.js';
import {
  GUESS_BURST_PER_ADDRESS,
  GUESS_BURST_PER_NODE,
  GUESS_REFILL_PER_ADDRESS,
  GUESS_REFILL_PER_NODE,
} from './constants.js';

const ADDRESSES_MAX = 4096;

/**
 * Whoever answers our INIT may try a password on us: so many wrong answers are afforded, of one address and of all
 * (docs/protocol.md §2). Addresses are texts.
 */
export class GuessLimits {
  readonly #ofNode = new TokenBucket(GUESS_BURST_PER_NODE, GUESS_REFILL_PER_NODE);
  readonly #ofAddress = new TokenBuckets(
    () => new TokenBucket(GUESS_BURST_PER_ADDRESS, GUESS_REFILL_PER_ADDRESS),
    ADDRESSES_MAX,
  );

  /** Whether another wrong answer from there can be afforded. */
  mayAsk(address: string, nowMs: number): boolean {
    return this.#ofAddress.has(address, nowMs) && this.#ofNode.has(nowMs);
  }

  /** Milliseconds until one of them may be asked. */
  waitMs(addresses: readonly string[], nowMs: number): number {
    const waits = addresses.map((address) => this.#ofAddress.waitMs(address, nowMs));
    return Math.max(this.#ofNode.waitMs(nowMs), Math.min(...waits));
  }

  onWrongAnswer(from: string, nowMs: number): void {
    this.#ofAddress.take(from, nowMs);
    this.#ofNode.take(nowMs);
  }
}
