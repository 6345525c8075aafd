import type { RecordChange } from './actions.js';
import { keyOfRecord, type SignedRecord } from './signed-record.js';

const CHANGES_KEPT = 1024;

/** The last changes, numbered, for those who follow what counts. */
export class ChangeLog {
  readonly #changes: RecordChange[] = [];
  #seq = 0;

  /** Of the last change. */
  get seq(): number {
    return this.#seq;
  }

  /** Those after `seq`; undefined when some of them are forgotten: look at everything again. */
  after(seq: number): readonly RecordChange[] | undefined {
    const first = this.#changes[0]?.seq ?? this.#seq + 1;
    if (seq + 1 < first) return undefined;
    return this.#changes.slice(seq + 1 - first);
  }

  /** `record`: what counts now under the key of `about`. */
  add(about: SignedRecord, record: SignedRecord | undefined): RecordChange {
    this.#seq += 1;
    const { owner, kind } = about;
    const change = { seq: this.#seq, owner, kind, key: keyOfRecord(about), record };
    this.#changes.push(change);
    if (this.#changes.length > CHANGES_KEPT) this.#changes.splice(0, CHANGES_KEPT / 4);
    return change;
  }
}
