import { GLOBAL_OPTIONS } from './global-options.js';
import type { Verb, VerbOption } from './verb.js';

const WIDTH = 88;

const EXIT_CODES = [
  'Exit codes: 0 done, also when it was so already; 1 refused or failed; 2 bad usage;',
  '3 daemon not reachable.',
];

export function overviewHelp(verbs: readonly Verb[]): string[] {
  const width = Math.max(...verbs.map(({ name, synopsis }) => `${name} ${synopsis}`.length));
  return [
    'overlayctl: ask and steer the overlayd of this host',
    '',
    'Usage: overlayctl [--socket <path>] [--json] <verb> [...]',
    '',
    'Verbs:',
    ...verbs.map(
      ({ name, synopsis, summary }) =>
        `  ${`${name} ${synopsis}`.trim().padEnd(width)}  ${summary}`,
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
    `overlayctl ${verb.name}: ${verb.summary}`,
    '',
    `Usage: overlayctl ${verb.name}${options}${synopsis}`,
    ...verb.description.flatMap((paragraph) => ['', ...wrap(paragraph)]),
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
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`);
}

function wrap(paragraph: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
