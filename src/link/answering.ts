import { TokenBucket } from '../base/token-bucket.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { receiverIndexOf } from '../wire/handshake.js';
import type { Actions } from './actions.js';
import type { HandshakeDone, LinkCrypto } from './crypto-port.js';
import { HalfOpenTable, UnfinishedCounter, type HalfOpen } from './half-open.js';
import type { IndexPool } from './index-pool.js';

/*
 * Handshakes that others begin (docs/protocol.md §2), from the side that answers:
 *
 *   INIT ─┬─ seen before ──► the same RESP again
 *         └─ new, and room ► half open, RESP ─┬─ FIN, good ──► finished; the same FIN again: a keepalive
 *                                             ├─ FIN, bad ───► nothing changes
 *                                             └─ 5 s ────────► forgotten; often from one source: a wrong password?
 *
 * Any stranger can send these, as fast as the gate lets it. What it makes us keep is bounded by the table, what it makes
 * us send by what it sent, and what it makes us say by a rate, so that it pushes out nothing that matters.
 */

const NOTES_BURST = 5;
const NOTES_PER_SECOND = 1 / 60;

export interface AnsweringComponents {
  readonly crypto: Pick<LinkCrypto, 'respond'>;
  /** Of sessions: one is taken for each half-open handshake, and goes over to the session of a finished one. */
  readonly indexes: Pick<IndexPool, 'take' | 'release'>;
}

/** Its session goes in, if there is room; then `confirm`, else `refuse`. */
export interface Answered {
  readonly done: HandshakeDone;
  /** When its INIT first came. */
  readonly initAtMs: number;
}

export class Answering {
  readonly #components: AnsweringComponents;
  readonly #halfOpen = new HalfOpenTable();
  readonly #unfinished = new UnfinishedCounter();
  readonly #notes = new TokenBucket(NOTES_BURST, NOTES_PER_SECOND);

  constructor(components: AnsweringComponents) {
    this.#components = components;
  }

  /** Handshakes in memory: begun and not finished, or finished less than 5 s ago. */
  get size(): number {
    return this.#halfOpen.size;
  }

  get nextDeadlineMs(): number {
    return this.#halfOpen.nextDeadlineMs;
  }

  /** `isResumed`: it proved at the gate that it is a peer met before. */
  onInit(
    from: PathAddress,
    bytes: Uint8Array,
    isResumed: boolean,
    nowMs: number,
    out: Actions,
  ): void {
    const known = this.#halfOpen.find(bytes);
    if (known) {
      if (!known.fin) out.datagram(from, known.handshake.resp);
      return;
    }
    const { crypto, indexes } = this.#components;
    const room = this.#halfOpen.makeRoom(isResumed);
    if (room === 'full') return;
    if (room !== 'room') indexes.release(room.localIndex, nowMs);
    const localIndex = indexes.take(nowMs);
    const answer = crypto.respond(bytes, localIndex, from);
    if (!answer.ok) {
      indexes.release(localIndex, nowMs);
      return;
    }
    this.#halfOpen.add(bytes, answer.value, localIndex, from, isResumed, nowMs);
    out.datagram(from, answer.value.resp);
  }

  /** @returns undefined: nothing to install */
  onFin(from: PathAddress, bytes: Uint8Array, nowMs: number, out: Actions): Answered | undefined {
    const entry = this.#halfOpen.byIndex(receiverIndexOf(bytes));
    if (!entry) return undefined;
    if (entry.fin) {
      const isSame = Buffer.compare(entry.fin, bytes) === 0;
      if (isSame && entry.finAnswers.take(nowMs)) this.confirm(entry.localIndex, from, out);
      return undefined;
    }
    const result = entry.handshake.onFin(bytes);
    if (!result.ok) {
      if (result.reason === 'clone') noteClone(from, out);
      return undefined;
    }
    const done = result.value;
    entry.fin = bytes.slice();
    out.send({ kind: 'returnToken', from: entry.from });
    this.#unfinished.onFinished(entry.from);
    if (done.suite === 0) {
      noteNoCipher(done.peer.id, from, out);
      this.refuse(entry.localIndex, nowMs);
      return undefined;
    }
    return { done, initAtMs: entry.createdAtMs };
  }

  /** The other side learns that its FIN came: it sends in the session from then on. */
  confirm(session: number, to: PathAddress, out: Actions): void {
    out.send({ kind: 'keepalive', session, to });
  }

  /** There is no room for its session: what it sends in it will not be understood. */
  refuse(session: number, nowMs: number): void {
    this.#components.indexes.release(session, nowMs);
  }

  /** The gate saw an INIT of another mesh. */
  onOtherMesh(from: PathAddress, nowMs: number, out: Actions): void {
    if (this.#notes.take(nowMs)) noteOtherMesh(from, out);
  }

  onDeadline(nowMs: number, out: Actions): void {
    for (const entry of this.#halfOpen.expire(nowMs)) {
      if (!entry.fin) this.#onUnfinished(entry, nowMs, out);
    }
  }

  #onUnfinished({ localIndex, from }: HalfOpen, nowMs: number, out: Actions): void {
    this.#components.indexes.release(localIndex, nowMs);
    const count = this.#unfinished.onUnfinished(from);
    if (count !== undefined && this.#notes.take(nowMs)) noteUnfinished(from, count, out);
  }
}

function noteOtherMesh(from: PathAddress, out: Actions): void {
  out.note({
    level: 'info',
    code: 'other-mesh',
    message: `${formatPathAddress(from)} dials with another mesh name`,
    endpoint: formatPathAddress(from),
    cure: 'Give both nodes the same --mesh name if they belong together.',
  });
}

function noteUnfinished(from: PathAddress, count: number, out: Actions): void {
  out.note({
    level: 'warn',
    code: 'password-suspected',
    message: `${isEndpoint(from) ? from.address : formatPathAddress(from)} asked ${count} times and never finished (wrong password?)`,
    endpoint: formatPathAddress(from),
    cure: 'If it should belong to this mesh, start it with the same --password.',
  });
}

function noteClone(from: PathAddress, out: Actions): void {
  out.note({
    level: 'error',
    code: 'clone-detected',
    message: `${formatPathAddress(from)} runs with the identity of this node`,
    endpoint: formatPathAddress(from),
    cure: 'One of the two is a copy: stop it, remove its state directory and start it again.',
  });
}

function noteNoCipher(peer: PeerId, from: PathAddress, out: Actions): void {
  out.note({
    level: 'warn',
    code: 'no-common-cipher',
    message: `${formatPathAddress(from)} shares no cipher with this node`,
    peer,
    endpoint: formatPathAddress(from),
    cure: 'Let the --cipher lists of both nodes overlap.',
  });
}
