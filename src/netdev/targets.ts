import { OverlayError } from '../base/errors.js';
import type { Target } from '../model/target.js';
import {
  isNamespaceName,
  isNamespacePath,
  isOwnNamespace,
  nameOfPath,
  namedNamespacePath,
  namespaceAt,
  startTicksOf,
  type NamespaceFile,
} from './namespaces.js';

/*
 * From what is typed to what is meant, and where that is now:
 *
 *   tap:<name>      a TAP of ours                      always there
 *   pid:<n>         the namespace of a process         gone for good with it
 *   /a/path         a file of nsfs                     may come back; in /run/netns the same as its name
 *   name            /run/netns/<name>                  may come back
 */

type Location =
  | { readonly state: 'present'; readonly path: string; readonly inode: number }
  | { readonly state: 'absent' }
  | { readonly state: 'gone' };

/** What a TAP may be called: a name that `ip` and the kernel take, and that no option begins with. */
const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

const KINDS = "Give a namespace ('ip netns list') by name or path, pid:<number>, or tap:<name>.";

/** The port of workload/ports.ts. */
export const namespaceTargets = {
  find(text: string): Target {
    const target = parse(text);
    const location = locateTarget(target);
    if (location.state !== 'present') throw unknown(text, triedOf(target));
    if (target.kind !== 'tap' && isOwnNamespace(location)) {
      throw new OverlayError(
        'OVL_TARGET_CONFLICT',
        `'${text}' is the namespace that overlayd itself runs in`,
        { value: text, cure: 'Name the namespace of a container or another program.' },
      );
    }
    return target;
  },
  locate: locateTarget,
};

function locateTarget(target: Target): Location {
  switch (target.kind) {
    case 'tap':
      return { state: 'present', path: '', inode: 0 };
    case 'netns':
      return found(namespaceAt(namedNamespacePath(target.name)));
    case 'path':
      return found(namespaceAt(target.path));
    case 'pid': {
      if (startTicksOf(target.pid) !== target.startTicks) return { state: 'gone' };
      const file = namespaceAt(`/proc/${target.pid}/ns/net`);
      return file === undefined ? { state: 'gone' } : found(file);
    }
  }
}

function found(file: NamespaceFile | undefined): Location {
  return file === undefined ? { state: 'absent' } : { state: 'present', ...file };
}

function parse(text: string): Target {
  const [, kind, rest = ''] = /^([a-z]+):(.*)$/.exec(text) ?? [];
  if (kind === 'tap') {
    if (INTERFACE_NAME.test(rest)) return { kind, name: rest };
    throw unknown(text, 'an interface name of at most 15 characters');
  }
  if (kind === 'pid') return processTarget(rest, text);
  if (text.startsWith('/')) {
    const ofProcess = /^\/proc\/(\d+)\/ns\/net$/.exec(text);
    if (ofProcess !== null) return processTarget(ofProcess[1] ?? '', text);
    if (!isNamespacePath(text)) throw unknown(text, `namespace ${text}`);
    const name = nameOfPath(text);
    return name !== undefined && isNamespaceName(name)
      ? { kind: 'netns', name }
      : { kind: 'path', path: text };
  }
  const isName = isNamespaceName(text);
  // A namespace may be called anything, even 'docker:web'.
  const isThere = isName && namespaceAt(namedNamespacePath(text)) !== undefined;
  if (kind !== undefined && !isThere) throw unknownKind(text, kind, rest);
  if (!isName) throw unknown(text, 'a namespace of that name');
  return { kind: 'netns', name: text };
}

function processTarget(digits: string, text: string): Target {
  const pid = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0;
  const startTicks = pid === 0 ? undefined : startTicksOf(pid);
  if (startTicks === undefined) throw unknown(text, `process ${digits}`);
  return { kind: 'pid', pid, startTicks };
}

/** Containers are reached by their process; their engines tell it. */
function unknownKind(text: string, kind: string, rest: string): OverlayError {
  const isContainer = kind === 'docker' || kind === 'podman';
  const name = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(rest) ? rest : '<name>';
  return new OverlayError(
    'OVL_TARGET_UNKNOWN',
    `There is no target '${text}': '${kind}:' is no kind of target`,
    {
      value: text,
      cure: isContainer
        ? `Give the container's process: pid:$(${kind} inspect -f '{{.State.Pid}}' ${name})`
        : KINDS,
    },
  );
}

function triedOf(target: Target): string {
  switch (target.kind) {
    case 'netns':
      return `namespace ${namedNamespacePath(target.name)}`;
    case 'path':
      return `namespace ${target.path}`;
    case 'pid':
      return startTicksOf(target.pid) === target.startTicks
        ? `the namespace of process ${target.pid}, which overlayd may not look at`
        : `process ${target.pid}`;
    case 'tap':
      return `TAP ${target.name}`;
  }
}

function unknown(text: string, tried: string): OverlayError {
  return new OverlayError(
    'OVL_TARGET_UNKNOWN',
    `There is no target '${text}': looked for ${tried}`,
    {
      value: text,
      cure: KINDS,
    },
  );
}
