import { toHex } from '../base/bytes.js';
import type { Identity } from '../crypto/identity.js';
import { openPresence, signPresence, type Presence } from '../crypto/presence.js';
import type { PeerId } from '../model/peer-id.js';

/*
 * Two processes with one identity (a copied state directory, a restored snapshot) push each other out of every peer:
 * each newer handshake replaces the sessions of the other. A peer that met both shows each the other's statement.
 *
 *   clone ── PEER_INFO {presence} ──► peer ── PEER_INFO {met: the other's} ──► this node
 *
 * An instance this state directory ever had is an earlier run of ours, not a clone. The process that was started later
 * takes a new identity, by what both say of themselves; at the same moment: the smaller instance.
 */

export type CloneVerdict = 'none' | 'move' | 'stay';

export class CloneWatch {
  readonly #identity: Identity;
  readonly #meshId: Uint8Array;
  readonly #own: Presence;
  readonly #isOwnInstance: (instance: Uint8Array) => boolean;
  /** Newest first, at most two a peer; peers are bounded by who may link. */
  readonly #met = new Map<PeerId, readonly Uint8Array[]>();
  #shown = '';
  /** Own statement, for PEER_INFO. */
  readonly presence: Uint8Array;

  constructor(
    identity: Identity,
    meshId: Uint8Array,
    own: Presence,
    isOwnInstance: (instance: Uint8Array) => boolean,
  ) {
    this.#identity = identity;
    this.#meshId = meshId;
    this.#own = own;
    this.#isOwnInstance = isOwnInstance;
    this.presence = signPresence(identity, meshId, own);
  }

  /** What a peer says of itself. */
  onPresence(peer: PeerId, publicKey: Uint8Array, statement: Uint8Array): void {
    const newest = this.#met.get(peer)?.[0];
    if (newest && Buffer.compare(newest, statement) === 0) return;
    if (!openPresence(statement, publicKey, this.#meshId)) return;
    this.#met.set(peer, newest ? [statement, newest] : [statement]);
  }

  /** The statement of another process with this peer's identity, to show it. */
  met(peer: PeerId): Uint8Array | undefined {
    return this.#met.get(peer)?.[1];
  }

  /** A peer shows what may be a clone of ours. `none` also for one that was judged before. */
  judge(statement: Uint8Array): CloneVerdict {
    const { publicKey } = this.#identity;
    const other = openPresence(statement, publicKey, this.#meshId);
    if (!other || this.#isOwnInstance(other.instance)) return 'none';
    const key = toHex(other.instance);
    if (key === toHex(this.#own.instance) || key === this.#shown) return 'none';
    this.#shown = key;
    return isLater(this.#own, other) ? 'move' : 'stay';
  }
}

function isLater(own: Presence, other: Presence): boolean {
  if (own.startedAtMs !== other.startedAtMs) return own.startedAtMs > other.startedAtMs;
  return Buffer.compare(own.instance, other.instance) < 0;
}
