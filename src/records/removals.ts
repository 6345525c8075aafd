import { TokenBucket, TokenBuckets } from '../base/token-bucket.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import {
  REMOVAL_SIGNER_KNOWN_MS,
  REMOVAL_SILENCE_MS,
  REMOVAL_SIGNERS_FOR_LIVE,
  REMOVAL_SIGNERS_KEPT,
  REMOVALS_BURST_WHEN_NEW,
  REMOVALS_PER_MINUTE,
} from './constants.js';
import { bytesOf, type SignedRecord } from './signed-record.js';

/*
 * removed(X), docs/protocol.md §5. A statement is keyed by X and its signer (16 bytes each), kept for ever, by all.
 *
 *   signed by X itself, or by an admin key          in force at once
 *   X gives no sign of life for 60 s                in force: at once where it was signed, elsewhere 60 s after
 *                                                   it came, so that a live X without a session here can contest
 *   X lives: it answers with a contest record, and  in force when two signers whom this node has known
 *   is then judged by the last rule everywhere      for over an hour say so
 *
 * The contest record makes newcomers, who never heard X, judge like everybody: or one hostile member could have a
 * whole mesh removed in the eyes of each node that joins later. A session with X after the statement came contests it
 * too; records of X do not, since who joins later gets the history of the dead in any order.
 */

export const CONTEST_HASH_BYTES = 16;
const MAX_CONTESTED = 32;
const MAX_SIGNERS = 4096;

interface Statement {
  readonly record: SignedRecord;
  readonly receivedMs: number;
}

interface SignerBucket {
  tokens: number;
  atMs: number;
}

/** Whose statement has which place. */
export interface PlaceRules {
  /** For over an hour. */
  readonly isKnown: (signer: PeerId) => boolean;
  /** This node's operator, an admin key: always kept. */
  readonly isExempt: (signer: PeerId) => boolean;
}

/** What a judgement needs to know of others. */
export interface RemovalView {
  readonly nowMs: number;
  isSilent(peer: PeerId): boolean;
  /** This node's own operator said so. */
  isOwn(signer: PeerId): boolean;
  /** When this node last had a session with the peer. */
  lastMetMs(peer: PeerId): number | undefined;
  /** How long this node has had records of the peer, wall clock. */
  knownForMs(peer: PeerId): number;
  isAdmin(peer: PeerId): boolean;
  /** Hashes of the statements the peer contests, joined. */
  contestOf(peer: PeerId): Uint8Array | undefined;
}

