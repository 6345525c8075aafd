import type { ServerResponse } from 'node:http';
import type { DaemonControl, EventDocument } from './control.js';
import { SCHEMA_VERSION } from './control.js';

/*
 * Events as JSON lines. A followed stream stays open: each event is written as it happens, and an empty line after
 * HEARTBEAT_MS of silence tells the reader that the daemon lives. A reader that does not read is cut off rather than
 * remembered without bound: it reconnects with ?after=<last seq> and loses nothing that the ring still holds.
 */

export const HEARTBEAT_MS = 15_000;

/** Bytes waiting for a slow reader before it is cut off. */
export const MAX_BACKLOG_BYTES = 1 << 20;

/** Writes what the ring holds and ends. */
export function writeEvents(
  control: DaemonControl,
  response: ServerResponse,
  afterSeq: number,
): void {
  startStream(response);
  response.end(control.events(afterSeq).map(eventLine).join(''));
}

/** Writes what the ring holds, then each event as it happens, until the reader goes. */
export function followEvents(
  control: DaemonControl,
  response: ServerResponse,
  afterSeq: number,
): void {
  startStream(response);
  const write = (text: string): void => {
    response.write(text);
    if (response.writableLength > MAX_BACKLOG_BYTES) response.destroy();
  };
  const unsubscribe = control.onEvent((event) => write(eventLine(event)));
  response.once('close', unsubscribe);
  // Each write re-arms the time-out, so this fires once per silent interval.
  response.setTimeout(HEARTBEAT_MS, () => write('\n'));
  // No await between subscription and ring: nothing is missed, nothing comes twice.
  write(`${control.events(afterSeq).map(eventLine).join('')}\n`);
}

function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
}

function eventLine(event: EventDocument): string {
  return `${JSON.stringify({ schema: SCHEMA_VERSION, ...event })}\n`;
}
