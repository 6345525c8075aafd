import { SCHEMA_VERSION } from '../../api/control.js';
import { statusSchema } from '../../api/schemas.js';
import type { Check } from '../host-checks.js';
import { checkHost } from '../host-checks.js';
import { EXIT_DONE, EXIT_REFUSED, toCliFailure } from '../failure.js';
import { printable } from '../render/text.js';
import { renderTable } from '../render/table.js';
import type { Verb, VerbCall } from '../verb.js';

export const doctorVerb: Verb = {
  name: 'doctor',
  summary: 'check that this host can run overlayd, and that it does',
  synopsis: '',
  minArguments: 0,
  maxArguments: 0,
  options: {},
  description: [
    'Looks at /dev/net/tun, the permission to configure interfaces, the tools ip and nft, the kernel, the clock, the socket and the daemon behind it; for everything amiss it says what to do. Changes nothing.',
    'Exit code 1 when a check failed; a warning (a daemon that was not started yet) leaves it 0.',
  ],
  examples: [
    'overlayctl doctor',
    'overlayctl --json doctor | jq \'.checks[] | select(.state != "ok")\'',
  ],
  run: async (call) => {
    const checks = [...checkHost(call.context), ...(await checkDaemon(call))];
    const ok = checks.every(({ state }) => state !== 'fail');
    call.print({ schema: SCHEMA_VERSION, ok, checks }, () => [
      ...renderTable(
        [{ title: 'CHECK' }, { title: 'RESULT' }, { title: 'FOUND' }],
        checks.map(({ name, state, found }) => [name, state, found]),
      ),
      ...checks
        .filter(({ cure }) => cure !== '')
        .flatMap(({ name, cure }) => ['', `${name}: ${printable(cure)}`]),
    ]);
    return ok ? EXIT_DONE : EXIT_REFUSED;
  },
};

async function checkDaemon(call: VerbCall): Promise<Check[]> {
  try {
    const status = await call.client.get('/v1/status', statusSchema);
    return [
      {
        name: 'daemon',
        state: status.ready ? 'ok' : 'warn',
        found: `version ${status.self.version}, pid ${status.self.pid}, ${status.ready ? 'ready' : 'starting'}`,
        cure: status.ready ? '' : "Wait for it: 'overlayctl status --wait ready'.",
      },
      ...status.warnings.map(({ code, message, cure }): Check => ({
        name: code,
        state: 'warn',
        found: message,
        cure,
      })),
    ];
  } catch (error) {
    const failure = toCliFailure(error);
    return [
      {
        name: 'daemon',
        state: failure.isAbsent ? 'warn' : 'fail',
        found: failure.message,
        cure: failure.cure,
      },
    ];
  }
}
