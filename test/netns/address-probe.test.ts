import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { probeIpv4 } from '../../src/netdev/address-probe.js';

describe('the address probe', () => {
  it('ends although garbage is collected between its two ARP requests', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const collecting = async (): Promise<string> => {
      for (let turn = 0; turn < 100; turn++) {
        collect();
        await delay(20);
      }
      return 'still waiting after 2 s';
    };
    assert.equal(await Promise.race([probeIpv4('lo', '127.0.0.9'), collecting()]), undefined);
  });
});
