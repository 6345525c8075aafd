import { createHash } from 'node:crypto';

import { peerIdFromBytes } from '../../../src/model/peer-id.js';
import { RecordActions } from '../../../src/records/actions.js';
import type { RecordCrypto } from '../../../src/records/crypto-port.js';
import { MemoryRecordTable } from '../../../src/records/persistence.js';
import { RecordStore, type RecordStoreComponents } from '../../../src/records/store.js';

/** Signatures that anybody could make: the hash of key and bytes, twice. What is tested is who counts, not Ed25519. */
export function cryptoOf(publicKey: Uint8Array): RecordCrypto {
  const signature = (key: Uint8Array, signed: Uint8Array): Uint8Array =>
    new Uint8Array(createHash('sha512').update(key).update(signed).digest());
  const hash128 = (...parts: readonly Uint8Array[]): Uint8Array => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return new Uint8Array(hash.digest().subarray(0, 16));
  };
  return {
    sign: (signed) => signature(publicKey, signed),
    verify: (key, signed, given) => Buffer.compare(signature(key, signed), given) === 0,
    hash128,
    peerIdOf: (key) => peerIdFromBytes(hash128(key)),
  };
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const WALL_AT_ZERO_MS = Date.UTC(2026, 0, 1);

/** One node's store on a clock of its own, with a disk that survives `restart`. */
export class Member {
  readonly table: MemoryRecordTable;
  readonly publicKey: Uint8Array;
  readonly crypto: RecordCrypto;
  readonly out = new RecordActions();
  readonly store: RecordStore;
  nowMs: number;
  wallOffsetMs: number;

  constructor(
    options_: { readonly number: number; readonly nowMs?: number; readonly wallOffsetMs?: number },
    table = new MemoryRecordTable(),
    components: Partial<RecordStoreComponents> = {},
    options: { readonly maxOwners?: number } = {},
  ) {
    this.table = table;
    this.publicKey = new Uint8Array(32).fill(options_.number);
    this.publicKey[31] = options_.number >> 8;
    this.crypto = cryptoOf(this.publicKey);
    this.nowMs = options_.nowMs ?? 0;
    this.wallOffsetMs = options_.wallOffsetMs ?? 0;
    this.store = new RecordStore(
      {
        crypto: this.crypto,
        publicKey: this.publicKey,
        wallMs: () => WALL_AT_ZERO_MS + this.nowMs + this.wallOffsetMs,
        ...components,
      },
      { nowMs: this.nowMs, ...options },
    );
    this.store.restore(table.entries(), this.nowMs);
  }

  /** What the daemon does with a turn's actions. */
  flush(): RecordActions['list'] {
    const done = this.out.list.splice(0);
    for (const action of done) if (action.kind === 'persist') this.table.write(action.write);
    return done;
  }

  put(kind: number, key: string, body: string): ReturnType<RecordStore['put']> {
    const result = this.store.put(kind, bytes(key), bytes(body), this.nowMs, this.out);
    this.flush();
    return result;
  }

  delete(kind: number, key: string): ReturnType<RecordStore['delete']> {
    const result = this.store.delete(kind, bytes(key), this.nowMs, this.out);
    this.flush();
    return result;
  }

  /** Offers bytes as a neighbour would; the signature is checked. */
  offer(recordBytes: Uint8Array): string {
    const read = this.store.reader(new Uint8Array(recordBytes));
    if (!read.ok) return read.reason;
    const judged = this.store.judge(read.value, this.nowMs);
    if (judged !== 'new' && judged !== 'equivocation') return judged;
    if (!this.store.verify(read.value)) return 'bad signature';
    return this.store.merge(read.value, this.nowMs, this.out);
  }

  /** Every record that is here, as bytes. */
  allBytes(): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (const [key, value] of this.table.entries()) if (key.startsWith('r/')) all.push(value);
    return all;
  }

  /** Gives what was done about it. */
  learnFrom(other: Member): RecordActions['list'] {
    other.flush();
    for (const record of other.allBytes()) this.offer(record);
    return this.flush();
  }

  root(): string {
    return Buffer.from(this.store.digest.root()).toString('hex');
  }

  /** Lets time pass, a deadline at a time. */
  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    while (this.store.nextDeadlineMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.store.nextDeadlineMs);
      this.store.onDeadline(this.nowMs, this.out);
      this.flush();
    }
    this.nowMs = endMs;
  }
}

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf8'));
}
