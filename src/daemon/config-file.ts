import { OverlayError } from '../base/errors.js';
import type { FlagName, GivenFlags } from './flags.js';
import { FLAGS, findFlag } from './flags.js';
import { nearest } from '../base/suggest.js';

/*
 * The configuration file: a JSON object whose keys are flag names.
 *
 *   { "mesh": "office", "peer": ["192.0.2.1", "home.example:6783"], "mtu": 1400, "no-relay": true }
 */

function refuse(path: string, message: string, cure: string, value = ''): OverlayError {
  return new OverlayError(
    'OVL_CONFIG_INVALID',
    `Cannot use configuration file ${path}: ${message}`,
    {
      cure,
      value,
      fields: { path },
    },
  );
}

/** @throws OverlayError OVL_CONFIG_INVALID naming the file, the key and what would do */
export function flagsFromFile(path: string, text: string): GivenFlags {
  const given = new Map<FlagName, readonly string[]>();
  for (const [key, value] of Object.entries(parseObject(path, text))) {
    const flag = findFlag(key);
    if (flag === undefined) {
      const names = FLAGS.map(({ name }) => name).filter((name) => name !== 'config');
      const meant = nearest(key.replace(/^-+/, '').replaceAll('_', '-'), names);
      const cure =
        meant === undefined ? `Keys are: ${names.join(', ')}` : `Did you mean '${meant}'?`;
      throw refuse(path, `unknown key '${key}'`, cure, key);
    }
    if (flag.name === 'config')
      throw refuse(path, "key 'config' inside a configuration file", 'Leave it out', key);
    if (flag.kind === 'switch') {
      if (typeof value !== 'boolean')
        throw refuse(path, `'${key}' is not true or false`, 'Give true or false', key);
      if (value) given.set(flag.name, []);
      continue;
    }
    const list =
      Array.isArray(value) && flag.kind === 'list' ? (value as readonly unknown[]) : [value];
    given.set(
      flag.name,
      list.map((item) => {
        if (typeof item === 'string') return item;
        // A number would lose leading zeros of a password that looks like one.
        if (typeof item === 'number' && flag.name !== 'password') return String(item);
        const wanted = flag.kind === 'list' ? 'a text or a list of texts' : 'a text';
        throw refuse(path, `'${key}' is not ${wanted}`, `Give ${wanted}`, key);
      }),
    );
  }
  return given;
}

function parseObject(path: string, text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's words may quote the text around the error, which may be the password.
    const position = /position (\d+)/.exec(String(cause))?.[1];
    const line =
      position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
    throw refuse(
      path,
      `it is not JSON${line}`,
      'Correct it; keys and texts stand in double quotes, no comments',
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw refuse(
    path,
    'it is not a JSON object',
    'Write { "key": value, … } with flag names as keys',
  );
}
