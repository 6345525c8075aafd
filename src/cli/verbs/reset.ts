import { resetSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import type { Verb } from '../verb.js';

export const resetVerb: Verb = {
  name: 'reset',
  summary: 'take this node out and remove what it made on this host',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    "Stops the daemon and removes its interface, addresses, stored contacts and known peers. The identity stays, so that the node comes back under its own id with the next 'overlayd'.",
  ],
  examples: ['overlayctl reset'],
  run: async (call) => {
    const outcome = await call.client.post('/v1/reset', {}, resetSchema);
    call.print(outcome, () => [
      'Removed interface, addresses, contacts and known peers; the daemon stops. The identity is kept.',
    ]);
    return EXIT_DONE;
  },
};
