import assert from 'node:assert/strict';

import {
  isInSubnetOf,
  parseAddresses,
  parseWants,
  parseBareAddress,
  parseDestination,
} from '../../../src/workload/address-want.js';

describe('addresses as they are typed', () => {
  it('are taken with length, in one spelling, each once', () => {
    const typed = ['ip:10.1.2.3/24', '10.1.2.3/24', 'FD00:0:0::5/64', 'ip:fd00::5/64'];
    assert.deepEqual(parseAddresses(typed), ['10.1.2.3/24', 'fd00::5/64']);
    assert.deepEqual(parseAddresses(['none']), []);
  });

  it('are refused when they are none of a host', () => {
    const wrong = [
      ...['10.1.2.3', '10.1.2.0/24', '10.1.2.255/24', '10.1.2.3/31', '10.1.2.3/0', '10.1.2/24'],
      ...['010.1.2.3/24', '127.0.0.1/8', '224.0.0.1/24', '0.0.0.0/8', '10.1.2.3/24 dev eth0'],
      ...['fd00::/64', 'ff02::1/64', '::1/64', 'fe80::1%eth0/64', 'fd00::5/127', 'x', '/24', ''],
    ];
    for (const text of wrong) {
      assert.throws(() => parseAddresses([text]), { code: 'OVL_ADDRESS_INVALID' }, text);
    }
    assert.throws(() => parseAddresses(['none', '10.1.2.3/24']), { code: 'OVL_ADDRESS_INVALID' });
  });

  it('may be left to the mesh: one of the default subnet, or of a named one', () => {
    const any = (subnet?: string) => ({ kind: 'any', subnet });
    assert.deepEqual(parseWants([]), [any()]);
    assert.deepEqual(parseWants(['none']), []);
    assert.deepEqual(parseWants(['net:default', '10.1.2.3/24', 'net:10.1.2.9/24']), [
      { kind: 'this', cidr: '10.1.2.3/24' },
      any(),
      any('10.1.2.0/24'),
    ]);
    for (const typed of [
      ['none', 'net:default'],
      ['net:10.1.2.3'],
      ['net:10.1.2.0/31'],
      ['net:'],
    ]) {
      assert.throws(() => parseWants(typed), { code: 'OVL_ADDRESS_INVALID' }, typed.join());
    }
    for (const typed of [[], ['net:default']]) {
      assert.throws(() => parseAddresses(typed), { code: 'OVL_ADDRESS_UNAVAILABLE' });
    }
  });

  it('of routes are subnets or single hosts', () => {
    assert.equal(parseDestination('10.0.0.0/8'), '10.0.0.0/8');
    assert.equal(parseDestination('10.1.2.3/32'), '10.1.2.3/32');
    assert.equal(parseDestination('FD00::/8'), 'fd00::/8');
    for (const text of ['10.1.2.3/8', '10.0.0.0', '0.0.0.0/0', '10.0.0.0/33']) {
      assert.throws(() => parseDestination(text), { code: 'OVL_ADDRESS_INVALID' }, text);
    }
  });

  it('of gateways are bare, and near', () => {
    assert.equal(parseBareAddress('10.1.2.1', 'The gateway'), '10.1.2.1');
    assert.throws(() => parseBareAddress('10.1.2.1/24', 'The gateway'), /The gateway/);
    assert.ok(isInSubnetOf('10.1.2.1', '10.1.2.3/24'));
    assert.ok(!isInSubnetOf('10.1.3.1', '10.1.2.3/24'));
    assert.ok(!isInSubnetOf('fd00::1', '10.1.2.3/24'));
  });
});
