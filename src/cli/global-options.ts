import type { VerbOption } from './verb.js';

/** Taken before the verb and behind it alike. */
export const GLOBAL_OPTIONS: Readonly<Record<string, VerbOption>> = {
  socket: {
    value: 'path',
    help: "the daemon's socket (OVERLAYD_SOCKET, /run/overlayd/overlayd.sock)",
  },
  json: { help: 'print JSON; errors too, on stderr' },
  help: { help: 'print help and exit' },
};
