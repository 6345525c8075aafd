import { OverlayError } from '../base/errors.js';
import type { PeerId } from '../model/peer-id.js';
import { shortPeerId } from '../model/peer-id.js';

/** The fewest digits of an id that stand for a peer. */
export const MIN_ID_DIGITS = 8;

const ID_PREFIX = /^[0-9a-f]{8,32}$/;

export interface NamedPeer {
  readonly id: PeerId;
  readonly nickname: string;
}

/**
 * The one peer that `text` names: a nickname, or at least 8 leading digits of an id. A nickname may itself look like
 * digits of an id; a match either way counts, so two different peers make it ambiguous rather than one winning.
 *
 * @param self this node, where it is none of `peers`: naming it has an answer of its own
 * @throws OVL_NOT_FOUND, OVL_PEER_SELF, OVL_AMBIGUOUS with the matches in the message
 */
export function findPeer<P extends NamedPeer>(
  peers: Iterable<P>,
  text: string,
  self?: NamedPeer,
): P {
  const wanted = text.toLowerCase();
  const isPrefix = ID_PREFIX.test(wanted);
  const matches: P[] = [];
  const isNamed = ({ id, nickname }: NamedPeer): boolean =>
    nickname === text || (isPrefix && id.startsWith(wanted));
  for (const peer of peers) {
    if (isNamed(peer)) matches.push(peer);
  }
  const [first] = matches;
  if (first === undefined) {
    if (self !== undefined && isNamed(self)) {
      throw new OverlayError('OVL_PEER_SELF', `'${text}' is this node itself`, {
        value: text,
        cure: "Name another node; 'overlayctl peers' lists them.",
      });
    }
    const isShort = /^[0-9a-f]{1,7}$/.test(wanted);
    throw new OverlayError('OVL_NOT_FOUND', `No peer is called '${text}'`, {
      value: text,
      cure: isShort
        ? `Give at least ${MIN_ID_DIGITS} digits of the id, or the nickname; 'overlayctl peers' lists both.`
        : `'overlayctl peers' lists nicknames and ids.`,
    });
  }
  if (matches.length > 1) {
    throw new OverlayError(
      'OVL_AMBIGUOUS',
      `'${text}' names ${matches.length} peers: ${listMatches(matches)}`,
      { value: text, cure: 'Give more digits of the id of the one you mean.' },
    );
  }
  return first;
}

/** Full ids when the short forms are equal: those digits are what the reader will type next. */
function listMatches(matches: readonly NamedPeer[]): string {
  const shown = matches.slice(0, 10);
  const short = new Set(shown.map((peer) => shortPeerId(peer.id)));
  const names = shown.map(
    (peer) => `${peer.nickname} (${short.size === shown.length ? shortPeerId(peer.id) : peer.id})`,
  );
  if (matches.length > shown.length) names.push(`and ${matches.length - shown.length} more`);
  return names.join(', ');
}
