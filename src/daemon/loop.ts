import type { Clock } from '../base/clock.js';
import type { Timers } from './ports.js';

/** Longest sleep: timers are 31 bits wide, and a clock that jumped is noticed within this. */
const LONGEST_WAIT_MS = 60_000;
/** After a turn, input waits this many times as long as the turn took, but not longer than … */
const REST_FACTOR = 4;
const LONGEST_REST_MS = 200;

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
 *
 * A turn has fixed costs, and datagrams come one by one. So a turn that took long, since there is much to do or the
 * machine is short of time, is followed by a rest in which input gathers, and what becomes due: one turn for all of it.
 * On a machine with time to spare a turn takes a millisecond, and nobody notices the rest.
 */
export class Loop<Input> {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #handlers: LoopHandlers<Input>;
  #inbox: Input[] = [];
  #isTurning = false;
  #isStopped = true;
  #cancelTimer: (() => void) | undefined;
  /** Armed while input waits for the end of the rest. */
  #cancelRest: (() => void) | undefined;
  #restUntilMs = Number.NEGATIVE_INFINITY;

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
    if (this.#isTurning || this.#cancelRest) return;
    const restMs = this.#restUntilMs - this.#clock.monotonicMs();
    if (restMs <= 0) this.#run();
    else this.#cancelRest = this.#timers.set(Math.ceil(restMs), () => this.#run());
  }

  /** What somebody waits for: without the rest. */
  postNow(input: Input): void {
    if (this.#isStopped) return;
    this.#inbox.push(input);
    this.#run();
  }

  #run(): void {
    if (this.#isTurning || this.#isStopped) return;
    this.#isTurning = true;
    this.#disarm();
    const startMs = this.#clock.monotonicMs();
    try {
      do {
        const inputs = this.#inbox;
        this.#inbox = [];
        this.#handlers.turn(inputs, this.#clock.monotonicMs());
      } while (this.#inbox.length > 0);
      const endMs = this.#clock.monotonicMs();
      this.#restUntilMs = endMs + Math.min(LONGEST_REST_MS, REST_FACTOR * (endMs - startMs));
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
    const nowMs = this.#clock.monotonicMs();
    // Work that was left over goes on; what becomes due during the rest can wait for its end.
    const isLeftOver = deadlineMs <= nowMs;
    const waitMs = isLeftOver ? 0 : Math.ceil(Math.max(deadlineMs, this.#restUntilMs) - nowMs);
    this.#cancelTimer = this.#timers.set(Math.min(LONGEST_WAIT_MS, Math.max(0, waitMs)), () => {
      this.#cancelTimer = undefined;
      this.#run();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#cancelRest?.();
    this.#cancelRest = undefined;
  }
}
