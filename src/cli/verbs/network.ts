import { networksSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderNetworks } from '../render/networks.js';
import { printable } from '../render/text.js';
import type { Verb, VerbCall } from '../verb.js';

/** Option of verbs that are about the default network, or about all, unless told otherwise. */
export const NETWORK_OR_ALL = {
  value: 'name',
  help: "Of this one of 'overlayctl network list' alone.",
};

/** Behind a path that knows `network`. */
export function networkQuery(call: Pick<VerbCall, 'option'>): string {
  const network = call.option('network');
  return network === undefined ? '' : `?network=${encodeURIComponent(network)}`;
}

type Word = (call: VerbCall, rest: readonly string[]) => Promise<void>;

const WORDS: Readonly<Record<string, Word>> = {
  create: async (call, rest) => {
    const body = {
      name: nameOf(rest, 'create'),
      subnets: call.option('subnet')?.split(','),
      mtu: numberOf(call.option('mtu')),
    };
    const document = await call.client.post('/v1/networks/create', body, networksSchema);
    call.print(document, () => document.networks.map(({ name }) => printable(name)));
  },
  list: async (call, rest) => {
    if (rest.length > 0) throw misuse(rest[0] ?? '', "'network list' takes no arguments");
    refuseOptions(call, 'list');
    const document = await call.client.get('/v1/networks', networksSchema);
    call.print(document, () => renderNetworks(document));
  },
  remove: async (call, rest) => {
    const body = { value: nameOf(rest, 'remove') };
    refuseOptions(call, 'remove');
    const document = await call.client.post('/v1/networks/remove', body, networksSchema);
    call.print(document, () => []);
  },
};

export const networkVerb: Verb = {
  name: 'network',
  summary: 'networks of the mesh: Ethernet segments that see nothing of each other',
  synopsis: 'create|list|remove [<name>]',
  words: Object.keys(WORDS),
  minArguments: 1,
  maxArguments: 2,
  options: {
    subnet: {
      value: 'cidr',
      isList: true,
      help: 'addresses come from there; several times for several',
    },
    mtu: { value: 'bytes', help: "MTU of its interfaces, by default that of the node's own" },
  },
  description: [
    "'create' makes a network that every node knows then, 'list' shows all and who is on them, 'remove' takes one away that nobody uses. Targets get onto it with 'attach --network <name>'. Two networks may have the same subnets: no frame of one ever appears in the other.",
    "Without --subnet any address may be given on it. Subnets and MTU stay as they were at its creation. 'create' prints the name; what stands already as asked is not an error.",
  ],
  examples: [
    'overlayctl network create blue --subnet 10.80.0.0/16',
    'overlayctl network list',
    'overlayctl attach --network blue web',
  ],
  run: async (call) => {
    const [word = '', ...rest] = call.arguments;
    const act = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (act === undefined) throw misuse(word, `There is no 'network ${word}'`);
    await act(call, rest);
    return EXIT_DONE;
  },
};

function nameOf([name, extra]: readonly string[], word: string): string {
  if (name !== undefined && extra === undefined) return name;
  throw misuse(extra ?? '', `'network ${word}' wants the name of one network`);
}

function refuseOptions(call: VerbCall, word: string): void {
  for (const name of Object.keys(networkVerb.options)) {
    if (call.isSet(name)) throw misuse(`--${name}`, `'network ${word}' has no option --${name}`);
  }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw usageFailure(`--mtu is '${text}', a number of bytes is wanted`, text, 'Like --mtu 1300.');
}

function misuse(value: string, message: string): Error {
  return usageFailure(message, value, `Usage: overlayctl network ${networkVerb.synopsis}.`);
}
