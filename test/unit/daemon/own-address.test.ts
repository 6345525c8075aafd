import assert from 'node:assert/strict';

import fc from 'fast-check';

import { identityAddress, meshIpv6, OwnAddress } from '../../../src/daemon/own-address.js';
import { peerIdFromBytes } from '../../../src/model/peer-id.js';

const anyPeer = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(peerIdFromBytes);
const meshId = new Uint8Array(16).fill(5);
const small = peerIdFromBytes(new Uint8Array(16).fill(1));
const large = peerIdFromBytes(new Uint8Array(16).fill(9));
const POOL = '10.32.0.0/12';

function own(id: typeof small, mode: 'auto' | 'none' | { cidr: string }, stored?: string) {
  return new OwnAddress({ id, meshId, mode, pool: POOL, stored });
}

describe('own address', () => {
  it('lies in the last 1/16 of the pool, with the pool’s prefix length', () => {
    fc.assert(
      fc.property(anyPeer, fc.nat({ max: 255 }), (id, attempt) => {
        const match = /^10\.47\.(\d+)\.(\d+)\/12$/.exec(identityAddress(id, attempt, POOL) ?? '');
        assert.ok(match);
        const host = Number(match[1]) * 256 + Number(match[2]);
        assert.ok(host > 0 && host < 65_535);
      }),
    );
  });

  it('is the same for the same identity and differs between attempts', () => {
    assert.equal(identityAddress(small, 0, POOL), identityAddress(small, 0, POOL));
    assert.notEqual(identityAddress(small, 0, POOL), identityAddress(small, 1, POOL));
  });

  it('is none in a pool whose last 1/16 has no host', () => {
    assert.equal(identityAddress(small, 0, '10.0.0.0/28'), undefined);
  });

  it('has an IPv6 companion with the prefix of the mesh and a host of the identity', () => {
    const [a, b] = [meshIpv6(small, meshId), meshIpv6(large, meshId)];
    assert.match(a, /^fd[0-9a-f:]+\/64$/);
    assert.equal(a.split(':').slice(0, 4).join(':'), b.split(':').slice(0, 4).join(':'));
    assert.notEqual(a, b);
  });

  it('is taken from the store only when it still fits the pool', () => {
    const kept = identityAddress(small, 7, POOL);
    assert.equal(own(small, 'auto', kept).cidr, kept);
    assert.equal(own(small, 'auto', '192.168.1.1/12').cidr, identityAddress(small, 0, POOL));
    assert.equal(own(small, 'auto', 'nonsense').cidr, identityAddress(small, 0, POOL));
  });

  it('moves only when it is automatic and the other is smaller or no peer', () => {
    assert.ok(own(large, 'auto').mustMove(small));
    assert.ok(!own(small, 'auto').mustMove(large));
    assert.ok(own(small, 'auto').mustMove(undefined));
    assert.ok(!own(large, { cidr: '10.0.0.1/8' }).mustMove(small));
  });

  it('skips addresses that are taken', () => {
    const next = identityAddress(large, 1, POOL) ?? '';
    const address = own(large, 'auto');
    address.move(new Set([next.split('/')[0] ?? '']));
    assert.equal(address.cidr, identityAddress(large, 2, POOL));
  });

  it('is nothing at all with none', () => {
    assert.deepEqual(own(small, 'none').cidrs, []);
  });
});
