import type { EventDocument, WarningDocument } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import type { DataPlane, TableEntry } from '../dataplane/dataplane.js';

/*
 * A batch of table entries is all or nothing, and what others say ends up in some of them. One that the data plane
 * refuses is a fault of ours, and must not end a daemon that carries traffic: it is left out, the rest goes again, and
 * the operator reads which one and why. What names it goes the same way in its turn: a path of a session that could not
 * be installed is refused as well, and the link behind it ends by its own time-outs.
 *
 * Each refusal costs a batch, so after some in one turn all of the same kind are left out with the next: kinds are few,
 * so that ends. A failure that names no entry means that nobody knows what is in the tables, and goes up.
 */

/** Entries of one turn that are left out one by one. */
const SINGLY = 16;
/** Refusals come by the second, from whoever found out how: one event says them all. */
const SAY_EVERY_MS = 60_000;
const CURE =
  'This is a fault of overlayd: please report it with `overlayctl report`. A restart writes all entries anew.';

export interface TableWriterComponents {
  readonly dataplane: Pick<DataPlane, 'apply'>;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
}

/** Writes the tables, without the entries that are refused. */
export class TableWriter {
  readonly #components: TableWriterComponents;
  #refused = 0;
  #said = 0;
  #sayAgainMs = -Infinity;
  #last = '';

  constructor(components: TableWriterComponents) {
    this.#components = components;
  }

  /** @throws what the data plane throws, where that names none of these entries. */
  write(entries: readonly TableEntry[], nowMs: number): void {
    let rest = entries;
    for (let refusals = 1; rest.length > 0; refusals += 1) {
      try {
        this.#components.dataplane.apply(rest);
        break;
      } catch (error) {
        const position = positionOf(error);
        const refused = rest[position];
        if (!refused || !(error instanceof OverlayError)) throw error;
        const isGone = (entry: TableEntry, index: number): boolean =>
          index === position || (refusals > SINGLY && entry.kind === refused.kind);
        const left = rest.filter((entry, index) => !isGone(entry, index));
        this.#refused += rest.length - left.length;
        this.#last = `${subjectOf(refused)}: ${error.message}`;
        rest = left;
      }
    }
    if (this.#refused > this.#said && nowMs >= this.#sayAgainMs) this.#say(nowMs);
  }

  /** For `status`, until the daemon starts anew: what was left out stays missing. */
  get warnings(): readonly WarningDocument[] {
    if (this.#refused === 0) return [];
    const message = `${this.#refused} entries of the data plane's tables were refused and left out; the last: ${this.#last}`;
    return [{ code: 'tables-refused', message, cure: CURE }];
  }

  #say(nowMs: number): void {
    const more = this.#refused - this.#said - 1;
    this.#said = this.#refused;
    this.#sayAgainMs = nowMs + SAY_EVERY_MS;
    this.#components.emit({
      level: 'error',
      code: 'dataplane-refused',
      message: `The data plane refused ${this.#last}; it was left out${more > 0 ? `, like ${more} others` : ''}`,
      cure: CURE,
    });
  }
}

function positionOf(error: unknown): number {
  if (!(error instanceof OverlayError) || error.code !== 'OVL_BATCH_REFUSED') return -1;
  const { index } = error.fields;
  return typeof index === 'number' ? index : -1;
}

/** What an entry is about, without keys and lists. */
function subjectOf(entry: TableEntry): string {
  const about = Object.entries(entry).flatMap(([name, value]) =>
    name !== 'kind' && (typeof value === 'number' || typeof value === 'string')
      ? [`${name} ${value}`]
      : [],
  );
  return [entry.kind, ...about].join(' ');
}
