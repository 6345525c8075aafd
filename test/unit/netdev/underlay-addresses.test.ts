import assert from 'node:assert/strict';

import { interfaceOf, underlayAddresses } from '../../../src/netdev/underlay-addresses.js';

const of = (address: string, internal = false) => ({
  address,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  ...(address.includes(':')
    ? { family: 'IPv6' as const, scopeid: 0 }
    : { family: 'IPv4' as const }),
});

describe('underlay addresses', () => {
  it('are those others can send to, IPv4 first', () => {
    const found = underlayAddresses([], {
      lo: [of('127.0.0.1', true), of('::1', true)],
      eth0: [of('2001:db8::1'), of('192.0.2.1'), of('fe80::1'), of('169.254.1.1')],
      eth1: [of('10.0.0.1'), of('fd00::1')],
    });
    assert.deepEqual(found, ['192.0.2.1', '10.0.0.1', '2001:db8::1', 'fd00::1']);
  });

  it('leave the overlay itself out', () => {
    assert.deepEqual(underlayAddresses(['overlay0'], { overlay0: [of('10.32.0.9')] }), []);
  });

  it('are sixteen at most', () => {
    const many = Array.from({ length: 40 }, (_, at) => of(`10.0.0.${at + 1}`));
    assert.equal(underlayAddresses([], { eth0: many }).length, 16);
  });
});

describe('the interface of an address', () => {
  const interfaces = {
    eth0: [of('192.0.2.1'), of('2001:db8::1')],
    overlay0: [of('10.32.0.9')],
    idle0: undefined,
  };
  const find = (address: string): string | undefined =>
    interfaceOf(address, (name) => name === 'overlay0', interfaces);

  it('is found however the address is written', () => {
    assert.equal(find('192.0.2.1'), 'eth0');
    assert.equal(find('2001:0DB8:0::1'), 'eth0');
    assert.equal(find('192.0.2.2'), undefined);
  });

  it('is none of those left out', () => {
    assert.equal(find('10.32.0.9'), undefined);
  });
});
