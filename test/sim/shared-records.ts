import type { Result } from '../../src/base/result.js';
import type { RecordCrypto } from '../../src/records/crypto-port.js';
import {
  bodyOfRecord,
  byteString,
  recordReader,
  type RecordReader,
  type SignedRecord,
} from '../../src/records/signed-record.js';
import { decodePeerRecord } from '../../src/wire/peer-record.js';

type PeerBody = ReturnType<typeof decodePeerRecord>;

/**
 * What a simulation computes once for all its nodes: a record is read once and its signature verified once, by the real
 * code, and every further node is given the outcome. A thousand nodes with a thousand records each would otherwise
 * verify for minutes. What each node would have computed is counted.
 */
export class SharedRecords {
  readonly #read = new Map<string, Result<SignedRecord, 'layout'>>();
  readonly #verified = new Map<string, boolean>();
  readonly #hashes = new Map<string, Uint8Array>();
  readonly #peers = new WeakMap<SignedRecord, PeerBody>();
  /** Else each node computes and keeps all by itself: to measure memory. */
  isSharing = true;
  /** Asked for by the nodes. */
  verifications = 0;
  /** Asked for by the nodes: hashes of shelves, buckets and roots. */
  hashes = 0;

  /** Of one node. */
  of = (
    crypto: RecordCrypto,
  ): {
    readonly crypto: RecordCrypto;
    readonly reader: RecordReader;
    readonly decodePeer: (record: SignedRecord) => PeerBody;
  } => {
    const read = recordReader(crypto);
    return {
      decodePeer: (record) => {
        const before = this.isSharing ? this.#peers.get(record) : undefined;
        if (before) return before;
        const body = decodePeerRecord(bodyOfRecord(record));
        this.#peers.set(record, body);
        return body;
      },
      reader: (bytes) =>
        !this.isSharing
          ? read(bytes)
          : memo(this.#read, byteString(bytes), () => read(new Uint8Array(bytes))),
      crypto: {
        ...crypto,
        verify: (publicKey, signed, signature) => {
          this.verifications += 1;
          if (!this.isSharing) return crypto.verify(publicKey, signed, signature);
          const key = byteString(publicKey) + byteString(signature) + byteString(signed);
          return memo(this.#verified, key, () => crypto.verify(publicKey, signed, signature));
        },
        hash128: (...parts) => {
          this.hashes += 1;
          if (!this.isSharing) return crypto.hash128(...parts);
          return memo(this.#hashes, parts.map(byteString).join(''), () => crypto.hash128(...parts));
        },
      },
    };
  };
}

const KEPT = 200_000;

function memo<Value>(known: Map<string, Value>, key: string, compute: () => Value): Value {
  const before = known.get(key);
  if (before !== undefined) return before;
  if (known.size >= KEPT) known.clear();
  const value = compute();
  known.set(key, value);
  return value;
}
