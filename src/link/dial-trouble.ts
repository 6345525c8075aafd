import { formatPathAddress, type PathAddress } from '../model/path-address.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import type { Actions, Note } from './actions.js';
import type { DialProblem, DialTarget } from './dial-target.js';

/** That this node was removed is one event, whoever says so (daemon/mesh-removals.ts). */
export type DialTrouble = Exclude<DialProblem, 'removed'>;

/** Says what is wrong with a target, once until something else is. `at`: where that was seen. */
export function noteTrouble(
  target: DialTarget,
  problem: DialTrouble,
  at: PathAddress | undefined,
  out: Actions,
): void {
  // "paused" and "wrong password" alternate for as long as the password is wrong: one event each.
  const isRepetition =
    target.problem === problem || (target.problem === 'paused' && problem === 'wrong-password');
  if (isRepetition) return;
  target.problem = problem;
  const where = target.contact ?? (at ? formatPathAddress(at) : target.host);
  const about = {
    ...(target.contact === undefined && target.peer ? { peer: target.peer } : {}),
    ...(at ? { endpoint: formatPathAddress(at) } : {}),
  };
  out.note({ ...problemNote(problem, where, target.peer), ...about });
}

function problemNote(problem: DialTrouble, where: string, peer: PeerId | undefined): Note {
  switch (problem) {
    case 'silent':
      return {
        level: 'warn',
        code: 'contact-silent',
        message: `No answer from ${where}`,
        cure: 'Check that overlayd runs there and that its UDP port is reachable. It is tried for ever.',
      };
    case 'unresolved':
      return {
        level: 'warn',
        code: 'contact-unresolved',
        message: `No address found for ${where}`,
        cure: 'Check the name and the resolver of this host. It is looked up again at every attempt.',
      };
    case 'wrong-password':
      return {
        level: 'warn',
        code: 'wrong-password',
        message: `${where} has another password than this node`,
        cure: 'Start both nodes with the same --password and the same --mesh.',
      };
    case 'paused':
      return {
        level: 'warn',
        code: 'dial-paused',
        message: `Dialling ${where} is slowed down: its password was wrong too often`,
        cure: 'Start both nodes with the same --password and the same --mesh.',
      };
    case 'other-mesh':
      return {
        level: 'warn',
        code: 'other-mesh',
        message: `${where} probably belongs to another mesh`,
        cure: 'Give both nodes the same --mesh name.',
      };
    case 'identity-mismatch':
      return {
        level: 'warn',
        code: 'identity-mismatch',
        message: `Another node than ${peer ? shortPeerId(peer) : 'expected'} answers at ${where}`,
        cure: 'Nothing to do when that machine was set up anew; otherwise find out who answers there.',
      };
    case 'version-mismatch':
      return {
        level: 'warn',
        code: 'version-mismatch',
        message: `${where} speaks another protocol version`,
        cure: 'Run compatible versions of overlayd on both nodes.',
      };
    case 'no-common-cipher':
      return {
        level: 'warn',
        code: 'no-common-cipher',
        message: `${where} shares no cipher with this node`,
        cure: 'Let the --cipher lists of both nodes overlap.',
      };
    case 'self':
      return {
        level: 'info',
        code: 'contact-is-self',
        message: `${where} is this node itself and is not dialled again`,
      };
    case 'in-overlay':
      return {
        level: 'warn',
        code: 'contact-refused',
        message: `${where} is not dialled: its address lies inside the overlay, or is none of one host`,
        cure: 'Name an address of the underlay. If the underlay itself lies in the pool, choose another --ipalloc-range on all nodes.',
      };
    case 'removed-peer':
      return {
        level: 'warn',
        code: 'contact-refused',
        message: `${where} is not linked: the peer there was removed from the mesh`,
        cure: "If it is to come back: 'overlayctl reset' on it and start it again, it then takes a new identity. Else forget this contact.",
      };
    case 'clone':
      return {
        level: 'error',
        code: 'clone-detected',
        message: `${where} runs with the identity of this node`,
        cure: 'One of the two is a copy: stop it, remove its state directory and start it again.',
      };
  }
}
