import { peersSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { renderPeers } from '../render/peers.js';
import type { Verb } from '../verb.js';

export const peersVerb: Verb = {
  name: 'peers',
  summary: 'every node of the mesh that this one knows',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    'Lists this node first, then each peer: state of the link, the path in use (direct, relay or tcp), cipher, round-trip time, loss, largest datagram (PMTU) and bytes carried. WHY says what keeps a link from being established.',
    'States: connecting, handshaking, established, idle, retrying, rejected.',
  ],
  examples: ['overlayctl peers', 'overlayctl --json peers'],
  run: async (call) => {
    const peers = await call.client.get('/v1/peers', peersSchema);
    call.print(peers, () => renderPeers(peers, call.context.columns));
    return EXIT_DONE;
  },
};
