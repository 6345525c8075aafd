import type { Endpoint } from '../model/endpoint.js';
import { formatPathAddress, isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import type { CandidateNews } from './candidate.js';
import { RECORD_ENDPOINTS_MAX } from './constants.js';

/** Ways through relays and connections that are kept of one peer. */
const DETOURS_MAX = 8;
/** Peers that anything is kept of. */
const PEERS_MAX = 10_000;

/**
 * Where peers are said to be (docs/protocol.md §6), whether there is a session or not: what their records list, and the
 * ways through relays and connections. Outlives sessions.
 */
export class Vouched {
  readonly #ofPeer = new Map<PeerId, CandidateNews[]>();

  /** Detours first: no stranger hears of a try there. */
  of(peer: PeerId): readonly CandidateNews[] {
    return this.#ofPeer.get(peer) ?? [];
  }

  recordOf(peer: PeerId): readonly PathAddress[] {
    return this.of(peer)
      .map((news) => news.address)
      .filter(isEndpoint);
  }

  /** A relayed or TCP address; the oldest of too many is forgotten. */
  add(peer: PeerId, news: CandidateNews): void {
    const detours = this.#without(peer, news.address).filter(isDetour);
    this.#set(peer, [...detours, news].slice(-DETOURS_MAX), this.of(peer).filter(isListed));
  }

  remove(peer: PeerId, address: PathAddress): void {
    const rest = this.#without(peer, address);
    this.#set(peer, rest.filter(isDetour), rest.filter(isListed));
  }

  forget(peer: PeerId): void {
    this.#ofPeer.delete(peer);
  }

  setRecord(peer: PeerId, endpoints: readonly Endpoint[]): void {
    const listed = endpoints
      .slice(0, RECORD_ENDPOINTS_MAX)
      .map((address) => ({ address, source: 'record' }) as const);
    this.#set(peer, this.of(peer).filter(isDetour), listed);
  }

  #without(peer: PeerId, address: PathAddress): CandidateNews[] {
    const text = formatPathAddress(address);
    return this.of(peer).filter((news) => formatPathAddress(news.address) !== text);
  }

  #set(peer: PeerId, detours: readonly CandidateNews[], listed: readonly CandidateNews[]): void {
    // Not spread: that keeps room for sixteen more, of each of thousands of members.
    const all = detours.concat(listed);
    if (all.length === 0) this.#ofPeer.delete(peer);
    else if (this.#ofPeer.has(peer) || this.#ofPeer.size < PEERS_MAX) this.#ofPeer.set(peer, all);
  }
}

function isDetour({ address }: CandidateNews): boolean {
  return !isEndpoint(address);
}

function isListed({ address }: CandidateNews): boolean {
  return isEndpoint(address);
}
