import { ipamSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderIpam, renderPools } from '../render/ipam.js';
import type { Verb, VerbCall } from '../verb.js';
import { NETWORK_OR_ALL, networkQuery } from './network.js';

type Word = (call: VerbCall, rest: readonly string[]) => Promise<void>;

const RANGE = 'a range such as 10.80.0.0/16';
const ADDRESSES = 'an address, a range (10.32.0.9-10.32.0.20) or a subnet (10.32.1.0/24)';

const POOL_WORDS: Readonly<Record<string, Word>> = {
  list: async (call, rest) => {
    if (rest.length > 0) throw misuse(rest[0] ?? '', "'ipam pool list' takes no arguments");
    const document = await call.client.get(`/v1/ipam${networkQuery(call)}`, ipamSchema);
    call.print(document, () => renderPools(document));
  },
  add: (call, rest) => change(call, rest, 'pool', RANGE),
  remove: (call, rest) => change(call, rest, 'pool/remove', RANGE),
};

const WORDS: Readonly<Record<string, Word>> = {
  status: async (call, rest) => {
    if (rest.length > 0) throw misuse(rest[0] ?? '', "'ipam status' takes no arguments");
    const document = await call.client.get(`/v1/ipam${networkQuery(call)}`, ipamSchema);
    call.print(document, () => renderIpam(document));
  },
  reserve: (call, rest) => {
    const except = (call.option('except') ?? '').split(',').filter(Boolean);
    return change(call, rest, 'reserve', ADDRESSES, { except });
  },
  release: (call, rest) => change(call, rest, 'release', ADDRESSES),
  pool: async (call, rest) => {
    const [word = ''] = rest;
    const act = Object.hasOwn(POOL_WORDS, word) ? POOL_WORDS[word] : undefined;
    if (act !== undefined) await act(call, rest.slice(1));
    // A range alone is added; what cannot be one is a word that there is not.
    else if (/[.:/]/.test(word)) await change(call, rest, 'pool', RANGE);
    else if (word === '') throw misuse('', "'ipam pool' wants list, add or remove");
    else throw misuse(word, `There is no 'ipam pool ${word}'`);
  },
};

export const ipamVerb: Verb = {
  name: 'ipam',
  summary: 'addresses of the mesh: pools, who holds what, reservations',
  synopsis: 'status|reserve|release|pool [list|add|remove] [<address>|<range>]',
  words: Object.keys(WORDS),
  minArguments: 1,
  maxArguments: 3,
  options: {
    except: { value: 'range', help: 'Reserve all but these, several with commas between.' },
    network: NETWORK_OR_ALL,
  },
  description: [
    "'status' shows the pools, who holds how much of them, and which peer the space of a dead one waits for. 'reserve' keeps an address, a range (10.32.0.9-10.32.0.20) or a subnet from being handed out by anybody, 'release' takes that back, or a part of it. 'pool list' shows the pools alone, 'pool add' adds a range for the whole mesh, 'pool remove' ends one of which nothing is in use.",
    'An address in use is not released: detach it. What stands already is not an error.',
    "Each network has pools of its own, one for each of its subnets: --network says whose. Without it the default one is meant, and 'status' and 'pool list' show all.",
  ],
  examples: [
    'overlayctl ipam status',
    'overlayctl ipam reserve 10.32.1.0/24 --except 10.32.1.7',
    'overlayctl ipam pool add 10.80.0.0/16',
    'overlayctl ipam reserve --network blue 10.90.0.9',
  ],
  run: async (call) => {
    const [word = '', ...rest] = call.arguments;
    const act = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (act === undefined) throw misuse(word, `There is no 'ipam ${word}'`);
    if (word !== 'reserve' && call.isSet('except')) {
      throw misuse('--except', `'ipam ${word}' has no option --except`);
    }
    await act(call, rest);
    return EXIT_DONE;
  },
};

async function change(
  call: VerbCall,
  rest: readonly string[],
  word: string,
  what: string,
  more: object = {},
): Promise<void> {
  const [value, extra] = rest;
  if (value === undefined || extra !== undefined) {
    const text = `'ipam ${word.replace('/', ' ')}' wants ${what}`;
    throw misuse(extra ?? '', extra === undefined ? text : `${text}, and no '${extra}' behind it`);
  }
  const body = { value, network: call.option('network'), ...more };
  const document = await call.client.post(`/v1/ipam/${word}`, body, ipamSchema);
  call.print(document, () => []);
}

function misuse(value: string, message: string): Error {
  return usageFailure(message, value, `Usage: overlayctl ipam ${ipamVerb.synopsis}.`);
}
