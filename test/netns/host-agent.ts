/*
 * Started by host-interface.test.ts inside a network namespace, because a process cannot move itself there: does what
 * its parent asks for over the IPC channel and answers.
 */
import { createHostInterface } from '../../src/netdev/host-interface.js';
import { OverlayError } from '../../src/base/errors.js';
import type { HostCall, HostReply } from './host-call.js';

const [ifName = '', meshHex = '', peerId = ''] = process.argv.slice(2);
const host = createHostInterface({
  ifName,
  meshId: Buffer.from(meshHex, 'hex'),
  peerId: peerId as Parameters<typeof createHostInterface>[0]['peerId'],
  mtuBytes: 1388,
  pool: '10.32.0.0/12',
  isPoolKnown: false,
});

process.on('message', (call: HostCall) => {
  perform(call).then(
    (value) => process.send?.({ value } satisfies HostReply),
    (error: unknown) => {
      const known = error instanceof OverlayError;
      process.send?.({
        error: {
          code: known ? error.code : 'not an OverlayError',
          message: String(error),
          cure: known ? error.cure : '',
        },
      } satisfies HostReply);
    },
  );
});

function perform(call: HostCall): Promise<unknown> {
  switch (call.method) {
    case 'up':
      return host.up(call.mac);
    case 'setAddresses':
      return host.setAddresses(call.cidrs);
    case 'probeAddress':
      return host.probeAddress(call.address);
    case 'downNow':
      host.downNow();
      return Promise.resolve();
    case 'preflight':
    case 'warnings':
    case 'down':
    case 'removeEverything':
      return host[call.method]();
  }
}
