import { EXIT_DONE, unreachable, usageFailure } from '../failure.js';
import { renderEvent } from '../render/events.js';
import { escapedJson } from '../render/text.js';
import type { Verb } from '../verb.js';

export const eventsVerb: Verb = {
  name: 'events',
  summary: 'what happened lately, and with --follow what happens',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {
    follow: { help: 'go on with each event as it happens, until interrupted' },
    after: { value: 'seq', help: 'only events with a higher sequence number (0)' },
  },
  description: [
    'Prints the last events (up to 1000, since the daemon started), oldest first: links that came and went, wrong passwords, address conflicts, fall-backs that were taken. With --json one JSON document a line.',
    'docs/operations.md explains every code. With --follow the exit code is 3 when the daemon goes away.',
  ],
  examples: ['overlayctl events', 'overlayctl --json events --follow | jq -r .code'],
  run: async (call) => {
    const follow = call.isSet('follow');
    const afterText = call.option('after') ?? '0';
    if (!/^\d{1,15}$/.test(afterText)) {
      throw usageFailure(
        `--after is '${afterText}'`,
        afterText,
        "Give the 'seq' of an event, a whole number.",
      );
    }
    await call.client.events({ after: Number(afterText), follow }, (event) => {
      const lines = call.isJson ? [escapedJson(event)] : renderEvent(event);
      call.context.out(`${lines.join('\n')}\n`);
    });
    if (!follow) return EXIT_DONE;
    throw unreachable(
      `The daemon at ${call.client.socketPath} has ended the stream`,
      call.client.socketPath,
      'It stopped, or this reader was too slow: run the command again.',
    );
  },
};
