import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { OverlayError } from '../base/errors.js';
import type { Rng } from '../base/rng.js';
import type { Identity } from '../crypto/identity.js';
import { identityFromSeed } from '../crypto/identity.js';
import { stateDirError, writeFileAtomically } from './state-dir.js';

/*
 * identity.json, 0600:  { "version": 1, "seed": "<32 bytes, base64>", "parent": "<PeerId before, after a clone was met>" }
 *
 * A file of its own, apart from the database: whoever moves a node saves this one.
 */

const FILE = 'identity.json';
const VERSION = 1;
const SEED_BYTES = 32;

/**
 * The identity of the state directory, made at first start.
 * @throws OverlayError OVL_STATE_NEWER, OVL_STATE_DIR; an unreadable file is never replaced
 */
export function loadIdentity(stateDir: string, rng: Rng): Identity {
  const path = join(stateDir, FILE);
  const text = readIfThere(path);
  if (text !== undefined) return identityFromText(path, text);
  return makeIdentity(path, rng, {});
}

/** Another identity in place of `parent`, which is kept by name. @throws OverlayError OVL_STATE_DIR */
export function replaceIdentity(stateDir: string, rng: Rng, parent: Identity): Identity {
  return makeIdentity(join(stateDir, FILE), rng, { parent: parent.id });
}

function makeIdentity(path: string, rng: Rng, more: { readonly parent?: string }): Identity {
  const seed = rng.bytes(SEED_BYTES);
  const document = { version: VERSION, seed: Buffer.from(seed).toString('base64'), ...more };
  writeFileAtomically(path, `${JSON.stringify(document)}\n`);
  const identity = identityFromSeed(seed);
  seed.fill(0);
  return identity;
}

function readIfThere(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    chmodSync(path, 0o600);
    return text;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw stateDirError(path, 'Cannot read', cause);
  }
}

function identityFromText(path: string, text: string): Identity {
  const { version, seed } = parseDocument(path, text);
  if (typeof version === 'number' && version > VERSION) {
    throw new OverlayError(
      'OVL_STATE_NEWER',
      `${path} has version ${version}, this overlayd knows ${VERSION}`,
      {
        cure: 'Run the newer overlayd that wrote it, or choose another --state-dir',
        value: path,
      },
    );
  }
  const bytes = typeof seed === 'string' ? Buffer.from(seed, 'base64') : Buffer.alloc(0);
  if (version !== VERSION || bytes.length !== SEED_BYTES) throw damaged(path);
  return identityFromSeed(new Uint8Array(bytes));
}

function parseDocument(path: string, text: string): { version?: unknown; seed?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Its words would quote the file.
  }
  throw damaged(path);
}

function damaged(path: string): OverlayError {
  return new OverlayError('OVL_STATE_DIR', `Cannot use ${path}: it is damaged`, {
    cure: 'Restore it from a backup, or move it away: the node then gets a new identity',
    value: path,
  });
}
