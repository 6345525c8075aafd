import type { PeerId } from '../model/peer-id.js';
import { toHex, utf8Bytes } from '../base/bytes.js';
import type { SignedRecord } from './signed-record.js';
import { bytesOf } from './signed-record.js';
import type { RecordWrite } from './actions.js';

/*
 * What the records keep on disk, as cells of bytes:
 *
 *   r/<shelf>/<slot in hex>[/2]   a record as received; /2 its twin
 *   n/<...>                       numbers as decimal text:
 *     n/version                   own versions up to here may have been used
 *     n/counted                   the lease clock, ms
 *     n/heard/<peer>              where that clock stood when the peer was last heard
 *     n/since/<peer>              wall ms of the first record of the peer
 *     n/removed/<peer>            1: the removal is in force
 */

/** Where records are kept. The daemon's is a table of lmdb. */
export interface RecordTable {
  entries(): Iterable<readonly [string, Uint8Array]>;
  /** `isUrgent`: on disk when this returns. */
  write(write: RecordWrite, isUrgent: boolean): void;
}

/** For tests and simulations: survives a restart of the node, not of the process. */
export class MemoryRecordTable implements RecordTable {
  readonly #cells = new Map<string, Uint8Array>();

  entries(): Iterable<readonly [string, Uint8Array]> {
    return [...this.#cells];
  }

  write({ key, value }: RecordWrite): void {
    if (value) this.#cells.set(key, value);
    else this.#cells.delete(key);
  }
}

export function recordCell(shelf: PeerId, record: SignedRecord, isTwin: boolean): string {
  return `r/${shelf}/${toHex(bytesOf(record.slot))}${isTwin ? '/2' : ''}`;
}

export function numberValue(value: number): Uint8Array {
  return utf8Bytes(String(Math.floor(value)));
}

/** Undefined for what is no such number: a damaged cell is forgotten. */
export function numberFrom(value: Uint8Array): number | undefined {
  const text = Buffer.from(value).toString('latin1');
  const number = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(number) ? number : undefined;
}