export class Removals {
  readonly #statements = new Map<PeerId, Statement[]>();
  readonly #inForce = new Set<PeerId>();
  readonly #signers = new Map<PeerId, SignerBucket>();
  /** Statements said again, by signer: no part of a mesh's history. */
  readonly #repeats = new TokenBuckets(
    () => new TokenBucket(REMOVALS_PER_MINUTE, REMOVALS_PER_MINUTE / 60),
    MAX_SIGNERS,
  );
  readonly #silenceMs: number;
  #learnsUntilMs = -Infinity;

  /** @param silenceMs How long a peer has to be silent, and has to contest. */
  constructor(silenceMs: number = REMOVAL_SILENCE_MS) {
    this.#silenceMs = silenceMs;
  }

  /** The store was empty at start: until then it may learn a mesh's history. */
  beginEmpty(untilMs: number): void {
    this.#learnsUntilMs = untilMs;
  }

  restore(peer: PeerId): void {
    this.#inForce.add(peer);
  }

  isInForce(peer: PeerId): boolean {
    return this.#inForce.has(peer);
  }

  get inForce(): ReadonlySet<PeerId> {
    return this.#inForce;
  }

  /** Peers whose removal somebody wants and that is not in force. */
  get pending(): PeerId[] {
    return [...this.#statements.keys()].filter((peer) => !this.#inForce.has(peer));
  }

  /** Whether the signer may say so now; changes nothing. */
  mayAdd(record: SignedRecord, nowMs: number, rules: PlaceRules): boolean {
    const target = removedPeer(record);
    if (!target || record.isTombstone) return false;
    const before = this.#statements.get(target) ?? [];
    const isNewSigner = before.every((other) => other.record.owner !== record.owner);
    if (isNewSigner && this.#isOutranked(record.owner, target, rules)) return false;
    if (!isNewSigner && !this.#repeats.has(record.owner, nowMs)) return false;
    return this.#bucket(record.owner, nowMs).tokens >= 1;
  }

  /** Takes the statements about `peer` away that have no place any more. */
  takeOutranked(peer: PeerId, rules: PlaceRules): readonly SignedRecord[] {
    const statements = this.#statements.get(peer) ?? [];
    const gone = statements.filter(({ record }) => this.#isOutranked(record.owner, peer, rules));
    if (gone.length === 0) return [];
    const kept = statements.filter((statement) => !gone.includes(statement));
    this.#statements.set(peer, kept);
    return gone.map(({ record }) => record);
  }

  /**
   * Of each class, signers known for long and the others, the eight nearest to X have a place, by the distance of their
   * ids (XOR): which these are does not depend on what came first, or no two nodes would have the same ones, and digests
   * would differ for ever. Ids can be made to be near. So who has been here for long is not measured against who has
   * not; and identities that have waited for their hour crowd nobody out, since two of them are a removal.
   */
  #isOutranked(signer: PeerId, target: PeerId, { isKnown, isExempt }: PlaceRules): boolean {
    if (signer === target || isExempt(signer)) return false;
    const [own, isKnownSigner] = [distance(signer, target), isKnown(signer)];
    let nearer = 0;
    for (const { record } of this.#statements.get(target) ?? []) {
      const { owner } = record;
      if (owner === signer || owner === target || isExempt(owner)) continue;
      if (isKnown(owner) === isKnownSigner && distance(owner, target) < own) nearer += 1;
    }
    return nearer >= REMOVAL_SIGNERS_KEPT;
  }

  /** Its signer has said so before. */
  isRepetition(record: SignedRecord): boolean {
    const target = removedPeer(record);
    const said = (target && this.#statements.get(target)) ?? [];
    return said.some((other) => other.record.owner === record.owner);
  }

  /** `isFree`: ours or restored. */
  add(record: SignedRecord, nowMs: number, isFree: boolean): void {
    const target = removedPeer(record);
    if (!target) return;
    const others = (this.#statements.get(target) ?? []).filter(
      (other) => other.record.owner !== record.owner,
    );
    const isRepetition = others.length < (this.#statements.get(target)?.length ?? 0);
    this.#statements.set(target, [...others, { record, receivedMs: nowMs }]);
    if (isRepetition && !isFree) this.#repeats.take(record.owner, nowMs);
    if (!isFree) this.#bucket(record.owner, nowMs).tokens -= 1;
  }

  /** Whether the removal of `peer` takes effect now. True once. */
  judge(peer: PeerId, view: RemovalView): boolean {
    if (this.#inForce.has(peer)) return false;
    const statements = this.#statements.get(peer) ?? [];
    const contested = contestedHashes(view.contestOf(peer));
    const known = statements.filter(
      ({ record }) =>
        !this.#inForce.has(record.owner) &&
        view.knownForMs(record.owner) >= REMOVAL_SIGNER_KNOWN_MS,
    );
    const isInForce =
      known.length >= REMOVAL_SIGNERS_FOR_LIVE ||
      statements.some(({ record, receivedMs }) => {
        if (record.owner === peer || view.isAdmin(record.owner)) return true;
        const isAlive =
          contested.has(record.hash) || (view.lastMetMs(peer) ?? -Infinity) > receivedMs;
        const hadTime = view.isOwn(record.owner) || view.nowMs - receivedMs >= this.#silenceMs;
        return !isAlive && hadTime && view.isSilent(peer);
      });
    if (isInForce) this.#inForce.add(peer);
    return isInForce;
  }

  /** What was said about `peer`, by whomever. */
  statementsAbout(peer: PeerId): readonly SignedRecord[] {
    return (this.#statements.get(peer) ?? []).map(({ record }) => record);
  }

  /** A statement of the signer that nothing speaks against: to say it again would only make it younger. */
  standing(peer: PeerId, signer: PeerId, view: RemovalView): SignedRecord | undefined {
    const said = this.#statements.get(peer)?.find(({ record }) => record.owner === signer);
    if (!said || contestedHashes(view.contestOf(peer)).has(said.record.hash)) return undefined;
    const isMet = (view.lastMetMs(peer) ?? -Infinity) > said.receivedMs;
    return isMet ? undefined : said.record;
  }

  /** The contest body of `self`: every statement of others about it. Undefined: nothing to contest. */
  contestBody(self: PeerId): Uint8Array | undefined {
    const hashes = (this.#statements.get(self) ?? [])
      .filter(({ record }) => record.owner !== self)
      .map(({ record }) => record.hash)
      .sort()
      .slice(0, MAX_CONTESTED);
    return hashes.length === 0 ? undefined : bytesOf(hashes.join(''));
  }

  #bucket(signer: PeerId, nowMs: number): SignerBucket {
    let bucket = this.#signers.get(signer);
    if (!bucket) {
      const oldest = this.#signers.keys().next();
      if (this.#signers.size >= MAX_SIGNERS && !oldest.done) this.#signers.delete(oldest.value);
      bucket = { tokens: this.#capacity(nowMs), atMs: nowMs };
      this.#signers.set(signer, bucket);
    }
    const gained = (Math.max(0, nowMs - bucket.atMs) / 60_000) * REMOVALS_PER_MINUTE;
    bucket.tokens = Math.min(this.#capacity(nowMs), bucket.tokens + gained);
    bucket.atMs = nowMs;
    return bucket;
  }

  #capacity(nowMs: number): number {
    return nowMs < this.#learnsUntilMs ? REMOVALS_BURST_WHEN_NEW : REMOVALS_PER_MINUTE;
  }
}

/** Whom a statement removes; undefined when its key is not X and its signer. */
export function removedPeer(record: SignedRecord): PeerId | undefined {
  const key = bytesOf(record.slot.slice(1));
  if (key.length !== 32 || peerIdFromBytes(key.subarray(16)) !== record.owner) return undefined;
  return peerIdFromBytes(key.subarray(0, 16));
}

/** Hex digits, to be compared as text. */
function distance(a: PeerId, b: PeerId): string {
  const other = peerIdBytes(b);
  return Buffer.from(peerIdBytes(a).map((byte, at) => byte ^ (other[at] ?? 0))).toString('hex');
}

function contestedHashes(body: Uint8Array | undefined): Set<string> {
  const hashes = new Set<string>();
  const text = body ? Buffer.from(body).toString('latin1') : '';
  for (let at = 0; at + CONTEST_HASH_BYTES <= text.length; at += CONTEST_HASH_BYTES) {
    hashes.add(text.slice(at, at + CONTEST_HASH_BYTES));
  }
  return hashes;
}
