import { addressesSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { printable } from '../render/text.js';
import type { Verb } from '../verb.js';

export const attachVerb: Verb = {
  name: 'attach',
  summary: 'put a namespace, a process or a VM on the network',
  synopsis: '[<address/len>...] <target>',
  minArguments: 1,
  maxArguments: 33,
  options: {
    network: { value: 'name', help: "one of 'overlayctl network list'; by default 'default'" },
    name: { value: 'name', help: "name in the DNS; by default a namespace's own" },
    ifname: { value: 'name', help: 'interface in the target, by default eth-ovl' },
    mac: { value: 'mac', help: 'its MAC; by default one that stays the same' },
    gateway: { value: 'ip', help: 'default route of the target' },
    route: { value: 'cidr', help: 'further routes, several with commas between' },
    mtu: { value: 'bytes', help: "MTU, by default the network's" },
    'no-dns': { help: 'no name, and leave its resolv.conf alone' },
  },
  description: [
    "The target gets an interface with these addresses and reaches every member of the network. It is a namespace by name ('ip netns list') or path, pid:<number>, or tap:<name>: a TAP that a VM can open.",
    "Without an address it gets one of the mesh's pool, or of the network's subnets; net:<cidr> asks for one of that subnet, 'none' leaves it to the target.",
    'It stays until detached: over restarts, and when the namespace comes back under its name. Attaching again adds addresses. Prints the addresses, one a line.',
  ],
  examples: [
    'overlayctl attach web',
    'overlayctl attach 192.168.0.2/24 web',
    'overlayctl attach none tap:vm1',
  ],
  run: async (call) => {
    const body = {
      target: call.arguments.at(-1) ?? '',
      addresses: call.arguments.slice(0, -1),
      network: call.option('network'),
      name: call.option('name'),
      dns: call.isSet('no-dns') ? false : undefined,
      ifname: call.option('ifname'),
      mac: call.option('mac'),
      gateway: call.option('gateway'),
      routes: call.option('route')?.split(','),
      mtu: numberOf(call.option('mtu')),
    };
    const outcome = await call.client.post('/v1/attach', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
    return EXIT_DONE;
  },
};

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw usageFailure(`--mtu is '${text}', a number of bytes is wanted`, text, 'Like --mtu 1300.');
}
