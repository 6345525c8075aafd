import assert from 'node:assert/strict';

import { LocalAskers } from '../../../src/daemon/local-askers.js';
import type { Mac } from '../../../src/model/mac.js';
import type { NetworkId } from '../../../src/model/network.js';
import type { Attachment } from '../../../src/workload/model.js';

const [DEFAULT, BLUE] = [0, 5] as NetworkId[] as [NetworkId, NetworkId];
const idOf = (network: string): NetworkId => (network === 'blue' ? BLUE : DEFAULT);

function attachment(network: string, addresses: readonly string[], mac?: string): Attachment {
  return { network, addresses, mac: mac as Mac | undefined } as Attachment;
}

describe('who asks for names on this host', () => {
  const web = attachment('default', ['192.168.0.2/24', 'FD00:0::2/64'], '02:00:00:00:00:07');

  it('are its targets, by their addresses and the link-local one, on their own network', () => {
    const askers = new LocalAskers([web, attachment('blue', ['10.80.0.2/16'])], idOf);
    for (const own of ['192.168.0.2', 'fd00::2', 'fe80::ff:fe00:7']) {
      assert.equal(askers.has(DEFAULT, own), true, own);
      assert.equal(askers.has(BLUE, own), false, own);
    }
    assert.equal(askers.has(DEFAULT, '192.168.0.3'), false);
    assert.equal(askers.has(BLUE, '10.80.0.2'), true);
    assert.equal(askers.has(6, '10.80.0.2'), false);
  });

  it('may have any address on a network where one was attached without', () => {
    const askers = new LocalAskers([web, attachment('blue', [])], idOf);
    assert.equal(askers.has(BLUE, '192.168.0.3'), true);
    assert.equal(askers.has(DEFAULT, '192.168.0.3'), false);
  });
});
