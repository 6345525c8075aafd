import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { TCP_SWEEP_MS } from './constants.js';
import type { TcpDial } from './tcp-dial.js';

/** A connection, and whose path it was; undefined: nobody's. */
export interface EndedConnection {
  readonly connection: number;
  readonly peer: PeerId | undefined;
}

/**
 * Whose path each TCP connection is, whether this node opened or accepted it: when it ends, that peer is to hear of it,
 * and one that this node opened is closed when its peer has had a better way for a while.
 */
export class TcpOwners {
  readonly #dial: TcpDial;
  readonly #owners = new Map<number, PeerId>();
  #sweepAtMs = 0;

  /** `dial` has those that this node opened. */
  constructor(dial: TcpDial) {
    this.#dial = dial;
  }

  /** The peer was heard from there. */
  onHeard(address: PathAddress, peer: PeerId): void {
    if (address.family === 'tcp') this.#owners.set(address.connection, peer);
  }

  onClosed(connection: number): EndedConnection {
    this.#dial.onClosed(connection);
    const peer = this.#owners.get(connection);
    this.#owners.delete(connection);
    return { connection, peer };
  }

  forget(peer: PeerId): void {
    for (const [connection, owner] of this.#owners) {
      if (owner === peer) this.#owners.delete(connection);
    }
  }

  get nextDeadlineMs(): number {
    return this.#dial.size > 0 ? this.#sweepAtMs : Number.POSITIVE_INFINITY;
  }

  /**
   * `activeOf`: where data for a peer goes.
   * @returns connections of ours that are to be closed: they carry nothing
   */
  onDeadline(
    activeOf: (peer: PeerId) => PathAddress | undefined,
    nowMs: number,
  ): readonly EndedConnection[] {
    if (nowMs < this.#sweepAtMs) return [];
    this.#sweepAtMs = nowMs + TCP_SWEEP_MS;
    const isUsed = (connection: number): boolean => {
      const peer = this.#owners.get(connection);
      const active = peer === undefined ? undefined : activeOf(peer);
      return active?.family === 'tcp' && active.connection === connection;
    };
    return this.#dial.sweep(isUsed, nowMs).map((connection) => this.onClosed(connection));
  }
}
