import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import type { Actions } from './actions.js';
import type { HandshakeAttempt } from './attempt.js';
import { INIT_GIVE_UP_MS } from './constants.js';
import type { DialTarget } from './dial-target.js';
import type { IndexPool } from './index-pool.js';

export interface DialAttempt {
  readonly attempt: HandshakeAttempt;
  readonly target: DialTarget;
}

/** Attempts under way, by the index of the session each is to become, and the endpoints that they ask. */
export class DialAttempts {
  readonly #indexes: IndexPool;
  readonly #byIndex = new Map<number, DialAttempt>();
  readonly #asked = new Map<string, number>();

  constructor(indexes: IndexPool) {
    this.#indexes = indexes;
  }

  add(attempt: HandshakeAttempt, target: DialTarget): void {
    const { localIndex } = attempt;
    target.attempts.push(attempt);
    this.#byIndex.set(localIndex, { attempt, target });
    for (const endpoint of attempt.endpoints) {
      this.#asked.set(formatPathAddress(endpoint), localIndex);
    }
  }

  get(localIndex: number): DialAttempt | undefined {
    return this.#byIndex.get(localIndex);
  }

  isAsking(endpoint: PathAddress): boolean {
    return this.#asked.has(formatPathAddress(endpoint));
  }

  get nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { attempt } of this.#byIndex.values()) next = Math.min(next, attempt.nextDeadlineMs);
    return next;
  }

  /** @returns those that expired now; they are under way no more. */
  onDeadline(nowMs: number, out: Actions): readonly DialAttempt[] {
    const expired: DialAttempt[] = [];
    for (const each of this.#byIndex.values()) {
      for (const item of each.attempt.onDeadline(nowMs)) out.send(item);
      if (each.attempt.state === 'expired') expired.push(each);
    }
    for (const each of expired) this.#forget(each, nowMs);
    return expired;
  }

  /** After attempts were abandoned, refused or confirmed. */
  sweep(): void {
    for (const each of this.#byIndex.values()) {
      if (each.attempt.isLive) continue;
      // Whenever it ended, it listened no longer than this: its index rests from then on.
      this.#forget(each, each.attempt.startedAtMs + INIT_GIVE_UP_MS);
    }
  }

  #forget({ attempt, target }: DialAttempt, endedMs: number): void {
    const { localIndex } = attempt;
    this.#byIndex.delete(localIndex);
    target.attempts = target.attempts.filter((other) => other !== attempt);
    for (const endpoint of attempt.endpoints) {
      const text = formatPathAddress(endpoint);
      if (this.#asked.get(text) === localIndex) this.#asked.delete(text);
    }
    // A confirmed one lives on as the index of its session.
    const isSession = attempt.state === 'confirmed' || attempt.isFinished;
    if (!isSession) this.#indexes.release(localIndex, endedMs);
  }
}
