import { type z } from 'zod';
import { ipamSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderTable } from '../render/table.js';
import { printable } from '../render/text.js';
import type { Verb, VerbCall } from '../verb.js';

type Document = z.infer<typeof ipamSchema>;
type Word = (call: VerbCall, rest: readonly string[]) => Promise<void>;

const WORDS: Readonly<Record<string, Word>> = {
  status: async (call, rest) => {
    if (rest.length > 0) throw misuse(rest[0] ?? '', "'ipam status' takes no arguments");
    const document = await call.client.get('/v1/ipam', ipamSchema);
    call.print(document, () => render(document));
  },
  reserve: (call, rest) => change(call, rest, 'reserve', 'an address'),
  release: (call, rest) => change(call, rest, 'release', 'an address'),
  pool: (call, rest) => change(call, rest, 'pool', 'a range'),
};

export const ipamVerb: Verb = {
  name: 'ipam',
  summary: 'addresses of the mesh: pools, who holds what, reservations',
  synopsis: 'status|reserve|release|pool [<address>|<range>]',
  words: Object.keys(WORDS),
  minArguments: 1,
  maxArguments: 2,
  options: {},
  description: [
    "'status' shows the pools, who holds how much of them, and which peer the space of a dead one waits for. 'reserve' keeps an address from being handed out by anybody, 'release' takes that back, 'pool' adds a range for the whole mesh.",
    'An address in use is not released: detach it. What stands already is not an error.',
  ],
  examples: ['overlayctl ipam status', 'overlayctl ipam reserve 10.32.0.9'],
  run: async (call) => {
    const [word = '', ...rest] = call.arguments;
    const act = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (act === undefined) throw misuse(word, `There is no 'ipam ${word}'`);
    await act(call, rest);
    return EXIT_DONE;
  },
};

async function change(
  call: VerbCall,
  rest: readonly string[],
  word: string,
  what: string,
): Promise<void> {
  const [value] = rest;
  if (value === undefined || rest.length > 1) throw misuse('', `'ipam ${word}' wants ${what}`);
  const document = await call.client.post(`/v1/ipam/${word}`, { value }, ipamSchema);
  call.print(document, () => []);
}

function render({ pools, used, reserved, clashes }: Document): readonly string[] {
  if (pools.length === 0) return ['There is no address pool yet.'];
  const rows = pools.flatMap(({ range, holders }) =>
    holders.map(({ nickname, self, addresses, blocks, gone, waitingFor }) => [
      range,
      self ? `${nickname} (this one)` : nickname,
      String(addresses),
      String(blocks),
      gone ? `gone, waiting for ${waitingFor.join(', ') || 'its heir'}` : '',
    ]),
  );
  const columns = [
    { title: 'POOL' },
    { title: 'HOLDER' },
    { title: 'ADDRESSES', align: 'right' as const },
    { title: 'BLOCKS', align: 'right' as const },
    { title: 'STATE' },
  ];
  const lost = used.filter(({ active }) => !active).map(({ address }) => address);
  return [
    ...renderTable(columns, rows),
    '',
    `${used.length} in use on this host, ${reserved.length} reserved${reserved.length === 0 ? '' : `: ${reserved.map(printable).join(' ')}`}`,
    ...(lost.length === 0 ? [] : [`Not ours any more: ${lost.map(printable).join(' ')}`]),
    ...clashes.map(({ address, holder, loser }) =>
      printable(`Used twice: ${address}, by ${holder}, whose it is, and by ${loser}`),
    ),
  ];
}

function misuse(value: string, message: string): Error {
  return usageFailure(message, value, `Usage: overlayctl ipam ${ipamVerb.synopsis}.`);
}
