import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { probeIpv4 } from '../../src/netdev/address-probe.js';

describe('the address probe', () => {
  it('ends although garbage is collected between its two ARP requests', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    let hasEnded = false;
    const probe = probeIpv4('lo', '127.0.0.9').then((mac) => {
      hasEnded = true;
      return mac;
    });
    for (let turn = 0; turn < 100 && !hasEnded; turn++) {
      collect();
      await delay(20);
    }
    assert.ok(hasEnded, 'still waiting after 2 s');
    assert.equal(await probe, undefined);
  });
});
