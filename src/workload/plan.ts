import { shapeOf } from './derive.js';
import type { Attachment } from './model.js';
import type { FoundPort, TargetLocation } from './ports.js';

/*
 * What is missing between an attachment and what is there:
 *
 *   target gone                                 forget    it cannot come back
 *   target absent                               wait      its interface, if any, stays: the namespace may live on unnamed
 *   no port, of another target or shape         create
 *   port of no bridge or another one            rejoin
 *   else                                        keep
 */

export type Step = 'forget' | 'wait' | 'create' | 'rejoin' | 'keep';

export function planStep(
  attachment: Attachment,
  location: TargetLocation,
  port: FoundPort | undefined,
  bridge: string,
): Step {
  if (location.state === 'gone') return 'forget';
  if (location.state === 'absent') return 'wait';
  const mark = port?.mark;
  if (port === undefined || mark?.attachment !== attachment.id) return 'create';
  if (mark.inode !== location.inode || mark.shape !== shapeOf(attachment)) return 'create';
  return port.master === bridge ? 'keep' : 'rejoin';
}

/** Ports of our bridges that no attachment has: made by a process that died before it wrote them down. */
export function leftovers(
  ids: ReadonlySet<string>,
  ports: ReadonlyMap<string, FoundPort>,
  bridges: ReadonlySet<string>,
): readonly string[] {
  return [...ports]
    .filter(
      ([, { master, mark }]) =>
        bridges.has(master) && mark !== undefined && !ids.has(mark.attachment),
    )
    .map(([name]) => name);
}
