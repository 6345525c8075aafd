import type { PeerId } from '../../src/model/peer-id.js';
import type { SignedRecord } from '../../src/records/signed-record.js';
import { RECORD_KIND } from '../../src/wire/record.js';
import type { RecordRoom, SayRecord } from '../../src/daemon/record-room.js';

const utf8 = new TextEncoder();

/** What a node says into the records when a simulation wants it to, and what it heard of others: each word a record. */
export class Words implements RecordRoom {
  /** A kind that nothing else in the daemon follows. */
  readonly kind = RECORD_KIND.KEY;
  readonly #heard = new Map<PeerId, Set<string>>();
  readonly #toSay = new Map<string, boolean>();
  #wake: () => void = () => undefined;

  onWork(wake: () => void): void {
    this.#wake = wake;
  }

  get nextDeadlineMs(): number {
    return this.#toSay.size > 0 ? 0 : Infinity;
  }

  say(word: string): void {
    this.#toSay.set(word, true);
    this.#wake();
  }

  unsay(word: string): void {
    this.#toSay.set(word, false);
    this.#wake();
  }

  hasHeard(owner: PeerId, word: string): boolean {
    return this.#heard.get(owner)?.has(word) === true;
  }

  onChange(change: {
    readonly owner: PeerId;
    readonly key: Uint8Array;
    readonly record: SignedRecord | undefined;
  }): void {
    const word = Buffer.from(change.key).toString();
    const words = this.#heard.get(change.owner) ?? new Set();
    if (change.record) words.add(word);
    else words.delete(word);
    this.#heard.set(change.owner, words);
  }

  onDeadline(_nowMs: number, say: SayRecord): void {
    for (const [word, isSaid] of this.#toSay) {
      say(this.kind, utf8.encode(word), isSaid ? utf8.encode(word) : undefined);
    }
    this.#toSay.clear();
  }
}
