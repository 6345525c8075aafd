import type { Clock } from '../base/clock.js';
import type { Timers } from './ports.js';

/** Longest sleep: timers are 31 bits wide, and a clock that jumped is noticed within this. */
const LONGEST_WAIT_MS = 60_000;

export interface LoopHandlers<Input> {
  /** One turn: what came in since the last one, and everything that is due. */
  turn(inputs: readonly Input[], nowMs: number): void;
  /** When the next turn is due without input; Infinity: never. */
  nextDeadlineMs(): number;
  /** A turn threw: our bug. The loop has stopped. */
  onFailure(error: unknown): void;
}

/**
 * The one inbox and the one timer of the daemon. Inputs that arrive during a turn wait for the next one, which follows
 * at once, so machines never see a half-done state.
 */
export class Loop<Input> {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #handlers: LoopHandlers<Input>;
  #inbox: Input[] = [];
  #isTurning = false;
  #isStopped = true;
  #cancelTimer: (() => void) | undefined;

  constructor(
    components: { readonly clock: Clock; readonly timers: Timers },
    handlers: LoopHandlers<Input>,
  ) {
    this.#clock = components.clock;
    this.#timers = components.timers;
    this.#handlers = handlers;
  }

  start(): void {
    this.#isStopped = false;
    this.#run();
  }

  /** No turn begins after this; the timer is gone. */
  stop(): void {
    this.#isStopped = true;
    this.#inbox = [];
    this.#disarm();
  }

  post(input: Input): void {
    if (this.#isStopped) return;
    this.#inbox.push(input);
    this.#run();
  }

  #run(): void {
    if (this.#isTurning || this.#isStopped) return;
    this.#isTurning = true;
    this.#disarm();
    try {
      do {
        const inputs = this.#inbox;
        this.#inbox = [];
        this.#handlers.turn(inputs, this.#clock.monotonicMs());
      } while (this.#inbox.length > 0);
      this.#arm();
    } catch (error) {
      this.stop();
      this.#handlers.onFailure(error);
    } finally {
      this.#isTurning = false;
    }
  }

  #arm(): void {
    // A turn may have stopped the loop; the checker cannot see that.
    const isStopped: boolean = this.#isStopped;
    const deadlineMs = this.#handlers.nextDeadlineMs();
    if (isStopped || deadlineMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.ceil(deadlineMs - this.#clock.monotonicMs());
    this.#cancelTimer = this.#timers.set(Math.min(LONGEST_WAIT_MS, Math.max(0, waitMs)), () => {
      this.#cancelTimer = undefined;
      this.#run();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
