import { SCHEMA_VERSION } from '../../api/control.js';
import { resetSchema, versionSchema } from '../../api/schemas.js';
import { EXIT_DONE, toCliFailure, usageFailure } from '../failure.js';
import type { Verb, VerbCall } from '../verb.js';

const DEFAULT_IFNAME = 'overlay0';
const GONE_TIMEOUT_MS = 5_000;
const GONE_POLL_MS = 50;

export const resetVerb: Verb = {
  name: 'reset',
  summary: 'take this node out and remove what it made on this host',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {
    ifname: {
      value: 'name',
      help: `the interface to remove when no daemon runs (${DEFAULT_IFNAME})`,
    },
  },
  description: [
    "Stops the daemon and removes its interface, addresses, stored contacts and known peers. The identity stays, so that the node comes back under its own id with the next 'overlayd'; one that was removed from the mesh ('overlayctl peer remove') takes a new identity instead, and joins as a new node.",
    'When no daemon runs, the interfaces that one left behind are removed; only those that carry its mark. What it stored stays in its state directory.',
  ],
  examples: ['overlayctl reset'],
  run: async (call) => {
    const ifName = parseIfName(call.option('ifname') ?? DEFAULT_IFNAME);
    try {
      const outcome = await call.client.post('/v1/reset', {}, resetSchema);
      await daemonGone(call);
      call.print(outcome, () => [
        'Removed interface, addresses, contacts and known peers; the daemon stops.',
      ]);
    } catch (error) {
      if (!toCliFailure(error).isAbsent) throw error;
      await removeLeftovers(call, ifName);
    }
    return EXIT_DONE;
  },
};

/** So that the next start meets no daemon that is still leaving; one that takes its time is no failure. */
async function daemonGone(call: VerbCall): Promise<void> {
  const { monotonicMs, sleep } = call.context;
  const deadlineMs = monotonicMs() + GONE_TIMEOUT_MS;
  while (monotonicMs() < deadlineMs) {
    try {
      await call.client.get('/v1/version', versionSchema);
    } catch (error) {
      if (toCliFailure(error).isAbsent) return;
    }
    await sleep(GONE_POLL_MS);
  }
}

async function removeLeftovers(call: VerbCall, ifName: string): Promise<void> {
  const removed = await call.context.removeLeftovers(ifName);
  call.print({ schema: SCHEMA_VERSION, reset: true, daemon: false, removed }, () =>
    removed.length === 0
      ? [`No daemon runs, and there is no interface ${ifName}: nothing to do.`]
      : [
          `No daemon runs. Removed: ${removed.join(', ')}.`,
          'Contacts and known peers are still in its state directory; remove that to lose them and the identity.',
        ],
  );
}

function parseIfName(text: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,12}$/i.test(text)) return text;
  throw usageFailure(
    `--ifname is '${text}'`,
    text,
    'Give the name of an interface, at most 13 characters.',
  );
}
