import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { makeFolders } from '../base/system-folders.js';

/*
 * /etc/netns/<name>/resolv.conf, which `ip netns exec` puts in place of /etc/resolv.conf. The first line of ours says
 * whose it is: a file of the operator's is left alone, and one that a crash left behind is found again.
 */

const FOLDER = '/etc/netns';
const MARK = '# Written by overlayd';

export class ResolvConfFiles {
  readonly #mark: string;
  readonly #folder: string;
  readonly #warn: (message: string, about: { readonly err: unknown }) => void;
  /** As they were left; undefined: the folder is to be looked at. */
  #left: ReadonlyMap<string, string> | undefined;

  /** `owner`: one word; two daemons on a host have different ones. */
  constructor(
    owner: string,
    warn: (message: string, about: { readonly err: unknown }) => void,
    folder = FOLDER,
  ) {
    this.#mark = `${MARK} ${owner}; removed by overlayctl detach\n`;
    this.#folder = folder;
    this.#warn = warn;
  }

  /**
   * Exactly these files are ours afterwards: contents by name of the namespace. What fails is said. All that is there is
   * looked at the first time and after a failure, else what differs from the time before.
   */
  sync(wanted: ReadonlyMap<string, string>): void {
    const left = this.#left;
    this.#left = undefined;
    try {
      for (const name of left?.keys() ?? this.#names()) if (!wanted.has(name)) this.#remove(name);
      for (const [name, content] of wanted) {
        if (left?.get(name) !== content) this.#write(name, content);
      }
      this.#left = new Map(wanted);
    } catch (err) {
      this.#warn(`Files in ${this.#folder} cannot be written: namespaces there find no names`, {
        err,
      });
    }
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#folder);
    } catch {
      return [];
    }
  }

  #write(name: string, content: string): void {
    const path = this.#pathOf(name);
    const present = read(path);
    const text = this.#mark + content;
    if (present === text || (present !== undefined && !present.startsWith(MARK))) return;
    for (const folder of [this.#folder, join(this.#folder, name)]) makeFolder(folder);
    writeFileSync(`${path}.overlayd`, text);
    // Whatever the umask: programs of every user read it.
    chmodSync(`${path}.overlayd`, 0o644);
    renameSync(`${path}.overlayd`, path);
  }

  #remove(name: string): void {
    const path = this.#pathOf(name);
    if (read(path)?.startsWith(this.#mark) !== true) return;
    rmSync(path, { force: true });
    try {
      rmdirSync(join(this.#folder, name));
    } catch {
      // Holds other files of the operator's.
    }
  }

  #pathOf(name: string): string {
    return join(this.#folder, name, 'resolv.conf');
  }
}

function makeFolder(path: string): void {
  if (makeFolders(path)) chmodSync(path, 0o755);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
