import { forgetSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import type { Verb } from '../verb.js';

export const forgetVerb: Verb = {
  name: 'forget',
  summary: 'remove stored contacts',
  synopsis: '<endpoint>...',
  minArguments: 1,
  maxArguments: 64,
  options: {},
  description: [
    "Removes endpoints that 'connect' stored; they are no longer dialled on their own account. A link that is up stays up: forgetting an address is not leaving a peer. Endpoints given by --peer come back with the next start.",
    'Forgetting what is not stored is not an error.',
  ],
  examples: ['overlayctl forget 192.0.2.7'],
  run: async (call) => {
    const outcome = await call.client.post(
      '/v1/forget',
      { contacts: call.arguments },
      forgetSchema,
    );
    call.print(outcome, () => [
      ...outcome.removed.map((contact) => `Forgotten: ${contact}`),
      ...outcome.unknown.map((contact) => `Was not stored: ${contact}`),
    ]);
    return EXIT_DONE;
  },
};
