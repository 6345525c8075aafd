import { addressesSchema, dnsLookupSchema, dnsNamesSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderNames } from '../render/names.js';
import { printable } from '../render/text.js';
import { NETWORK_OR_ALL, networkQuery } from './network.js';
import type { Verb, VerbCall } from '../verb.js';

type Word = (call: VerbCall, rest: readonly string[]) => Promise<void>;

const WORDS: Readonly<Record<string, Word>> = {
  list: async (call, rest) => {
    if (rest.length > 0) throw misuse(rest[0] ?? '', "'dns list' takes no arguments");
    const document = await call.client.get(`/v1/dns${networkQuery(call)}`, dnsNamesSchema);
    call.print(document, () => renderNames(document));
  },
  lookup: async (call, rest) => {
    const [name] = rest;
    if (name === undefined || rest.length > 1) throw misuse('', "'dns lookup' wants one name");
    const path = `/v1/dns/${encodeURIComponent(name)}${networkQuery(call)}`;
    const document = await call.client.get(path, dnsLookupSchema);
    call.print(document, () => document.answers.map(printable));
  },
  add: async (call, rest) => {
    const [name, ...addresses] = rest;
    if (name === undefined || addresses.length === 0) {
      throw misuse(name ?? '', "'dns add' wants a name and its addresses");
    }
    const body = { name, addresses, network: call.option('network') };
    const outcome = await call.client.post('/v1/dns/add', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
  },
  remove: async (call, rest) => {
    const [name, ...addresses] = rest;
    if (name === undefined) throw misuse('', "'dns remove' wants a name");
    const body = { name, addresses, network: call.option('network') };
    const outcome = await call.client.post('/v1/dns/remove', body, addressesSchema);
    call.print(outcome, () => outcome.addresses.map(printable));
  },
};

export const dnsVerb: Verb = {
  name: 'dns',
  summary: 'names in the mesh',
  synopsis: 'list|lookup|add|remove [<name> [<address>...]]',
  words: Object.keys(WORDS),
  minArguments: 1,
  maxArguments: 66,
  options: { network: NETWORK_OR_ALL },
  description: [
    "'list' shows all names, 'lookup' the addresses of one (or the names of an address), one a line. Attached targets have names of their own; 'add' gives names to other addresses, 'remove' takes them back: single addresses, or all that were added on this host.",
    'Added names last until they are removed, over restarts. Several hosts may add addresses to one name. Removing what is not there is not an error.',
    "Each network has names of its own: --network says whose. Without it 'add' and 'remove' mean the default one, 'list' shows all, and 'lookup' takes the default one's word first.",
  ],
  examples: [
    'overlayctl dns lookup web',
    'overlayctl dns add www 10.32.0.5 10.32.0.6',
    'overlayctl dns add --network blue www 10.80.0.5',
  ],
  run: async (call) => {
    const [word = '', ...rest] = call.arguments;
    const act = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (act === undefined) throw misuse(word, `There is no 'dns ${word}'`);
    await act(call, rest);
    return EXIT_DONE;
  },
};

function misuse(value: string, message: string): Error {
  return usageFailure(message, value, `Usage: overlayctl dns ${dnsVerb.synopsis}.`);
}
