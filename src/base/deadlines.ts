interface Entry<Key> {
  readonly atMs: number;
  readonly key: Key;
}

const STALE_SLACK = 64;

/**
 * The next of many deadlines without looking at all of them: a heap that keeps outdated entries until they come up, or
 * until they outnumber the others. Setting and taking cost O(log n).
 */
export class Deadlines<Key> {
  readonly #atMs = new Map<Key, number>();
  #heap: Entry<Key>[] = [];

  /** Infinity: none. */
  set(key: Key, atMs: number): void {
    if (this.#atMs.get(key) === atMs) return;
    if (atMs === Number.POSITIVE_INFINITY) {
      this.#atMs.delete(key);
      return;
    }
    this.#atMs.set(key, atMs);
    if (this.#heap.length > 2 * this.#atMs.size + STALE_SLACK) this.#rebuild();
    else this.#push({ atMs, key });
  }

  delete(key: Key): void {
    this.#atMs.delete(key);
  }

  /** Infinity: nothing is due ever. */
  get nextMs(): number {
    return this.#first()?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Those due by now, earliest first; each has no deadline until it is set again. */
  takeDue(nowMs: number): Key[] {
    const due: Key[] = [];
    for (let first = this.#first(); first && first.atMs <= nowMs; first = this.#first()) {
      this.#pop();
      this.#atMs.delete(first.key);
      due.push(first.key);
    }
    return due;
  }

  #first(): Entry<Key> | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (!first || this.#atMs.get(first.key) === first.atMs) return first;
      this.#pop();
    }
  }

  #rebuild(): void {
    // A sorted array is a heap.
    this.#heap = [...this.#atMs]
      .map(([key, atMs]) => ({ atMs, key }))
      .sort((a, b) => a.atMs - b.atMs);
  }

  #push(entry: Entry<Key>): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || above.atMs <= entry.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if ((heap[child + 1]?.atMs ?? Infinity) < (heap[child]?.atMs ?? Infinity)) child += 1;
      const below = heap[child];
      if (!below || below.atMs >= last.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
