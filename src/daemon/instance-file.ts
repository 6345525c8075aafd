import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { toHex } from '../base/bytes.js';
import { writeFileAtomically } from './state-dir.js';

/*
 * instances.json: { "version": 1, "instances": ["<8 bytes, hex>", …] }, newest last. A statement of one of these is an
 * earlier run of this very state directory; of any other, a clone. A copy of the directory goes on with a list of its own.
 */

const FILE = 'instances.json';
const KEPT = 1024;
const INSTANCE = /^[0-9a-f]{16}$/;

export class InstanceFile {
  readonly #path: string;
  readonly #instances: string[];

  /** A file that cannot be read counts as empty: at worst the node takes a new identity. */
  constructor(stateDir: string) {
    this.#path = join(stateDir, FILE);
    this.#instances = readInstances(this.#path);
  }

  has(instance: Uint8Array): boolean {
    return this.#instances.includes(toHex(instance));
  }

  /** On disk when it returns. @throws OverlayError OVL_STATE_DIR */
  add(instance: Uint8Array): void {
    this.#instances.push(toHex(instance));
    const instances = this.#instances.slice(-KEPT);
    writeFileAtomically(this.#path, `${JSON.stringify({ version: 1, instances })}\n`);
  }
}

function readInstances(path: string): string[] {
  try {
    const document: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const { instances } = document as { instances?: unknown };
    if (!Array.isArray(instances)) return [];
    return instances.filter(
      (text): text is string => typeof text === 'string' && INSTANCE.test(text),
    );
  } catch {
    return [];
  }
}
