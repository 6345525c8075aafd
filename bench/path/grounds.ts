import { type OverlaydVariant, overlayd, overlaydOfThree } from './peers/overlayd.js';
import type { Tunnel } from './tunnel.js';

/** What the systems of some scenarios stand on. Scenarios with the same ground share the running systems. */
export interface Ground {
  readonly name: string;
  /** Of the underlay. */
  readonly mtuBytes: number;
  /** @param cipher as the run was told, undefined: what the daemons choose */
  ours(cipher: string | undefined): Tunnel;
  /** What ours is compared with, out of the peers that the run was told. */
  others(peers: readonly Tunnel[]): readonly Tunnel[];
}

const all = (peers: readonly Tunnel[]): readonly Tunnel[] => peers;
const ours = (cipher: string | undefined): Tunnel => overlayd({ cipher });

/** Two hosts on a veth pair. */
export const PLAIN: Ground = { name: 'plain', mtuBytes: 1500, ours, others: all };
/** The same with jumbo frames. */
export const JUMBO: Ground = { name: 'MTU 9000', mtuBytes: 9000, ours, others: all };

/** Two hosts whose CPU has nothing for ciphers, as far as overlayd is concerned; against those of its kind. */
const withoutHelp = (cipher: string): Ground => ({
  name: `libsodium only, ${cipher}`,
  mtuBytes: 1500,
  ours: () => overlayd({ cipher, isLibsodiumOnly: true }),
  others: (peers) => peers.filter(({ name }) => name === 'tinc' || name.startsWith('wireguard-go')),
});
export const LIBSODIUM_CHACHA = withoutHelp('chacha20poly1305');
export const LIBSODIUM_NACL = withoutHelp('xsalsa20poly1305');

const VARIANTS: readonly OverlaydVariant[] = [
  { cipher: 'chacha20poly1305' },
  { cipher: 'xsalsa20poly1305' },
  { cipher: 'aes256gcm', isLibsodiumOnly: true },
  { cipher: 'chacha20poly1305', isLibsodiumOnly: true },
];

/** overlayd as it chooses against overlayd with each other cipher and provider. */
export const CIPHERS: Ground = {
  name: 'ciphers',
  mtuBytes: 1500,
  ours,
  others: () =>
    VARIANTS.map((variant) => {
      const { cipher = '', isLibsodiumOnly = false } = variant;
      return overlayd(variant, `${cipher}${isLibsodiumOnly ? '-libsodium' : ''}`);
    }),
};

/** Two hosts that reach each other through a third alone, against the same three with a cable between the two. */
export const RELAYED: Ground = {
  name: 'relayed',
  mtuBytes: 1500,
  ours: () => overlaydOfThree('relayed'),
  others: () => [overlaydOfThree('direct')],
};
