import { addressesSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { printable } from '../render/text.js';
import type { Verb } from '../verb.js';

const NETWORK = { value: 'name', help: "one of 'overlayctl network list'; by default 'default'" };

export const exposeVerb: Verb = {
  name: 'expose',
  summary: 'give this host itself addresses on the network',
  synopsis: '[<address/len>...]',
  minArguments: 0,
  maxArguments: 32,
  options: {
    network: NETWORK,
    name: { value: 'name', help: 'name of the addresses in the DNS' },
    'no-masquerade': { help: 'keep the addresses of what is routed' },
  },
  description: [
    "Without an address it gets one of the mesh's pool, or of the network's subnets; net:<cidr> asks for one of that subnet. Without one again it is the same.",
    'The host and the targets of all hosts then reach each other in that subnet. What the host routes between the network and elsewhere is masqueraded both ways, so that neither side needs routes to the other; that wants net.ipv4.ip_forward=1.',
    "The addresses stay until 'hide', over restarts, beside the node's own. Exposing again adds addresses. Prints them, one a line.",
  ],
  examples: [
    'overlayctl expose',
    'overlayctl expose 192.168.0.1/24',
    'overlayctl expose 192.168.0.1/24 --name gw',
  ],
  run: async (call) => {
    const body = {
      addresses: call.arguments,
      network: call.option('network'),
      masquerade: call.isSet('no-masquerade') ? false : undefined,
      name: call.option('name'),
    };
    const outcome = await call.client.post('/v1/expose', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
    return EXIT_DONE;
  },
};

export const hideVerb: Verb = {
  name: 'hide',
  summary: "take back what 'expose' gave",
  synopsis: '[<address/len>...]',
  minArguments: 0,
  maxArguments: 32,
  options: { network: NETWORK },
  description: [
    "Without addresses all exposed ones go; the node's own stays. Prints those that went. Hiding what is not exposed is not an error.",
  ],
  examples: ['overlayctl hide', 'overlayctl hide 192.168.0.1/24'],
  run: async (call) => {
    const body = { addresses: call.arguments, network: call.option('network') };
    const outcome = await call.client.post('/v1/hide', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
    return EXIT_DONE;
  },
};
