import type { PeerId } from '../model/peer-id.js';

/** Who is who, as the records and links of this node say. */
export interface MemberView {
  /** Every member ever heard of, this node not among them. */
  readonly known: ReadonlySet<PeerId>;
  /** With a session now. */
  readonly reachable: ReadonlySet<PeerId>;
  /** Removed, or silent for a whole lease. May hold this node itself. */
  readonly gone: ReadonlySet<PeerId>;
}

const NOBODY: MemberView = { known: new Set(), reachable: new Set(), gone: new Set() };

/** The members, and whom this node has told others to be gone: that word is kept, over restarts too. */
export class Members {
  readonly self: PeerId;
  #view: MemberView = NOBODY;
  readonly #saidGone = new Set<PeerId>();
  #others: readonly PeerId[] | undefined;

  constructor(self: PeerId) {
    this.self = self;
  }

  get view(): MemberView {
    return this.#view;
  }

  set(view: MemberView): void {
    this.#view = view;
    this.#others = undefined;
  }

  /** @returns true when it was not said before. */
  sayGone(peer: PeerId): boolean {
    if (this.#saidGone.has(peer)) return false;
    this.#saidGone.add(peer);
    this.#others = undefined;
    return true;
  }

  /** Peers said to be gone that are back. */
  returned(): readonly PeerId[] {
    const { gone, reachable } = this.#view;
    return [...this.#saidGone].filter((peer) => reachable.has(peer) && !gone.has(peer));
  }

  takeBack(peer: PeerId): void {
    this.#saidGone.delete(peer);
    this.#others = undefined;
  }

  readonly isGone = (peer: PeerId): boolean =>
    this.#view.gone.has(peer) || this.#saidGone.has(peer);

  isReachable(peer: PeerId): boolean {
    return peer === this.self || (this.#view.reachable.has(peer) && !this.isGone(peer));
  }

  /** Known and not gone, this node not among them. */
  get others(): readonly PeerId[] {
    const { known, reachable } = this.#view;
    this.#others ??= [...new Set([...known, ...reachable])].filter(
      (peer) => peer !== this.self && !this.isGone(peer),
    );
    return this.#others;
  }

  /** The smallest id that is not gone: takes over what has no heir. */
  get smallest(): PeerId {
    return this.others.reduce((a, b) => (a < b ? a : b), this.self);
  }
}
