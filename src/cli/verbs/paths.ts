import { pathsSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { renderPaths } from '../render/peers.js';
import type { Verb } from '../verb.js';

export const pathsVerb: Verb = {
  name: 'paths',
  summary: 'every way to a peer, what it costs, and why the one in use was chosen',
  synopsis: '<peer>',
  minArguments: 1,
  maxArguments: 1,
  options: {},
  description: [
    'Lists every candidate with its measurements and the terms of its cost, marks the one in use, and says when and why the path last changed.',
    '<peer> is a nickname, or at least 8 digits of an id.',
  ],
  examples: ['overlayctl paths web-2', 'overlayctl paths 3f2a9c10'],
  run: async (call) => {
    const peer = call.arguments[0] ?? '';
    const paths = await call.client.get(`/v1/paths/${encodeURIComponent(peer)}`, pathsSchema);
    call.print(paths, () => renderPaths(paths, call.context.columns));
    return EXIT_DONE;
  },
};
