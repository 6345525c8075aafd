import type { PeerId } from '../model/peer-id.js';
import type { PeerSlot } from './dataplane.js';

/** A flood that is passed on from neighbour to neighbour: native/core/flood.h. */
export interface FakeFlood {
  readonly kind: 'flood';
  readonly origin: string;
  readonly sequence: number;
  readonly hops: number;
  readonly frame: Uint8Array;
}

const HOPS = 10;
const GENERATION = 32_768;

/** Whom floods of the default network are handed to, and which were seen. Rates are left out. */
export class FakeFloodTree {
  #origin: string | undefined;
  #peers: readonly PeerSlot[] = [];
  #sequence = 0;
  #now = new Set<string>();
  #before = new Set<string>();

  set(origin: PeerId | undefined, peers: readonly PeerSlot[]): void {
    this.#origin = origin;
    this.#peers = peers;
  }

  get isOn(): boolean {
    return this.#origin !== undefined;
  }

  /** What others flood along the tree is for us, too. */
  get isTaking(): boolean {
    return this.#peers.length > 0;
  }

  /** A flood of ours. */
  originate(frame: Uint8Array): FakeFlood {
    const origin = this.#origin ?? '';
    this.#sequence += 1;
    const copy = frame.slice();
    return { kind: 'flood', origin, sequence: this.#sequence, hops: HOPS, frame: copy };
  }

  /** It came from a peer: is it new? */
  take({ origin, sequence, frame }: FakeFlood): boolean {
    const key = `${origin} ${sequence} ${Buffer.from(frame).toString('latin1')}`;
    if (origin === this.#origin || this.#now.has(key) || this.#before.has(key)) return false;
    if (this.#now.size >= GENERATION) {
      this.#before = this.#now;
      this.#now = new Set();
    }
    this.#now.add(key);
    return true;
  }

  /** To whom a flood goes next. */
  next(via: PeerSlot): readonly PeerSlot[] {
    return this.#peers.filter((slot) => slot !== via);
  }
}
