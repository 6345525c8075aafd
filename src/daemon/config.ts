import { resolve } from 'node:path';

import type { CommanderError } from 'commander';
import { Command, Option } from 'commander';

import { OverlayError } from '../base/errors.js';
import type { CipherSuite } from '../dataplane/dataplane.js';
import { DEFAULT_DOMAIN } from '../dns/constants.js';
import {
  SUITE_AES256GCM,
  SUITE_CHACHA20POLY1305,
  SUITE_XSALSA20POLY1305,
} from '../dataplane/dataplane.js';
import { flagsFromFile } from './config-file.js';
import type { LogLevel } from './config-values.js';
import * as values from './config-values.js';
import type { Flag, FlagName, GivenFlags } from './flags.js';
import { FLAGS } from './flags.js';
import { nearest } from '../base/suggest.js';

/*
 * From argv and the configuration file to a checked configuration. A flag beats the file's key of the same name, as a
 * whole: one --peer replaces the file's list. Defaults are in `configFrom`, nowhere else. Nothing here touches the
 * system: the caller hands in what is read.
 */

export const DEFAULT_STATE_DIR = '/var/lib/overlayd';
const DEFAULT_SOCKET = '/run/overlayd/overlayd.sock';
const MAX_PEERS = 64;

export interface DaemonConfig {
  readonly password: PasswordFrom;
  readonly meshName: string;
  readonly nickname: string;
  readonly port: number;
  readonly bind: readonly string[];
  readonly advertise: readonly string[];
  readonly peers: readonly string[];
  readonly stateDir: string;
  readonly socketPath: string;
  readonly ifName: string;
  readonly addressMode: 'auto' | 'none' | { readonly cidr: string };
  readonly mtuBytes: number;
  /** Address pool, and the subnet of it that addresses come from by default; cidr texts. */
  readonly pool: string;
  readonly defaultSubnet: string;
  readonly leaseMs: number | 'never';
  readonly discovery: boolean;
  readonly relay: boolean;
  readonly allowBench: boolean;
  readonly suites: readonly CipherSuite[];
  readonly dnsDomain: string;
  readonly dns: boolean;
  readonly logLevel: LogLevel;
  /** The file it was read from, for a reload. */
  readonly configPath: string | undefined;
}

/** Where the password is; `readPassword` fetches it. `elsewhere`: environment, then systemd credential. */
export type PasswordFrom =
  | { readonly kind: 'given'; readonly password: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'elsewhere' };

/** What the parser may look at. */
export interface ConfigSources {
  /** Without node and script. */
  readonly argv: readonly string[];
  readonly hostname: string;
  readonly cwd: string;
  readonly version: string;
  /** Throws what fs throws. */
  readFile(path: string): string;
}

export type ConfigOutcome =
  | { readonly kind: 'run'; readonly config: DaemonConfig }
  /** --help or --version: print it and end well. */
  | { readonly kind: 'print'; readonly text: string };

/** @throws OverlayError for everything that is bad usage; its message shows the value, its cure what would do */
export function loadConfig(sources: ConfigSources): ConfigOutcome {
  const parsed = flagsFromArgv(sources.argv, sources.version);
  if (typeof parsed === 'string') return { kind: 'print', text: parsed };
  const configFile = last(parsed, 'config');
  if (configFile === undefined) {
    return { kind: 'run', config: configFrom(parsed, parsed, sources, undefined) };
  }
  const path = resolve(sources.cwd, configFile);
  const fromFile = flagsFromFile(path, readConfigFile(path, sources));
  const merged = new Map([...fromFile, ...parsed]);
  // Either flag of the pair beats both keys.
  const passwordFlags = parsed.has('password') || parsed.has('password-file') ? parsed : merged;
  return { kind: 'run', config: configFrom(merged, passwordFlags, sources, path) };
}

