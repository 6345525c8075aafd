import { findTool, mustRun, runTool } from './run.js';

/*
 * One nftables table of ours, kept as it shall be. A change is one transaction of one `nft` process; changes that come
 * while one runs become one.
 */

export interface TableRules<State> {
  /** Family and name. */
  readonly address: readonly [string, string];
  isEmpty(state: State): boolean;
  /** Rules that remove the table, also when there is none. */
  none(): string;
  /** Rules that put the whole table in place of what is there. */
  whole(state: State): string;
  /** Rules that lead from one state to another; undefined: nothing changed. */
  change(before: State, after: State): string | undefined;
  /** How many rules the table has while all of it is there. */
  ruleCount(state: State): number;
}

/** Packets by name of the table's counters. */
export type Counted = ReadonlyMap<string, number>;

export class FirewallTable<State> {
  readonly #rules: TableRules<State>;
  /** What the kernel has, as far as we know; undefined: not known. */
  #applied: State | undefined;
  #wanted: State | undefined;
  #run: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(rules: TableRules<State>) {
    this.#rules = rules;
  }

  /** Resolves when this state, or a later one, is in force. @throws OVL_IFACE_CONFIG, without nftables too */
  set(state: State): Promise<void> {
    this.#wanted = state;
    if (this.#next !== undefined) return this.#next;
    const next = this.#run
      .catch(() => undefined)
      .then(() => {
        this.#run = next;
        this.#next = undefined;
        return this.#apply();
      });
    this.#next = next;
    return next;
  }

  /**
   * Puts it back when somebody flushed or deleted it.
   * @returns what was counted, or undefined when it had to be put back. @throws OVL_IFACE_CONFIG
   */
  async check(): Promise<Counted | undefined> {
    const state = this.#applied;
    if (this.#wanted === undefined || this.#isWaiting()) return new Map();
    if (state !== undefined) {
      if (this.#rules.isEmpty(state)) return new Map();
      const listed = await runTool('nft', ['-j', 'list', 'table', ...this.#rules.address]);
      const { ruleCount, counted } = readListing(listed.exitCode === 0 ? listed.stdout : '');
      // Changed meanwhile by ourselves: what was listed proves nothing.
      const isOurs = this.#applied !== state || this.#isWaiting();
      if (isOurs || ruleCount === this.#rules.ruleCount(state)) return counted;
      this.#applied = undefined;
    }
    await this.set(this.#wanted);
    return undefined;
  }

  #isWaiting(): boolean {
    return this.#next !== undefined;
  }

  async #apply(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const before = this.#applied;
    if (this.#rules.isEmpty(wanted)) {
      // What is not there need not be removed, and a host without nftables has nothing to remove.
      const isClean = before !== undefined && this.#rules.isEmpty(before);
      if (!isClean && findTool('nft') !== undefined) await nft(this.#rules.none());
    } else if (before === undefined || this.#rules.isEmpty(before)) {
      await nft(this.#rules.whole(wanted));
    } else {
      const change = this.#rules.change(before, wanted);
      this.#applied = undefined;
      // Refused when what it builds on was flushed: then all of it at once.
      if (change !== undefined) await nft(change).catch(() => nft(this.#rules.whole(wanted)));
    }
    this.#applied = wanted;
  }
}

async function nft(rules: string): Promise<void> {
  await mustRun('nft', ['-f', '-'], { stdin: rules });
}

/** Of `nft -j`; whatever cannot be read has no rules. */
function readListing(text: string): { readonly ruleCount: number; readonly counted: Counted } {
  const counted = new Map<string, number>();
  let ruleCount = 0;
  let items: unknown;
  try {
    items = (JSON.parse(text) as { nftables?: unknown }).nftables;
  } catch {
    return { ruleCount, counted };
  }
  for (const item of Array.isArray(items) ? (items as readonly unknown[]) : []) {
    if (typeof item !== 'object' || item === null) continue;
    if ('rule' in item) ruleCount += 1;
    if (!('counter' in item)) continue;
    const { name, packets } = item.counter as { name?: unknown; packets?: unknown };
    if (typeof name === 'string' && typeof packets === 'number') counted.set(name, packets);
  }
  return { ruleCount, counted };
}

/**
 * Rules of a small table, in the family inet unless another is named, which is written anew whenever anything in it changes.
 * `chains`: name and definition; `rulesOf`: each with its chain in front.
 */
export function rebuiltTable<Item>(
  table: string,
  parts: {
    readonly family?: 'inet' | 'bridge';
    readonly comment: string;
    readonly chains: readonly string[];
    readonly rulesOf: (items: readonly Item[]) => readonly string[];
  },
): TableRules<readonly Item[]> {
  const { family = 'inet', comment, chains, rulesOf } = parts;
  const name = `${family} ${table}`;
  const clear = [`add table ${name}`, `delete table ${name}`];
  return {
    address: [family, table],
    isEmpty: (items) => items.length === 0,
    none: () => `${clear.join('\n')}\n`,
    whole: (items) =>
      `${[
        ...clear,
        `add table ${name} { comment "${comment}; made again when changed"; }`,
        ...chains.map((chain) => `add chain ${name} ${chain}`),
        ...rulesOf(items).map((rule) => `add rule ${name} ${rule}`),
      ].join('\n')}\n`,
    change(before, after) {
      return JSON.stringify(before) === JSON.stringify(after) ? undefined : this.whole(after);
    },
    ruleCount: (items) => rulesOf(items).length,
  };
}
