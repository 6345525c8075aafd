import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import type { Mac } from '../../../src/model/mac.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { linkLocalOf, nameServerAddress } from '../../../src/netdev/name-server-address.js';

describe('addresses of a name server', () => {
  it('follow from node and network, are link-local and nobody else has them', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i += 1) {
      const peer = createHash('md5').update(String(i)).digest('hex') as PeerId;
      const address = nameServerAddress(peer, i % 3);
      assert.equal(nameServerAddress(peer, i % 3), address);
      const [first, second, third = 0, fourth = 0] = address.split('.').map(Number);
      assert.deepEqual([first, second], [169, 254]);
      assert.ok(third > 0 && third < 255 && fourth > 0 && fourth < 255, address);
      assert.ok(third !== 169 && third !== 170, `${address} may be a cloud's`);
      seen.add(address);
    }
    assert.ok(seen.size > 1900);
  });

  it('are, for IPv6, what the kernel makes of the MAC', () => {
    assert.equal(linkLocalOf('02:00:5e:10:00:01' as Mac), 'fe80::0:5eff:fe10:1');
    assert.equal(linkLocalOf('3e:2a:9c:10:d4:e5' as Mac), 'fe80::3c2a:9cff:fe10:d4e5');
  });
});
