import { addressesSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { printable } from '../render/text.js';
import type { Verb } from '../verb.js';

export const detachVerb: Verb = {
  name: 'detach',
  summary: 'take a target, or some of its addresses, off the network',
  synopsis: '[<address/len>...] <target>',
  minArguments: 1,
  maxArguments: 33,
  options: {
    network: { value: 'name', help: 'of this network only; by default of all' },
  },
  description: [
    "Without addresses the target's interface goes; with some, only these, and the interface with the last one. The target is named as 'overlayctl ps' shows it, also when it is gone.",
    'Detaching what is not attached is not an error. Prints the addresses that went, one a line.',
  ],
  examples: ['overlayctl detach web', 'overlayctl detach 192.168.0.2/24 web'],
  run: async (call) => {
    const body = {
      target: call.arguments.at(-1) ?? '',
      addresses: call.arguments.slice(0, -1),
      network: call.option('network'),
    };
    const outcome = await call.client.post('/v1/detach', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
    return EXIT_DONE;
  },
};
