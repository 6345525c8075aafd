import { must } from '../../../test/netns/lib/exec.js';
import type { Tunnel } from '../tunnel.js';
import { INNER_A, INNER_B, configure, jumboMtu, packageVersion, startPair } from './daemon-pair.js';

/** fastd in tap mode with its fast default, salsa2012+umac. */
export const fastd: Tunnel = {
  name: 'fastd',
  packages: ['fastd'],
  start: async (pair) => {
    const keys = await Promise.all(
      [0, 1].map(async () => {
        const text = await must(['fastd', '--generate-key']);
        const secret = /Secret: (\w+)/.exec(text)?.[1];
        const open = /Public: (\w+)/.exec(text)?.[1];
        if (secret === undefined || open === undefined)
          throw new Error(`fastd made no key: ${text}`);
        return { secret, open };
      }),
    );
    const end = async (own: number, name: string, inner: string) => {
      const [host, other] = own === 0 ? [pair.a, pair.b] : [pair.b, pair.a];
      const file = await configure(
        pair,
        'fastd',
        `${name}.conf`,
        `mode tap;\ninterface "fastd0";\nmethod "salsa2012+umac";\nbind ${host.address(4)}:10000;\n` +
          `mtu ${String(jumboMtu(pair) ?? 1400)};\nsecret "${keys[own]?.secret ?? ''}";\n` +
          `peer "other" { key "${keys[1 - own]?.open ?? ''}"; remote ipv4 "${other.address(4)}":10000; }\n`,
      );
      return { host, ifName: 'fastd0', inner, argv: ['fastd', '-c', file] };
    };
    const ends = [await end(0, 'a', INNER_A), await end(1, 'b', INNER_B)];
    const version = await packageVersion('fastd');
    return startPair(pair, ends, `fastd ${version}, salsa2012+umac`);
  },
};
