import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT_CODES } from '../../../src/cli/help.js';
import { GLOBAL_OPTIONS } from '../../../src/cli/global-options.js';
import { wrap } from '../../../src/cli/render/text.js';
import type { Verb, VerbOption } from '../../../src/cli/verb.js';
import { VERBS } from '../../../src/cli/verbs.js';

const PAGE = 'docs/overlayctl.md';
const WIDTH = 120;

/** Markdown takes `<peer>` for a tag and shows nothing of it. */
const prose = (text: string): string[] =>
  wrap(text, WIDTH).map((line) => line.replaceAll('<', '\\<'));

function options(given: Readonly<Record<string, VerbOption>>): string[] {
  const rows = Object.entries(given).map(([name, { value, help }]) => {
    const option = value === undefined ? `--${name}` : `--${name} <${value}>`;
    return `| \`${option.replaceAll('|', '\\|')}\` | ${help.replaceAll('<', '\\<').replaceAll('|', '\\|')} |`;
  });
  return rows.length === 0 ? [] : ['', '| option | meaning |', '|---|---|', ...rows];
}

function section({ name, summary, synopsis, description, examples, ...verb }: Verb): string[] {
  const usage = [
    'overlayctl',
    name,
    Object.keys(verb.options).length > 0 ? '[options]' : '',
    synopsis,
  ];
  return [
    `## ${name}`,
    ...['', ...prose(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)],
    ...['', '```', usage.filter(Boolean).join(' '), '```'],
    ...description.flatMap((paragraph) => ['', ...prose(paragraph)]),
    ...options(verb.options),
    ...['', examples.length === 1 ? 'Example:' : 'Examples:', '', '```', ...examples, '```', ''],
  ];
}

/** All that `overlayctl --help` and `overlayctl <verb> --help` say, on one page. */
function manual(): string {
  return [
    '# overlayctl',
    '',
    ...prose(
      'Asks and steers the overlayd of this host. This page says what `overlayctl --help` and `overlayctl <verb> --help` say; ' +
        'what the answers mean, their fields in JSON and every error code stand in [operations.md](operations.md).',
    ).map((line) => line.replaceAll('\\<verb>', '<verb>')),
    ...['', '```', 'overlayctl [--socket <path>] [--json] <verb> [...]', '```'],
    ...options(GLOBAL_OPTIONS),
    ...['', ...prose(EXIT_CODES.join(' ')), ''],
    ...prose(VERBS.map(({ name }) => `[${name}](#${name})`).join(' · ')),
    '',
    ...VERBS.flatMap(section),
  ].join('\n');
}

describe('docs/overlayctl.md', () => {
  it('says what --help says (OVERLAYD_TEST_WRITE_DOCS=1 writes it anew)', () => {
    if (process.env['OVERLAYD_TEST_WRITE_DOCS'] === '1') writeFileSync(PAGE, manual());
    assert.equal(readFileSync(PAGE, 'utf8'), manual());
  });
});
