/**
 * What can be put on a network. Containers resolve to one of these kinds' siblings when a resolver for them is given
 * (workload/ports.ts); everything below works on the namespace that a resolver finds.
 */
export type Target =
  /** A namespace with a name: a file in /run/netns. The name outlives the namespace. */
  | { readonly kind: 'netns'; readonly name: string }
  /** A namespace somebody bound to a file elsewhere. */
  | { readonly kind: 'path'; readonly path: string }
  /** The namespace of a process. `startTicks` (proc(5) stat, field 22) tells it from a later one with its number. */
  | { readonly kind: 'pid'; readonly pid: number; readonly startTicks: string }
  /** A persistent TAP of ours, for a VM to open. */
  | { readonly kind: 'tap'; readonly name: string };

/** As people type and read it; unique per target. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case 'netns':
      return target.name;
    case 'path':
      return target.path;
    case 'pid':
      return `pid:${target.pid}`;
    case 'tap':
      return `tap:${target.name}`;
  }
}

/** Under which it is stored and serialised: like the text, but no name can be taken for another kind. */
export function targetKey(target: Target): string {
  switch (target.kind) {
    case 'netns':
      return `netns:${target.name}`;
    case 'path':
      return `path:${target.path}`;
    case 'pid':
      return `pid:${target.pid}:${target.startTicks}`;
    case 'tap':
      return `tap:${target.name}`;
  }
}
