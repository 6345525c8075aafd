import type { Scheduler } from '../../src/dataplane/fake-network.js';
import type { VirtualTime } from './virtual-time.js';

/**
 * The time of one machine, which can be suspended. Clocks go on meanwhile (CLOCK_BOOTTIME), timers do not: what was
 * left of each when the machine fell asleep is left when it wakes.
 */
export class MachineTime implements Scheduler {
  readonly #time: VirtualTime;
  /** What would have fired meanwhile, with what was left of it. */
  readonly #held = new Set<{ readonly leftMs: number; readonly fire: () => void }>();
  #asleepSinceMs: number | undefined;
  #sleptMs = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  nowMs(): number {
    return this.#time.nowMs();
  }

  at(delayMs: number, callback: () => void): () => void {
    let isCancelled = false;
    let cancel = (): void => undefined;
    const arm = (waitMs: number): void => {
      const dueMs = this.nowMs() + waitMs;
      const sleptMs = this.#sleptMs;
      cancel = this.#time.at(waitMs, () => {
        if (isCancelled) return;
        const missedMs = this.#sleptMs - sleptMs;
        if (this.#asleepSinceMs !== undefined) {
          const leftMs = Math.max(0, dueMs + missedMs - this.#asleepSinceMs);
          this.#held.add({ leftMs, fire: () => (isCancelled ? undefined : arm(leftMs)) });
        } else if (missedMs > 0) {
          arm(missedMs);
        } else {
          callback();
        }
      });
    };
    arm(Math.max(0, delayMs));
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  suspend(): void {
    this.#asleepSinceMs = this.nowMs();
  }

  resume(): void {
    if (this.#asleepSinceMs === undefined) return;
    this.#sleptMs += this.nowMs() - this.#asleepSinceMs;
    this.#asleepSinceMs = undefined;
    const held = [...this.#held].sort((one, other) => one.leftMs - other.leftMs);
    this.#held.clear();
    for (const { fire } of held) fire();
  }
}
