import { removalSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { printable } from '../render/text.js';
import type { Verb } from '../verb.js';

export const peerVerb: Verb = {
  name: 'peer',
  summary: 'remove a peer that is gone for good',
  synopsis: 'remove <peer>',
  words: ['remove'],
  minArguments: 1,
  maxArguments: 2,
  options: { force: { help: 'remove it though it is alive; wants its full id' } },
  description: [
    "'remove' takes a peer out of the mesh for good: its names and links go everywhere, its addresses are used again once all members know. It is in force here at once, and on the others a minute later. Nobody can take it back; a machine that is to return gets a new identity by 'overlayctl reset' on it.",
    'A peer that is alive, or was heard of in the last minute, is refused. With --force and its full id it is signed all the same: in force as soon as the peer is silent for a minute, or when two members say so whom the others have known for over an hour, so run it on two.',
    'To remove what is removed is not an error.',
  ],
  examples: [
    'overlayctl peer remove web-3',
    'overlayctl peer remove --force 3f2a9c10d4e5f60718293a4b5c6d7e8f',
  ],
  run: async (call) => {
    const [word = '', peer] = call.arguments;
    if (word !== 'remove') throw misuse(word, `There is no 'peer ${word}'`);
    if (peer === undefined) throw misuse('', "'peer remove' wants a peer");
    const body = { peer, ...(call.isSet('force') && { force: true }) };
    const outcome = await call.client.post('/v1/peer/remove', body, removalSchema);
    const who = `${printable(outcome.nickname)} (${outcome.peer.slice(0, 8)})`;
    call.print(outcome, () => [
      outcome.state === 'removed'
        ? `Removed: ${who}`
        : `Signed: ${who}. In force once it is silent for a minute, or when a second member removes it too.`,
    ]);
    return EXIT_DONE;
  },
};

function misuse(value: string, message: string): Error {
  return usageFailure(message, value, `Usage: overlayctl peer ${peerVerb.synopsis}.`);
}