function readConfigFile(path: string, sources: ConfigSources): string {
  try {
    return sources.readFile(path);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new OverlayError(
      'OVL_CONFIG_INVALID',
      `Cannot read configuration file ${path}: ${errno}`,
      {
        cure: 'Check the path and its permissions',
        value: path,
        cause,
      },
    );
  }
}

/** Flags as given, or the text to print. */
function flagsFromArgv(argv: readonly string[], version: string): GivenFlags | string {
  const given = new Map<FlagName, readonly string[]>();
  let printed = '';
  const program = new Command('overlayd')
    .description('Joins this machine to an encrypted Ethernet segment across machines.')
    .argument('[peer...]', 'first contacts, as with --peer')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(true)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => (printed += text), writeErr: () => undefined });
  program.addHelpText(
    'after',
    '\nThe password may also come from the environment (OVERLAYD_PASSWORD) or the systemd credential\noverlayd-password. A flag beats the configuration file, the file beats the environment.',
  );
  for (const flag of FLAGS) addOption(program, flag, given);
  program.action((peers: readonly string[]) => {
    if (peers.length > 0) given.set('peer', [...(given.get('peer') ?? []), ...peers]);
  });
  try {
    program.parse([...argv], { from: 'user' });
  } catch (error) {
    const { code, message } = error as CommanderError;
    if (code === 'commander.helpDisplayed' || code === 'commander.version') return printed;
    throw usageError(code, message);
  }
  return given;
}

function addOption(
  program: Command,
  flag: Flag & { name: FlagName },
  given: Map<FlagName, readonly string[]>,
): void {
  const spelling = flag.value === undefined ? `--${flag.name}` : `--${flag.name} <${flag.value}>`;
  const option = new Option(spelling, flag.help);
  // Collected by us: commander's own values know no order and turn --no-x into a default of true for x.
  program.addOption(option);
  program.on(`option:${option.name()}`, (value: string | null) => {
    const earlier = given.get(flag.name) ?? [];
    if (flag.kind === 'switch') given.set(flag.name, []);
    else given.set(flag.name, [...earlier, value ?? '']);
  });
}

function usageError(code: string, message: string): OverlayError {
  const option = /'(-[^' ]*)/.exec(message)?.[1] ?? '';
  if (code === 'commander.unknownOption') {
    // `--pasword=secret`: what follows the equals sign must not be shown.
    const typed = option.split('=')[0] ?? '';
    const meant = nearest(
      typed.replace(/^-+/, ''),
      FLAGS.map((flag) => flag.name),
    );
    const cure = meant === undefined ? 'See overlayd --help' : `Did you mean --${meant}?`;
    return new OverlayError('OVL_USAGE', `Unknown flag '${typed}'`, { cure, value: typed });
  }
  if (code === 'commander.optionMissingArgument') {
    return new OverlayError('OVL_USAGE', `Flag '${option}' needs a value`, {
      cure: `Give one: ${/'([^']*)'/.exec(message)?.[1] ?? option}`,
      value: option,
    });
  }
  return new OverlayError('OVL_USAGE', message.replace(/^error: /, ''), {
    cure: 'See overlayd --help',
  });
}

function last(given: GivenFlags, name: FlagName): string | undefined {
  const all = given.get(name) ?? [];
  const flag = FLAGS.find((known) => known.name === name);
  if (all.length > 1 && flag?.kind === 'text') {
    const shown = name === 'password' ? '' : all.join(' and ');
    throw new OverlayError(
      'OVL_USAGE',
      `Flag '--${name}' is given ${all.length} times${shown && `: ${shown}`}`,
      {
        cure: 'Give it once',
        value: shown,
      },
    );
  }
  return all[0];
}

