import type { PeerId } from '../model/peer-id.js';
import { MAX_RECORD_VERSION } from '../wire/record.js';
import { OWN_RESIGN_SPACING_MS, RESIGN_AFTER_MS, VERSION_RESERVE } from './constants.js';
import type { RecordCrypto } from './crypto-port.js';
import { bodyOfRecord, bytesOf, signRecord, type SignedRecord } from './signed-record.js';

/** What this node says now, under one slot. */
interface Statement {
  readonly body: Uint8Array;
  /** Monotonic; when its record was signed. */
  signedAtMs: number;
}

export interface OwnRecordsOptions {
  readonly publicKey: Uint8Array;
  /** Wall clock, ms: the source of versions. */
  readonly wallMs: () => number;
}

/**
 * This node's own statements and its version counter: max(last + 1, wall clock in ms), one for all its records,
 * reserved ahead on disk so that no version is used twice, whatever the clock or the power does.
 */
export class OwnRecords {
  readonly #crypto: RecordCrypto;
  readonly #options: OwnRecordsOptions;
  readonly id: PeerId;
  readonly #statements = new Map<string, Statement>();
  #last = 0;
  #reserved = 0;
  #resignNotBeforeMs = 0;

  constructor(crypto: RecordCrypto, options: OwnRecordsOptions) {
    this.#crypto = crypto;
    this.#options = options;
    this.id = crypto.peerIdOf(options.publicKey);
  }

  /** Versions up to here may have been used by an earlier run. */
  restore(reserved: number): void {
    this.#last = Math.max(this.#last, reserved);
    this.#reserved = this.#last;
  }

  /** A record of ours from the store or from others: the counter goes on above it. */
  raise(version: number): void {
    this.#last = Math.max(this.#last, version);
  }

  /** Takes a record of an earlier run as what we say. */
  adopt(record: SignedRecord, nowMs: number): void {
    const ageMs = Math.min(Math.max(this.#options.wallMs() - record.version, 0), RESIGN_AFTER_MS);
    this.#statements.set(record.slot, {
      body: bodyOfRecord(record),
      signedAtMs: nowMs - ageMs,
    });
  }

  says(slot: string): Uint8Array | undefined {
    return this.#statements.get(slot)?.body;
  }

  /** A shared statement is not ours to repeat. */
  forget(slot: string): void {
    this.#statements.delete(slot);
  }

  get slots(): Iterable<string> {
    return this.#statements.keys();
  }

  /** Signs a statement under the next version. Without a body: that there is none any more. */
  state(
    slot: string,
    body: Uint8Array | undefined,
    nowMs: number,
  ): { readonly record: SignedRecord; readonly reserve: number | undefined } {
    const { publicKey, wallMs } = this.#options;
    const version = Math.min(Math.max(this.#last + 1, Math.floor(wallMs())), MAX_RECORD_VERSION);
    this.#last = version;
    let reserve: number | undefined;
    if (version > this.#reserved) {
      this.#reserved = Math.min(version + VERSION_RESERVE, MAX_RECORD_VERSION);
      reserve = this.#reserved;
    }
    if (body) this.#statements.set(slot, { body, signedAtMs: nowMs });
    else this.#statements.delete(slot);
    const record = signRecord(
      {
        kind: slot.charCodeAt(0),
        key: bytesOf(slot.slice(1)),
        version,
        isTombstone: body === undefined,
        body: body ?? new Uint8Array(0),
        publicKey,
      },
      this.#crypto,
    );
    return { record, reserve };
  }

  /** The slot that is to be signed again now: one at a time, so that nobody's quota is hit. */
  due(nowMs: number): string | undefined {
    if (nowMs < this.#resignNotBeforeMs) return undefined;
    const slot = this.#oldest();
    if (slot === undefined || nowMs < this.#dueAtMs(slot)) return undefined;
    this.#resignNotBeforeMs = nowMs + OWN_RESIGN_SPACING_MS;
    return slot;
  }

  get nextDeadlineMs(): number {
    const slot = this.#oldest();
    return slot === undefined ? Infinity : Math.max(this.#dueAtMs(slot), this.#resignNotBeforeMs);
  }

  #dueAtMs(slot: string): number {
    return (this.#statements.get(slot)?.signedAtMs ?? Infinity) + RESIGN_AFTER_MS;
  }

  #oldest(): string | undefined {
    let oldest: string | undefined;
    let atMs = Infinity;
    for (const [slot, { signedAtMs }] of this.#statements) {
      if (signedAtMs < atMs) [oldest, atMs] = [slot, signedAtMs];
    }
    return oldest;
  }
}
