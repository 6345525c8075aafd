import type { StatusDocument } from '../../api/control.js';
import { statusSchema } from '../../api/schemas.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderStatus } from '../render/status.js';
import { plural } from '../render/text.js';
import type { Verb } from '../verb.js';
import { timeoutMs, waitUntil } from '../wait.js';

export const statusVerb: Verb = {
  name: 'status',
  summary: 'this node, its links and what is wrong with them',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {
    wait: {
      value: 'ready|peers=N',
      help: 'first wait until the node is ready, or N nodes are reachable',
    },
    timeout: { value: 's', help: 'seconds to wait at most (30)' },
  },
  description: [
    'Shows this node, how many nodes it can reach now (itself included), the state of every contact it was given, and warnings with their cure.',
    "'ready' means: sockets bound, interface up, address set. 'peers=N' means: at least N nodes reachable now by any path, this one included. Waiting also covers a daemon that is not up yet; when the time is over the exit code is 1, or 3 if no daemon answers.",
  ],
  examples: ['overlayctl status', 'overlayctl status --wait peers=2 --timeout 10'],
  run: async (call) => {
    const wanted = parseWait(call.option('wait'));
    const limitMs = timeoutMs(call);
    const look = (limit?: number): Promise<StatusDocument> =>
      call.client.get('/v1/status', statusSchema, limit);
    const status =
      wanted === undefined
        ? await look()
        : await waitUntil(call, limitMs, look, wanted.isDone, wanted.missing);
    call.print(status, () => renderStatus(status));
    return EXIT_DONE;
  },
};

interface Wanted {
  readonly isDone: (status: StatusDocument) => boolean;
  readonly missing: (status: StatusDocument) => string;
}

function parseWait(text: string | undefined): Wanted | undefined {
  if (text === undefined) return undefined;
  if (text === 'ready') {
    return { isDone: (status) => status.ready, missing: () => 'the node is not ready yet' };
  }
  const match = /^peers=([1-9]\d{0,4})$/.exec(text);
  if (match === null) {
    throw usageFailure(
      `--wait is '${text}'`,
      text,
      'Give ready, or peers=N with N from 1, this node included.',
    );
  }
  const count = Number(match[1]);
  return {
    isDone: ({ peers }) => peers.reachable >= count,
    missing: ({ peers, contacts }) =>
      [
        `${plural(peers.reachable, 'node')} of ${count} reachable`,
        ...contacts.flatMap(({ contact, state, reason }) =>
          state === 'established'
            ? []
            : `${contact} is ${state}${reason === null ? '' : ` (${reason})`}`,
        ),
      ].join('; '),
  };
}
