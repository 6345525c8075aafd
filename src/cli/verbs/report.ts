import { reportSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { renderReport } from '../render/report.js';
import type { Verb } from '../verb.js';

export const reportVerb: Verb = {
  name: 'report',
  summary: 'everything the daemon knows about itself, for a bug report',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    'Status, peers, routes, paths, data-plane properties, counters, drops by reason, the FDB and recent events in one document. It names addresses and nicknames; it holds no keys, no password and no payload.',
  ],
  examples: ['overlayctl report', 'overlayctl --json report > report.json'],
  run: async (call) => {
    const report = await call.client.get('/v1/report', reportSchema);
    call.print(report, () => renderReport(report));
    return EXIT_DONE;
  },
};
