import { OverlayError } from '../base/errors.js';
import type { PasswordFrom } from './config.js';
import type { HostWarning } from './ports.js';

/*
 * The password's sources: a flag, the configuration file, OVERLAYD_PASSWORD, the systemd credential
 * `overlayd-password`; the first that is given counts. An empty one is a mistake, never a reason to look further.
 */

const MAX_PASSWORD_BYTES = 1024;
/** Below it a dictionary attack by way of joining becomes thinkable: about 64 bits at five a character. */
const SHORT_PASSWORD_CHARACTERS = 12;
const CREDENTIAL_NAME = 'overlayd-password';

export interface PasswordSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** At most `maxBytes + 1`; path `-` is standard input. Throws what fs throws. */
  readFile(path: string, maxBytes: number): string;
}

/** @throws OverlayError OVL_PASSWORD_MISSING, OVL_USAGE; never with the password in it */
export function readPassword(from: PasswordFrom, sources: PasswordSources): string {
  switch (from.kind) {
    case 'given':
      return checked(from.password, '--password', '');
    case 'file':
      return fromFile(from.path, `--password-file ${from.path}`, sources);
    case 'elsewhere':
      return fromElsewhere(sources);
  }
}

function fromElsewhere(sources: PasswordSources): string {
  const inEnv = sources.env['OVERLAYD_PASSWORD'];
  if (inEnv !== undefined) return checked(inEnv, 'OVERLAYD_PASSWORD', '');
  const folder = sources.env['CREDENTIALS_DIRECTORY'];
  if (folder !== undefined && folder !== '') {
    const path = `${folder}/${CREDENTIAL_NAME}`;
    try {
      return fromFile(path, `systemd credential ${CREDENTIAL_NAME}`, sources);
    } catch (error) {
      const isAbsent = error instanceof OverlayError && error.fields['errno'] === 'ENOENT';
      if (!isAbsent) throw error;
    }
  }
  throw new OverlayError('OVL_PASSWORD_MISSING', 'No password is given', {
    cure: 'Give --password-file <file>, OVERLAYD_PASSWORD or --password <text>, the same on all nodes of the mesh',
  });
}

function fromFile(path: string, source: string, sources: PasswordSources): string {
  let text: string;
  try {
    text = sources.readFile(path, MAX_PASSWORD_BYTES);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new OverlayError(
      'OVL_PASSWORD_MISSING',
      `Cannot read the password from ${path}: ${errno}`,
      {
        cure: 'Check the path and its permissions',
        value: path,
        fields: { errno },
        cause,
      },
    );
  }
  // Editors and `echo` end a file by a newline; no other white space is anybody's mistake to correct.
  return checked(text.replace(/\r?\n$/, ''), source, path);
}

function checked(password: string, source: string, value: string): string {
  if (password === '') {
    throw new OverlayError('OVL_PASSWORD_MISSING', `The password from ${source} is empty`, {
      cure: 'Give one of 12 characters or more, the same on all nodes of the mesh',
      value,
    });
  }
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES || /[\n\r\0]/.test(password)) {
    throw new OverlayError(
      'OVL_USAGE',
      `The password from ${source} is too long or has several lines`,
      {
        cure: `Give one line of at most ${MAX_PASSWORD_BYTES} bytes`,
        value,
      },
    );
  }
  return password;
}

/** A short password is used, with a warning. */
export function passwordWarning(password: string): HostWarning | undefined {
  if (Array.from(password.normalize('NFC')).length >= SHORT_PASSWORD_CHARACTERS) return undefined;
  return {
    code: 'short-password',
    message: `The mesh's password has fewer than ${SHORT_PASSWORD_CHARACTERS} characters`,
    cure: 'Choose a longer one on all nodes, e.g. from: openssl rand -base64 12',
  };
}
