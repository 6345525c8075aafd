import { OverlayError } from '../base/errors.js';
import { OFFLOADS, type Offload } from '../dataplane/native.js';

/*
 * Settings for tests and for hunting faults (docs/debugging.md). They come by the environment alone, and only beside
 * OVERLAYD_DEBUG=1: none of them may reach a mesh by a forgotten line in a configuration file.
 */

export interface DebugSettings {
  /** OVERLAYD_DEBUG=1: core dumps and ptrace stay possible. */
  readonly isDebugging: boolean;
  /** Milliseconds between rekeys; undefined: as the protocol says. */
  readonly rekeyAfterMs: number | undefined;
  /** Milliseconds of silence after which a peer may be removed; undefined: as the protocol says. */
  readonly removalSilenceMs: number | undefined;
  /** Leave the faster cipher providers aside, to compare. */
  readonly isLibsodiumOnly: boolean;
  /** Leave these offloads of the kernel aside. */
  readonly without: readonly Offload[];
}

const PREFIX = 'OVERLAYD_DEBUG_';
const REKEY = `${PREFIX}REKEY_MS`;
const REMOVAL = `${PREFIX}REMOVAL_MS`;
const PROVIDER = `${PREFIX}PROVIDER`;
const WITHOUT = `${PREFIX}WITHOUT`;
/** Shorter than a round trip it would only repeat itself. */
const MIN_REKEY_MS = 20;
/** Shorter than a lost path is noticed every peer would look silent. */
const MIN_REMOVAL_MS = 1000;

/** @throws OverlayError OVL_USAGE for one without OVERLAYD_DEBUG=1, an unknown one or a value that makes no sense */
export function readDebugSettings(env: Readonly<NodeJS.ProcessEnv>): DebugSettings {
  const isDebugging = env['OVERLAYD_DEBUG'] === '1';
  for (const name of Object.keys(env).filter((key) => key.startsWith(PREFIX))) {
    if (!isDebugging) throw refusal(name, 'is for tests', 'Unset it, or set OVERLAYD_DEBUG=1 too');
    if (![REKEY, REMOVAL, PROVIDER, WITHOUT].includes(name))
      throw refusal(name, 'is unknown', 'Unset it');
  }
  return {
    isDebugging,
    rekeyAfterMs: millisecondsOf(REKEY, env[REKEY], MIN_REKEY_MS),
    removalSilenceMs: millisecondsOf(REMOVAL, env[REMOVAL], MIN_REMOVAL_MS),
    isLibsodiumOnly: providerOf(env[PROVIDER]),
    without: withoutOf(env[WITHOUT]),
  };
}

function millisecondsOf(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (value >= least) return value;
  throw refusal(name, `cannot be '${text}'`, `Give milliseconds, at least ${least}`);
}

function providerOf(text: string | undefined): boolean {
  if (text === undefined || text === 'libsodium') return text !== undefined;
  throw refusal(PROVIDER, `cannot be '${text}'`, 'Give libsodium');
}

function withoutOf(text = ''): readonly Offload[] {
  const names = text.split(',').filter((name) => name !== '');
  const known: readonly string[] = OFFLOADS;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return OFFLOADS.filter((name) => names.includes(name));
  throw refusal(WITHOUT, `cannot name '${unknown}'`, `Give some of ${OFFLOADS.join(',')}`);
}

function refusal(name: string, what: string, cure: string): OverlayError {
  return new OverlayError('OVL_USAGE', `${name} ${what}`, { cure, value: name });
}
