import { EVENT_CODES } from '../../api/event-codes.js';
import type { StreamedEvent } from '../client.js';
import { printable } from './text.js';

const CODE_WIDTH = Math.max(...EVENT_CODES.map((code) => code.length));

/** One line; the cure, where there is one, on a second. */
export function renderEvent(event: StreamedEvent): string[] {
  const about = [
    event.peer === undefined ? [] : { label: 'peer ', value: event.peer.slice(0, 8) },
    event.endpoint === undefined ? [] : { label: '', value: event.endpoint },
  ]
    .flat()
    .filter(({ value }) => !event.message.includes(value))
    .map(({ label, value }) => `${label}${value}`);
  const suffix = about.length === 0 ? '' : ` [${about.join(', ')}]`;
  return [
    printable(
      `${event.at}  ${event.level.padEnd(5)}  ${event.code.padEnd(CODE_WIDTH)}  ${event.message}${suffix}`,
    ),
    ...(event.cure === undefined ? [] : [printable(`    what to do: ${event.cure}`)]),
  ];
}
