import { join } from 'node:path';
import { must } from '../../../test/netns/lib/exec.js';
import type { Tunnel } from '../tunnel.js';
import { INNER_A, INNER_B, configure, startPair } from './daemon-pair.js';

/** Weave Net's router as a given binary, 2.x, in sleeve mode: user space, NaCl. It needs iptables and ipset beside it. */
export function weaver(binary: string): Tunnel {
  return {
    name: 'weaver',
    packages: ['iptables', 'ipset'],
    start: async (pair) => {
      const database = await configure(pair, 'weaver', 'README', 'state of a benchmark\n');
      const end = (name: 'a' | 'b', inner: string, mac: string) => ({
        host: name === 'a' ? pair.a : pair.b,
        // A Linux bridge that it makes itself; what is captured there goes through the tunnel.
        ifName: 'weave0',
        inner,
        env: { WEAVE_PASSWORD: 'benchmark', CHECKPOINT_DISABLE: '1' },
        argv: [binary, '--no-fastdp', '--weave-bridge', 'weave0', '--name', mac]
          .concat(['--nickname', name, '--no-dns', '--docker-api', '', '--http-addr', ''])
          .concat(['--db-prefix', join(database, '..', name), '--log-level', 'warning'])
          .concat(name === 'a' ? [] : [pair.a.address(4)]),
      });
      const [version = ''] = (await must([binary, '--version'])).split('\n');
      const ends = [end('a', INNER_A, '02:00:00:00:00:0a'), end('b', INNER_B, '02:00:00:00:00:0b')];
      return startPair(pair, ends, `${version}, sleeve, encrypted (${binary})`);
    },
  };
}
