import { isRefusal, PROBLEM_TEXT, type DialTarget } from './dial-target.js';
import type { PeerLink } from './peer-link.js';

/*
 * How it stands with a peer or a contact, in one word for people, and what is the matter:
 *
 *   a link that carries data, or is about to ──► established, handshaking
 *   nobody wants one ──────────────────────────► idle
 *   else what its dialling has come to ────────► connecting, handshaking, retrying, rejected
 */

export type LinkState =
  'connecting' | 'handshaking' | 'established' | 'idle' | 'retrying' | 'rejected';

export interface StateAndReason {
  readonly state: LinkState;
  readonly reason: string | undefined;
}

/** `link` and `target`: undefined: there is none. `isWanted`: a session with it is sought and kept. */
export function stateOfPeer(
  link: PeerLink | undefined,
  target: DialTarget | undefined,
  isWanted: boolean,
): StateAndReason {
  if (link?.isReachable) return { state: 'established', reason: undefined };
  if (link?.isHandshaking) return { state: 'handshaking', reason: undefined };
  if (!isWanted) return { state: 'idle', reason: undefined };
  if (!target) return { state: 'idle', reason: link?.reason };
  const dialled = stateOfTarget(target);
  // It was there before: what is under way is a retry, whatever the target thinks.
  const isBack = link?.wasReachable === true && dialled.state === 'connecting';
  return {
    state: isBack ? 'retrying' : dialled.state,
    reason: dialled.reason ?? (link?.reason === '' ? undefined : link?.reason),
  };
}

/** `link`: to the peer that the contact led to. */
export function stateOfContact(target: DialTarget, link: PeerLink | undefined): StateAndReason {
  if (link?.isReachable) return { state: 'established', reason: undefined };
  return stateOfTarget(target);
}

function stateOfTarget(target: DialTarget): StateAndReason {
  const reason = target.problem ? PROBLEM_TEXT[target.problem] : undefined;
  if (target.attempts.some((attempt) => attempt.state === 'finishing')) {
    return { state: 'handshaking', reason: undefined };
  }
  if (isRefusal(target.problem)) return { state: 'rejected', reason };
  if (target.problem === 'self') return { state: 'idle', reason };
  if (target.problem !== undefined || target.attemptsMade > 1) return { state: 'retrying', reason };
  return { state: 'connecting', reason: undefined };
}
