/*
 * Those who wait for the disk share one transaction, for what it costs is the wait for the disk, whatever is in it:
 *
 *   add ─┐
 *   add ─┼── the end of this turn of the event loop ── one commit ── each is told
 *   add ─┘
 *
 * While a commit holds the process up, whoever comes next gathers for the next one.
 */

interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit<Item> {
  readonly #commit: (items: readonly Item[]) => void;
  #waiting: Waiting<Item>[] = [];

  /** `commit`: all or nothing, on disk when it returns; it throws when it cannot be. */
  constructor(commit: (items: readonly Item[]) => void) {
    this.#commit = commit;
  }

  /** Resolves when the item is on disk. Rejects with what `commit` threw. */
  add(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.flush());
    });
  }

  /** Commits what waits, now. */
  flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0 || this.#settle(group)) return;
    // One of them may be the reason: it alone shall fail.
    for (const single of group) this.#settle([single]);
  }

  /** False: it failed and nobody was told, for there are others in the group. */
  #settle(group: readonly Waiting<Item>[]): boolean {
    try {
      this.#commit(group.map(({ item }) => item));
    } catch (error) {
      if (group.length > 1) return false;
      for (const { reject } of group) reject(error);
      return true;
    }
    for (const { resolve } of group) resolve();
    return true;
  }
}
