import type { RecordChange } from '../records/actions.js';

/** States something under our key, or, without a body, takes it back. */
export type SayRecord = (kind: number, key: Uint8Array, body: Uint8Array | undefined) => void;

/**
 * Something that lives in the replicated records besides peers and links: it follows what others say of its kind, and
 * says its own. Called inside the loop only, but for what it is told itself from outside, after which it wakes the loop.
 */
export interface RecordRoom {
  readonly kind: number;
  /** Once, before anything else: how to get `onDeadline` called soon. */
  onWork(wake: () => void): void;
  /** Told of every record of its kind at the start, ours too, then of every change. */
  onChange(change: Pick<RecordChange, 'owner' | 'key' | 'record'>, isOwn: boolean): void;
  readonly nextDeadlineMs: number;
  onDeadline(nowMs: number, say: SayRecord): void;
}
