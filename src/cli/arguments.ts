import type { ParseArgsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import { usageFailure } from './failure.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { nearest } from '../base/suggest.js';
import type { Verb, VerbOption } from './verb.js';
import { findVerb } from './verbs.js';

/*
 * overlayctl [global options] <verb> [options and arguments, in any order]
 *
 * What stands before the verb is read by hand, because only behind it is it known which options take a value.
 */

export interface ParsedLine {
  /** Undefined: no verb was given. */
  readonly verb: Verb | undefined;
  readonly arguments: readonly string[];
  readonly values: ReadonlyMap<string, string | true>;
}

/** @throws CliFailure OVL_USAGE */
export function parseLine(argv: readonly string[]): ParsedLine {
  if (argv[0] === '--version') return parseLine(['version', ...argv.slice(1)]);
  const verbAt = findVerbIndex(argv);
  const name = argv[verbAt];
  const verb = name === undefined ? undefined : findVerb(name);
  const options = { ...verb?.options, ...GLOBAL_OPTIONS };
  const args = [...argv.slice(0, verbAt), ...argv.slice(verbAt + 1)].map((arg) =>
    arg === '-h' ? '--help' : arg,
  );
  const { values, positionals } = parseKnown(args, options);
  return { verb, arguments: positionals, values };
}

/** @throws CliFailure OVL_USAGE */
export function assertArguments(verb: Verb, given: readonly string[]): void {
  const count = given.length;
  const usage = `Usage: overlayctl ${verb.name} ${verb.synopsis}`.trim();
  if (count < verb.minArguments) {
    throw usageFailure(`'${verb.name}' wants ${verb.synopsis}`, '', usage);
  }
  if (count > verb.maxArguments) {
    const most = verb.maxArguments;
    const word = most === 1 ? 'argument' : 'arguments';
    const many = most === 0 ? 'no arguments' : `at most ${most} ${word}`;
    const extra = given[verb.maxArguments] ?? '';
    throw usageFailure(`'${verb.name}' takes ${many}, got '${extra}'`, extra, usage);
  }
  if (given.includes('')) {
    throw usageFailure(`An argument of '${verb.name}' is empty`, '', usage);
  }
}

function findVerbIndex(argv: readonly string[]): number {
  let index = 0;
  for (; index < argv.length; index += 1) {
    const arg = argv[index] ?? '';
    if (!arg.startsWith('-') || arg === '-') break;
    const [name = ''] = arg.slice(2).split('=', 1);
    const option = Object.hasOwn(GLOBAL_OPTIONS, name) ? GLOBAL_OPTIONS[name] : undefined;
    if (option === undefined && arg !== '-h') {
      throw usageFailure(
        `There is no option '${arg}' before the verb`,
        arg,
        `Options there: ${Object.keys(GLOBAL_OPTIONS)
          .map((known) => `--${known}`)
          .join(', ')}; a verb's own go behind it.`,
      );
    }
    if (option?.value !== undefined && !arg.includes('=')) index += 1;
  }
  return Math.min(index, argv.length);
}

function parseKnown(
  args: string[],
  options: Readonly<Record<string, VerbOption>>,
): { values: Map<string, string | true>; positionals: string[] } {
  const config: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
    Object.entries(options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? 'boolean' : 'string' },
    ]),
  );
  const { tokens } = parseArgs({
    args,
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | true>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind === 'option') {
      const value = optionValue(token.name, token.rawName, token.value, options);
      const before = options[token.name]?.isList && values.get(token.name);
      values.set(token.name, before ? `${String(before)},${String(value)}` : value);
    }
  }
  return { values, positionals };
}

function optionValue(
  name: string,
  rawName: string,
  value: string | undefined,
  options: Readonly<Record<string, VerbOption>>,
): string | true {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (option === undefined) {
    const meant = nearest(name, Object.keys(options));
    throw usageFailure(
      `There is no option '${rawName}' here`,
      rawName,
      `${meant === undefined ? '' : `Did you mean '--${meant}'? `}Options: ${Object.keys(options)
        .map((known) => `--${known}`)
        .join(', ')}.`,
    );
  }
  if (option.value === undefined) {
    if (value === undefined) return true;
    throw usageFailure(
      `${rawName} takes no value, got '${value}'`,
      value,
      `Write ${rawName} alone.`,
    );
  }
  if (value === undefined || value === '') {
    throw usageFailure(`${rawName} wants a value`, '', `Write ${rawName} <${option.value}>.`);
  }
  return value;
}
