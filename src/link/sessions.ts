import type { CipherSuite } from '../dataplane/dataplane.js';
import type { PeerId } from '../model/peer-id.js';
import { CROSSED_WITHIN_MS } from './constants.js';
import type { Rekey } from './rekey.js';

/** The keys of one finished handshake. */
export interface LinkSession {
  readonly index: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly suite: CipherSuite;
  /** When its INIT was first sent, or first seen. */
  readonly initAtMs: number;
  readonly rekey: Rekey;
  /** Something authentic came in on it. */
  isConfirmed: boolean;
  /** Replaced: read until then. Infinity: in use. */
  retireAtMs: number;
}

/**
 * Which of two sessions with the same running peer stays (docs/protocol.md §2): the newer one, except when both
 * sides' INITs crossed. Then both nodes must choose alike, and the one whose initiator has the smaller PeerId stays.
 */
export function keptOf(
  older: LinkSession,
  newer: LinkSession,
  ownId: PeerId,
  peerId: PeerId,
  nowMs: number,
): LinkSession {
  const isCrossed =
    older.isInitiator !== newer.isInitiator &&
    nowMs - older.initAtMs < CROSSED_WITHIN_MS &&
    nowMs - newer.initAtMs < CROSSED_WITHIN_MS;
  if (!isCrossed) return newer;
  const ownIsSmaller = ownId < peerId;
  return older.isInitiator === ownIsSmaller ? older : newer;
}
