/*
 * Work in turns: what is about the same thing is done one after the other, in the order it was asked for; what is about
 * different things at once. What is about everything waits for all before it, and all after it wait.
 *
 *   a ───┐       ┌─ a
 *   b ─┐ ├─ all ─┤
 *   b  └─┘       └─ c ─
 */

interface Turn {
  /** Undefined: everything. */
  readonly about: string | undefined;
  readonly done: Promise<unknown>;
}

export class Turns {
  readonly #turns = new Set<Turn>();

  /** Settles as the work does. */
  take<T>(about: string | undefined, work: () => Promise<T>): Promise<T> {
    const before = [...this.#turns].filter(
      (turn) => turn.about === undefined || about === undefined || turn.about === about,
    );
    const result = Promise.all(before.map(({ done }) => done)).then(work);
    const done = result
      .catch(() => undefined)
      .then(() => {
        this.#turns.delete(turn);
      });
    const turn: Turn = { about, done };
    this.#turns.add(turn);
    return result;
  }
}
