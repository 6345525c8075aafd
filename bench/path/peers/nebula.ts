import { join } from 'node:path';
import { must } from '../../../test/netns/lib/exec.js';
import type { Tunnel } from '../tunnel.js';
import { INNER_A, INNER_B, configure, jumboMtu, packageVersion, startPair } from './daemon-pair.js';

/** nebula with AES-GCM, its default; a is the lighthouse. */
export const nebula: Tunnel = {
  name: 'nebula',
  packages: ['nebula'],
  start: async (pair) => {
    const readme = await configure(pair, 'nebula', 'README', 'keys of a benchmark\n');
    const at = (name: string): string => join(readme, '..', name);
    const ca = ['-ca-crt', at('ca.crt'), '-ca-key', at('ca.key')];
    const outCa = ['-out-crt', at('ca.crt'), '-out-key', at('ca.key')];
    await must(['nebula-cert', 'ca', '-name', 'bench', ...outCa]);
    const end = async (name: string, inner: string) => {
      const out = ['-out-crt', at(`${name}.crt`), '-out-key', at(`${name}.key`)];
      await must(['nebula-cert', 'sign', '-name', name, '-ip', `${inner}/24`, ...ca, ...out]);
      const isLighthouse = name === 'a';
      const config = {
        pki: { ca: at('ca.crt'), cert: at(`${name}.crt`), key: at(`${name}.key`) },
        static_host_map: isLighthouse ? {} : { [INNER_A]: [`${pair.a.address(4)}:4242`] },
        lighthouse: { am_lighthouse: isLighthouse, hosts: isLighthouse ? [] : [INNER_A] },
        listen: { host: '0.0.0.0', port: 4242 },
        tun: { dev: 'nebula0', mtu: jumboMtu(pair) ?? 1300 },
        firewall: {
          outbound: [{ port: 'any', proto: 'any', host: 'any' }],
          inbound: [{ port: 'any', proto: 'any', host: 'any' }],
        },
      };
      // JSON is YAML.
      const file = await configure(pair, 'nebula', `${name}.yml`, JSON.stringify(config));
      const host = isLighthouse ? pair.a : pair.b;
      const argv = ['nebula', '-config', file];
      return { host, ifName: 'nebula0', inner, isSelfConfigured: true, argv };
    };
    const ends = [await end('a', INNER_A), await end('b', INNER_B)];
    const version = await packageVersion('nebula');
    return startPair(pair, ends, `nebula ${version}, AES-256-GCM`);
  },
};
