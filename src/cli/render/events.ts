import { EVENT_CODES } from '../../api/event-codes.js';
import type { StreamedEvent } from '../client.js';
import { printable } from './text.js';

const CODE_WIDTH = Math.max(...EVENT_CODES.map((code) => code.length));

/** One line; the cure, where there is one, on a second. */
export function renderEvent(event: StreamedEvent): string[] {
  const { peer, nickname, endpoint, message } = event;
  // What the message names already is not said again.
  const isNew = (text: string | undefined): text is string =>
    text !== undefined && !message.includes(text);
  const who = [nickname, peer?.slice(0, 8)].filter(isNew).join(' ');
  const about = [who === '' ? [] : `peer ${who}`, isNew(endpoint) ? endpoint : []].flat();
  const times = event.count === undefined ? '' : ` (${event.count} times)`;
  const suffix = `${times}${about.length === 0 ? '' : ` [${about.join(', ')}]`}`;
  return [
    printable(
      `${event.at}  ${event.level.padEnd(5)}  ${event.code.padEnd(CODE_WIDTH)}  ${event.message}${suffix}`,
    ),
    ...(event.cure === undefined ? [] : [printable(`    what to do: ${event.cure}`)]),
  ];
}
