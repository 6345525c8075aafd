import { SCHEMA_VERSION } from '../../api/control.js';
import { versionSchema } from '../../api/schemas.js';
import { productVersion } from '../../api/version.js';
import { EXIT_DONE, EXIT_UNREACHABLE, toCliFailure } from '../failure.js';
import { printable } from '../render/text.js';
import type { Verb } from '../verb.js';

export const versionVerb: Verb = {
  name: 'version',
  summary: 'version of this program and of the running daemon',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    'Prints the version of overlayctl, and that of the daemon if one is reachable. Not finding a daemon is not an error here.',
  ],
  examples: ['overlayctl version'],
  run: async (call) => {
    const daemon = await call.client.get('/v1/version', versionSchema).catch((error: unknown) => {
      const failure = toCliFailure(error);
      if (failure.exitCode === EXIT_UNREACHABLE) return null;
      throw failure;
    });
    const version = productVersion();
    call.print({ schema: SCHEMA_VERSION, version, daemon: daemon?.version ?? null }, () => [
      `overlayctl ${version}`,
      daemon === null
        ? 'overlayd not reachable'
        : `overlayd ${printable(daemon.version)} (node ${printable(daemon.node)})`,
    ]);
    return EXIT_DONE;
  },
};
