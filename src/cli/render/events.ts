import type { StreamedEvent } from '../client.js';
import { printable } from './text.js';

/** One line; the cure, where there is one, on a second. */
export function renderEvent(event: StreamedEvent): string[] {
  const about = [
    event.peer === undefined ? [] : `peer ${event.peer.slice(0, 8)}`,
    event.endpoint === undefined ? [] : event.endpoint,
  ].flat();
  const suffix = about.length === 0 ? '' : ` [${about.join(', ')}]`;
  return [
    printable(
      `${event.at}  ${event.level.padEnd(5)}  ${event.code.padEnd(18)}  ${event.message}${suffix}`,
    ),
    ...(event.cure === undefined ? [] : [printable(`    what to do: ${event.cure}`)]),
  ];
}
