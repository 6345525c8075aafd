import { waitFor } from '../../../test/netns/lib/wait.js';
import { Background } from '../process.js';
import type { Tunnel } from '../tunnel.js';
import { INNER_A, INNER_B, packageVersion, startPair } from './daemon-pair.js';

const PORT = '7654';

/** n2n as packaged: Twofish; the edges talk to each other directly after the supernode has introduced them. Its buffers hold no jumbo frames. */
export const n2n: Tunnel = {
  name: 'n2n',
  packages: ['n2n'],
  start: async (pair) => {
    const supernode = await Background.start(pair.a, ['supernode', '-l', PORT]);
    try {
      await waitFor('supernode', 5000, async () =>
        (await pair.a.must(['ss', '-Huln'])).includes(`:${PORT}`),
      );
      const end = (host: typeof pair.a, inner: string) => ({
        host,
        ifName: 'n2n0',
        inner,
        isSelfConfigured: true,
        argv: ['edge', '-d', 'n2n0', '-a', inner, '-s', '255.255.255.0', '-c', 'bench'].concat([
          '-k',
          'benchmark',
          '-l',
          `${pair.a.address(4)}:${PORT}`,
        ]),
      });
      const version = await packageVersion('n2n');
      const ends = [end(pair.a, INNER_A), end(pair.b, INNER_B)];
      return await startPair(pair, ends, `n2n ${version}, Twofish`, [supernode]);
    } catch (error) {
      await supernode.stop();
      throw error;
    }
  },
};
