import { attachmentsSchema } from '../../api/schemas.js';
import { EXIT_DONE } from '../failure.js';
import { renderAttachments } from '../render/attachments.js';
import type { Verb } from '../verb.js';

export const psVerb: Verb = {
  name: 'ps',
  summary: 'what is attached and exposed on this host',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    "Lists the targets on this host's networks with interface, MAC and addresses. A target that is not there now is 'waiting': it gets all of it again when it comes back. What 'overlayctl expose' gave this host itself stands behind them, as 'exposed'.",
  ],
  examples: ['overlayctl ps', 'overlayctl --json ps'],
  run: async (call) => {
    const document = await call.client.get('/v1/ps', attachmentsSchema);
    call.print(document, () => renderAttachments(document, call.context.columns));
    return EXIT_DONE;
  },
};
