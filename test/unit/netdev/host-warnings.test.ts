import assert from 'node:assert/strict';

import { macInReply } from '../../../src/netdev/address-probe.js';
import { hasCapability } from '../../../src/netdev/capabilities.js';
import {
  droppingForwardChain,
  droppingLegacyPolicy,
  reversePathWarning,
} from '../../../src/netdev/host-warnings.js';

const chain = (family: string, policy: string, hook = 'forward') => ({
  chain: {
    family,
    table: 'filter',
    name: 'FORWARD',
    handle: 1,
    type: 'filter',
    hook,
    prio: 0,
    policy,
  },
});
const accept = (ifName: string) => ({
  rule: {
    family: 'ip',
    table: 'filter',
    chain: 'FORWARD',
    expr: [
      { match: { op: '==', left: { meta: { key: 'iifname' } }, right: ifName } },
      { counter: { packets: 0, bytes: 0 } },
      { accept: null },
    ],
  },
});
const ruleset = (...nftables: unknown[]) => JSON.stringify({ nftables });

describe('host warnings', () => {
  it('a dropping forward policy is found, and nothing else is taken for one', () => {
    const found = (...objects: unknown[]) => droppingForwardChain(ruleset(...objects), 'overlay0');
    assert.equal(found(chain('ip', 'drop')), 'chain ip filter FORWARD');
    assert.equal(found(chain('inet', 'drop')), 'chain inet filter FORWARD');
    assert.equal(found(), undefined);
    assert.equal(found(chain('ip', 'accept')), undefined);
    assert.equal(found(chain('ip', 'drop', 'input')), undefined);
    assert.equal(found(chain('bridge', 'drop')), undefined);
  });

  it('a rule that accepts our interface is the cure, one for another interface is not', () => {
    assert.equal(
      droppingForwardChain(ruleset(chain('ip', 'drop'), accept('overlay0')), 'overlay0'),
      undefined,
    );
    assert.equal(
      droppingForwardChain(ruleset(chain('ip', 'drop'), accept('overlay1')), 'overlay0'),
      'chain ip filter FORWARD',
    );
  });

  it('the legacy FORWARD chain is judged alike', () => {
    const drop = '-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT\n';
    assert.equal(droppingLegacyPolicy(drop, 'overlay0'), 'chain FORWARD (iptables-legacy)');
    assert.equal(
      droppingLegacyPolicy(`${drop}-A FORWARD -i overlay0 -o overlay0 -j ACCEPT\n`, 'overlay0'),
      undefined,
    );
    assert.equal(droppingLegacyPolicy('-P FORWARD ACCEPT\n', 'overlay0'), undefined);
  });

  it('strict reverse-path filtering matters on a host with two uplinks only', () => {
    const route = (device: string) => ({ destination: '0.0.0.0/0', device });
    const warned = (devices: string[], filters: Record<string, string>) =>
      reversePathWarning('overlay0', devices.map(route), (device) => filters[device])?.code;
    assert.equal(warned(['eth0', 'eth1'], { all: '0', eth1: '1' }), 'reverse-path-filter');
    assert.equal(warned(['eth0', 'eth1'], { all: '2', eth1: '1' }), undefined);
    assert.equal(warned(['eth0', 'eth1'], { all: '0', eth0: '0', eth1: '0' }), undefined);
    assert.equal(warned(['eth0', 'eth0'], { all: '1' }), undefined);
    assert.equal(warned(['eth0', 'overlay0'], { all: '1' }), undefined);
  });

  it("arping's answer gives the MAC, its silence none", () => {
    const answer =
      'ARPING 10.47.0.2 from 0.0.0.0 overlay0\nUnicast reply from 10.47.0.2 [02:AA:BB:CC:DD:EE]  0.6ms\n';
    assert.equal(macInReply(answer), '02:aa:bb:cc:dd:ee');
    assert.equal(
      macInReply('ARPING 10.47.0.2 from 0.0.0.0 overlay0\nReceived 0 response(s)\n'),
      undefined,
    );
  });

  it('capabilities are read from the effective set', () => {
    const status = 'Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000003000\n';
    assert.equal(hasCapability(status, 12), true);
    assert.equal(hasCapability(status, 13), true);
    assert.equal(hasCapability(status, 21), false);
    assert.equal(hasCapability('Name:\tnode\n', 12), false);
  });
});
