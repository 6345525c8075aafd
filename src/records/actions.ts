import type { PeerId } from '../model/peer-id.js';
import type { SignedRecord } from './signed-record.js';

/** A statement that came, changed or went (tombstone, dead, owner hidden or removed). */
export interface RecordChange {
  /** Who signed. */
  readonly owner: PeerId;
  readonly kind: number;
  readonly key: Uint8Array;
  /** What counts now; undefined: nothing. */
  readonly record: SignedRecord | undefined;
}

/** Something an operator asks about; the daemon stamps it. */
export interface RecordEvent {
  readonly level: 'info' | 'warn';
  readonly code:
    | 'record-forged'
    | 'record-equivocation'
    | 'record-quota'
    | 'record-store-full'
    | 'peer-expired'
    | 'peer-returned'
    | 'peer-removal'
    | 'peer-removed'
    | 'self-removal';
  readonly message: string;
  readonly peer?: PeerId;
  readonly cure?: string;
}

/** One cell of the state store; no value: it goes. */
export interface RecordWrite {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What the daemon does, in this order. */
export type RecordAction =
  | {
      readonly kind: 'send';
      readonly peer: PeerId;
      /** CONTROL.RECORDS, DIGEST or PULL. */
      readonly type: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'changed'; readonly change: RecordChange }
  | { readonly kind: 'event'; readonly event: RecordEvent }
  | {
      readonly kind: 'persist';
      readonly write: RecordWrite;
      /** On disk before any later action is done. */
      readonly isUrgent: boolean;
    };

/** Collects what a turn wants done; machines are handed one and never keep it. */
export class RecordActions {
  readonly list: RecordAction[] = [];

  send(peer: PeerId, type: number, body: Uint8Array): void {
    this.list.push({ kind: 'send', peer, type, body });
  }

  changed(change: RecordChange): void {
    this.list.push({ kind: 'changed', change });
  }

  event(event: RecordEvent): void {
    this.list.push({ kind: 'event', event });
  }

  persist(key: string, value: Uint8Array | undefined, isUrgent = false): void {
    this.list.push({ kind: 'persist', write: { key, value }, isUrgent });
  }
}
