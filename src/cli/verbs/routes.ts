import { routesSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { renderRoutes } from '../render/peers.js';
import type { Verb } from '../verb.js';

export const routesVerb: Verb = {
  name: 'routes',
  summary: 'how frames travel to each reachable peer',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    'For each peer that frames can be sent to now: the kind of path, the relays in between, and its cost. Lower cost is better; docs/protocol.md §6 has the formula.',
  ],
  examples: ['overlayctl routes'],
  run: async (call) => {
    const routes = await call.client.get('/v1/routes', routesSchema);
    call.print(routes, () => renderRoutes(routes));
    return EXIT_DONE;
  },
};
