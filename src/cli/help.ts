import { GLOBAL_OPTIONS } from './global-options.js';
import { WIDTH, wrap } from './render/text.js';
import type { Verb, VerbOption } from './verb.js';

/** Where the right column of the list of verbs begins: a longer left one has a line of its own. */
const SUMMARY_AT = 26;

const USAGE = 'Usage: ';

/** What they mean, for people. */
export const EXIT_CODES = [
  'Exit codes: 0 done, also when it was so already; 1 refused or failed;',
  '2 bad usage; 3 daemon not reachable.',
];

export function overviewHelp(verbs: readonly Verb[]): string[] {
  return [
    'overlayctl: ask and steer the overlayd of this host',
    '',
    'Usage: overlayctl [--socket <path>] [--json] <verb> [...]',
    '',
    'Verbs:',
    ...verbs.flatMap(({ name, synopsis, summary }) =>
      twoColumns(`${name} ${synopsis}`.trim(), summary, SUMMARY_AT),
    ),
    '',
    'Options:',
    ...optionLines(GLOBAL_OPTIONS),
    '',
    "'overlayctl <verb> --help' says more about one.",
    '',
    ...EXIT_CODES,
  ];
}

export function verbHelp(verb: Verb): string[] {
  const options = Object.keys(verb.options).length > 0 ? ' [options]' : '';
  const synopsis = verb.synopsis === '' ? '' : ` ${verb.synopsis}`;
  return [
    ...wrap(`overlayctl ${verb.name}: ${verb.summary}`, WIDTH),
    '',
    ...wrap(`overlayctl ${verb.name}${options}${synopsis}`, WIDTH - USAGE.length).map(
      (line, index) => (index === 0 ? USAGE : ' '.repeat(USAGE.length)) + line,
    ),
    ...verb.description.flatMap((paragraph) => ['', ...wrap(paragraph, WIDTH)]),
    '',
    'Options:',
    ...optionLines({ ...verb.options, ...GLOBAL_OPTIONS }),
    '',
    'Examples:',
    ...verb.examples.map((example) => `  ${example}`),
    '',
    ...EXIT_CODES,
  ];
}

function optionLines(options: Readonly<Record<string, VerbOption>>): string[] {
  const rows = Object.entries(options).map(([name, { value, help }]): [string, string] => [
    `--${name}${value === undefined ? '' : ` <${value}>`}`,
    help,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.flatMap(([left, help]) => twoColumns(left, help, width + 4));
}

function twoColumns(left: string, right: string, rightAt: number): string[] {
  const [first = '', ...rest] = wrap(right, WIDTH - rightAt);
  const margin = ' '.repeat(rightAt);
  const head = `  ${left}`;
  const lines = head.length + 2 > rightAt ? [head, margin + first] : [head.padEnd(rightAt) + first];
  return [...lines, ...rest.map((line) => margin + line)];
}
