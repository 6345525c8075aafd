import type { StatusDocument } from '../../api/control.js';
import { connectSchema, statusSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import type { Verb } from '../verb.js';
import { timeoutMs, waitUntil } from '../wait.js';

export const connectVerb: Verb = {
  name: 'connect',
  summary: 'store further contacts and dial them',
  synopsis: '<endpoint>...',
  minArguments: 1,
  maxArguments: 64,
  options: {
    wait: { help: 'return only when a link to each of them is established' },
    timeout: { value: 's', help: 'seconds to wait at most, with --wait (30)' },
  },
  description: [
    "Adds the endpoints to this node's contacts, as --peer does, but they are kept over restarts until 'overlayctl forget'. An endpoint is host[:port] or [v6]:port; without a port this node's own is taken. Names are resolved again on every attempt; an endpoint that does not answer is tried for ever.",
    'Storing an endpoint that is stored already is not an error.',
  ],
  examples: [
    'overlayctl connect 192.0.2.7',
    'overlayctl connect --wait hub.example.net [2001:db8::7]:6783',
  ],
  run: async (call) => {
    const limitMs = timeoutMs(call);
    const stored = await call.client.post(
      '/v1/connect',
      { contacts: call.arguments },
      connectSchema,
    );
    if (call.isSet('wait')) {
      await waitUntil(
        call,
        limitMs,
        (limit) => call.client.get('/v1/status', statusSchema, limit),
        (status) => unlinked(stored.contacts, status).length === 0,
        (status) => unlinked(stored.contacts, status).join('; '),
      );
    }
    const done = call.isSet('wait') ? 'Connected to' : 'Stored, dialling now:';
    call.print(stored, () => stored.contacts.map((contact) => `${done} ${contact}`));
    return EXIT_DONE;
  },
};

/** Those without an established link, each with its reason. */
function unlinked(contacts: readonly string[], status: StatusDocument): string[] {
  return contacts.flatMap((contact) => {
    const entry = status.contacts.find((known) => known.contact === contact);
    if (entry?.state === 'established') return [];
    const why = entry?.reason ? ` (${entry.reason})` : '';
    return `${contact} is ${entry?.state ?? 'not known'}${why}`;
  });
}
