import { must } from '../../../test/netns/lib/exec.js';
import type { Tunnel } from '../tunnel.js';
import { INNER_A, INNER_B, configure, jumboMtu, packageVersion, startPair } from './daemon-pair.js';

/** OpenVPN point to point over UDP in tap mode, AES-256-GCM, with certificates known by their fingerprint. */
export const openvpn: Tunnel = {
  name: 'openvpn',
  packages: ['openvpn', 'openssl'],
  start: async (pair) => {
    const certify = async (name: string) => {
      const key = await configure(pair, 'openvpn', `${name}.key`, '');
      const certificate = await configure(pair, 'openvpn', `${name}.crt`, '');
      await must(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
          .concat(['-nodes', '-days', '2', '-subj', `/CN=${name}`])
          .concat(['-keyout', key, '-out', certificate]),
      );
      const text = await must(
        ['openssl', 'x509', '-noout', '-fingerprint', '-sha256'].concat('-in', certificate),
      );
      return { key, certificate, fingerprint: text.trim().split('=')[1] ?? '' };
    };
    const keys = { a: await certify('a'), b: await certify('b') };
    const end = (name: 'a' | 'b', inner: string) => {
      const [own, other] = name === 'a' ? [keys.a, keys.b] : [keys.b, keys.a];
      const [host, far] = name === 'a' ? [pair.a, pair.b] : [pair.b, pair.a];
      const mtu = jumboMtu(pair);
      const argv = ['openvpn', '--dev', 'ovpn0', '--dev-type', 'tap', '--proto', 'udp4']
        .concat(['--local', host.address(4), '--remote', far.address(4), '--port', '1194'])
        .concat(name === 'a' ? ['--tls-server', '--dh', 'none'] : ['--tls-client'])
        .concat(['--key', own.key, '--cert', own.certificate])
        .concat(['--peer-fingerprint', other.fingerprint, '--cipher', 'AES-256-GCM'])
        .concat(mtu === undefined ? [] : ['--tun-mtu', String(mtu)]);
      return { host, ifName: 'ovpn0', inner, argv };
    };
    const version = await packageVersion('openvpn');
    const ends = [end('a', INNER_A), end('b', INNER_B)];
    return startPair(pair, ends, `OpenVPN ${version}, AES-256-GCM, tap`);
  },
};
