/*
 * Work that is cheaper for many than for one, many times: those who ask in one moment are in one round, whoever asks while
 * it is under way is in the next one, and each is told what came of his own.
 *
 *   a ──[ a ]──┐
 *   b ─────────┴─[ b c ]─
 *   c ───────────┘
 */

interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Rounds<Item> {
  readonly #work: (items: readonly Item[]) => Promise<ReadonlyMap<Item, unknown>>;
  #waiting: Waiting<Item>[] = [];
  #isRunning = false;

  /** `work` gives the errors of those that failed; what it throws is everybody's. */
  constructor(work: (items: readonly Item[]) => Promise<ReadonlyMap<Item, unknown>>) {
    this.#work = work;
  }

  /** Resolves when the work is done for this one, rejects with its error. */
  add(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const round = this.#waiting;
      this.#waiting = [];
      try {
        const failures = await this.#work(round.map(({ item }) => item));
        for (const { item, resolve, reject } of round) {
          if (failures.has(item)) reject(failures.get(item));
          else resolve();
        }
      } catch (error) {
        for (const { reject } of round) reject(error);
      }
    }
    this.#isRunning = false;
  }
}