function configFrom(
  given: GivenFlags,
  passwordFlags: GivenFlags,
  sources: ConfigSources,
  configPath: string | undefined,
): DaemonConfig {
  const read = <T>(name: FlagName, parse: (flag: string, text: string) => T, otherwise: T): T => {
    const text = last(given, name);
    return text === undefined ? otherwise : parse(name, text);
  };
  const list = <T>(name: FlagName, parse: (flag: string, text: string) => T): readonly T[] =>
    (given.get(name) ?? []).map((text) => parse(name, text));
  const pool = read('ipalloc-range', values.parsePool, '10.32.0.0/12');
  const stateDir = resolve(sources.cwd, read('state-dir', parsePath, DEFAULT_STATE_DIR));
  return {
    password: passwordFrom(passwordFlags),
    meshName: read('mesh', values.parseLabel, 'default'),
    nickname: read('nickname', values.parseLabel, nicknameFrom(sources.hostname)),
    port: read('port', values.parsePort, 6783),
    bind: list('bind', values.parseBind),
    advertise: list('advertise', values.parseContactText),
    peers: peersFrom(list('peer', values.parseContactText)),
    stateDir,
    socketPath: values.parseSocketPath(
      'socket',
      socketPathFrom(last(given, 'socket'), stateDir, sources.cwd),
    ),
    ifName: read('ifname', values.parseIfName, 'overlay0'),
    addressMode: read<DaemonConfig['addressMode']>('address', values.parseAddressMode, 'auto'),
    mtuBytes: read('mtu', values.parseMtu, 1388),
    pool,
    defaultSubnet: read(
      'ipalloc-default-subnet',
      (flag, text) => values.parseSubnetOf(flag, text, pool),
      pool,
    ),
    leaseMs: read<number | 'never'>('ipam-lease', values.parseLease, 24 * 3_600_000),
    discovery: !given.has('no-discovery'),
    relay: !given.has('no-relay'),
    allowBench: given.has('allow-bench'),
    suites: read('cipher', values.parseSuites, [
      SUITE_AES256GCM,
      SUITE_CHACHA20POLY1305,
      SUITE_XSALSA20POLY1305,
    ]),
    dnsDomain: read('dns-domain', values.parseDnsDomain, DEFAULT_DOMAIN),
    dns: !given.has('no-dns'),
    logLevel: read<LogLevel>('log-level', values.parseLogLevel, 'info'),
    configPath,
  };
}

function passwordFrom(given: GivenFlags): PasswordFrom {
  const password = last(given, 'password');
  const path = last(given, 'password-file');
  if (password !== undefined && path !== undefined) {
    throw new OverlayError('OVL_USAGE', `Both --password and --password-file ${path} are given`, {
      cure: 'Give one of them',
      value: path,
    });
  }
  if (password !== undefined) return { kind: 'given', password };
  return path === undefined ? { kind: 'elsewhere' } : { kind: 'file', path };
}

function socketPathFrom(given: string | undefined, stateDir: string, cwd: string): string {
  if (given !== undefined) return given === '' ? '' : resolve(cwd, given);
  return stateDir === DEFAULT_STATE_DIR ? DEFAULT_SOCKET : resolve(stateDir, 'overlayd.sock');
}

function parsePath(flag: string, text: string): string {
  if (text !== '' && !text.includes('\0')) return text;
  throw new OverlayError('OVL_USAGE', `Bad --${flag} '${text}': an empty path`, {
    cure: 'Give a directory',
    value: text,
  });
}

function peersFrom(peers: readonly string[]): readonly string[] {
  const unique = [...new Set(peers)];
  if (unique.length <= MAX_PEERS) return unique;
  throw new OverlayError(
    'OVL_USAGE',
    `Too many peers: ${unique.length} are given, the limit is ${MAX_PEERS}`,
    {
      cure: 'Give a few; the others are found through them',
      value: String(unique.length),
    },
  );
}

/** A host name never stops the daemon: what is no label of it is cut or left out. */
function nicknameFrom(hostname: string): string {
  const visible = hostname.replaceAll(/\p{C}/gu, '');
  let label = visible;
  while (Buffer.byteLength(label) > 63) label = label.slice(0, -1);
  return label === '' ? 'unnamed' : label;
}
