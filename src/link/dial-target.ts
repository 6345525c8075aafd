import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import type { HandshakeAttempt } from './attempt.js';
import {
  DIAL_CAP_MS,
  DIAL_EAGER_CAP_MS,
  DIAL_EAGER_MS,
  DIAL_FIRST_GAP_MS,
  DIAL_JITTER,
  DIAL_LOST_CAP_MS,
} from './constants.js';
import type { Resume } from './crypto-port.js';

/** Why a target cannot be reached; a change of it is worth one event. */
export type DialProblem =
  | 'silent'
  | 'unresolved'
  | 'wrong-password'
  | 'paused'
  | 'other-mesh'
  | 'identity-mismatch'
  | 'version-mismatch'
  | 'no-common-cipher'
  | 'self'
  | 'in-overlay'
  | 'clone'
  | 'removed'
  | 'removed-peer';

/** For people, in `reason` fields. */
export const PROBLEM_TEXT: Readonly<Record<DialProblem, string>> = {
  silent: 'no answer',
  unresolved: 'the name has no address',
  'wrong-password': 'wrong password',
  paused: 'wrong password; waiting before the next try',
  'other-mesh': 'probably another mesh name',
  'identity-mismatch': 'another node answers there',
  'version-mismatch': 'no common protocol version',
  'no-common-cipher': 'no common cipher',
  self: 'this is our own address',
  'in-overlay': 'no address to dial: inside the overlay, or not unicast',
  clone: 'a node with our own identity answers there',
  removed: 'it says that this node was removed from the mesh',
  'removed-peer': 'the peer there was removed from the mesh',
};

/** Problems that the other side caused on purpose; the rest is silence. */
const REFUSALS: readonly DialProblem[] = [
  'wrong-password',
  'paused',
  'other-mesh',
  'identity-mismatch',
  'version-mismatch',
  'no-common-cipher',
  'in-overlay',
  'clone',
  'removed',
  'removed-peer',
];

export function isRefusal(problem: DialProblem | undefined): boolean {
  return problem !== undefined && REFUSALS.includes(problem);
}

/** Somewhere to dial: a contact as typed, or the stored endpoints of a peer met before. Retried for ever. */
export interface DialTarget {
  readonly key: string;
  /** The contact as typed; undefined: a known peer. */
  readonly contact: string | undefined;
  readonly host: string;
  readonly port: number;
  /** The peer that has to answer, or for a contact the one that did. */
  peer: PeerId | undefined;
  endpoints: readonly PathAddress[];
  resume: Resume | undefined;
  /** Where others say that the peer is, and its detours. */
  vouched: readonly PathAddress[];
  /** Rounds in which the vouched endpoints were dialled, and when the next one may begin. */
  strangerRounds: number;
  strangersAtMs: number;
  attempts: HandshakeAttempt[];
  /** Infinity: nothing to do, the peer is reachable. */
  nextAtMs: number;
  wantedSinceMs: number;
  attemptsMade: number;
  problem: DialProblem | undefined;
  /** A name is being looked up; until then. */
  ticket: number;
  resolveUntilMs: number;
}

export function makeTarget(
  fields: Pick<DialTarget, 'key' | 'contact' | 'host' | 'port' | 'peer' | 'endpoints' | 'resume'>,
  nowMs: number,
): DialTarget {
  return {
    ...fields,
    vouched: [],
    strangerRounds: 0,
    strangersAtMs: 0,
    attempts: [],
    nextAtMs: nowMs,
    wantedSinceMs: nowMs,
    attemptsMade: 0,
    problem: undefined,
    ticket: 0,
    resolveUntilMs: Number.POSITIVE_INFINITY,
  };
}

/**
 * Pause after the last INIT of an attempt, ms: doubles, with ± 20 % jitter. Contacts are tried at least every few
 * seconds for their first 10 minutes, so that the second of two nodes may start at any time and finds the first.
 */
export function gapMs(target: DialTarget, nowMs: number, fraction: number): number {
  const isEager = nowMs - target.wantedSinceMs < DIAL_EAGER_MS;
  const isContact = target.contact !== undefined;
  const cap = isContact
    ? isEager
      ? DIAL_EAGER_CAP_MS
      : DIAL_CAP_MS
    : isEager
      ? DIAL_CAP_MS
      : DIAL_LOST_CAP_MS;
  const doubled = DIAL_FIRST_GAP_MS * 2 ** Math.min(10, Math.max(0, target.attemptsMade - 1));
  return Math.round(Math.min(cap, doubled) * (1 + (fraction * 2 - 1) * DIAL_JITTER));
}
