import { isEndpoint, type PathAddress } from '../model/path-address.js';
import type { PmtuSearch } from './pmtu.js';

/*
 * Somewhere a peer may be reached (docs/protocol.md §6), and what is known of it.
 *
 *   untried ── PONG or handshake ──► working ── the data plane's clock says so ──► dead ── PONG ──► working
 */

/** Who says that the peer is there. */
export type CandidateSource =
  | 'configured'
  | 'record'
  | 'observed'
  | 'lan'
  | 'mapped'
  /** Something authentic came from there. */
  | 'roaming'
  | 'relay'
  | 'tcp';

export interface CandidateNews {
  readonly address: PathAddress;
  readonly source: CandidateSource;
  /** Relays on the way; 1 when not said, and only relayed addresses have any. */
  readonly hops?: number;
  /** It is known to be the peer's: a connection to the same port was. */
  readonly isProven?: true;
}

export type LinkPathState = 'untried' | 'working' | 'dead';

export type PathKindName = 'direct' | 'relay' | 'tcp';

export interface LinkPath {
  /** Of the data plane; changes when the candidate is asked anew. */
  id: number;
  readonly address: PathAddress;
  source: CandidateSource;
  hops: number;
  readonly pmtu: PmtuSearch;
  readonly createdAtMs: number;
  state: LinkPathState;
  /** Something authentic came from there, ever. */
  isProven: boolean;
  rttMs: number;
  /** Since when it is in this state. */
  sinceMs: number;
  /** As compared last; undefined: never measured. */
  cost: number | undefined;
  /** Since when it is better than the active one by the rule. */
  betterSinceMs: number | undefined;
}

export function kindOf(address: PathAddress): PathKindName {
  return isEndpoint(address) ? 'direct' : address.family;
}

/** Sources that vouch for an address as long as they do not take it back: it is tried for ever. */
export function isLasting(source: CandidateSource): boolean {
  return source !== 'roaming' && source !== 'observed';
}
