import assert from 'node:assert/strict';

import { formatCidr, parseCidr, type Cidr } from '../../../src/model/cidr.js';
import { poolOverlapWarning } from '../../../src/netdev/host-warnings.js';
import { freeRange, overlappingRoute } from '../../../src/netdev/pool-overlap.js';

const cidr = (text: string): Cidr => parseCidr(text)!;
const free = (wanted: string, ...taken: string[]): string | undefined => {
  const found = freeRange(cidr(wanted), [cidr(wanted), ...taken.map(cidr)]);
  return found && formatCidr(found);
};

describe('a pool beside the routes of a host', () => {
  it('is overlapped by a route inside or around it, not by what stands in for the default route', () => {
    const found = (destination: string): boolean =>
      overlappingRoute(cidr('10.32.0.0/12'), [{ destination, device: 'eth0' }]) !== undefined;
    assert.deepEqual(
      ['10.40.0.0/16', '10.0.0.0/8', '10.33.1.1/32', '10.32.0.0/12'].filter(found).length,
      4,
    );
    assert.deepEqual(
      ['0.0.0.0/0', '0.0.0.0/1', '10.0.0.0/12', '192.168.0.0/16', 'fd00::/8', '::/0'].filter(found),
      [],
    );
  });

  it('names the most specific of the routes in the way', () => {
    const routes = ['10.0.0.0/8', '10.33.4.0/24', '10.33.0.0/16'].map((destination) => ({
      destination,
      device: 'eth0',
    }));
    assert.equal(overlappingRoute(cidr('10.32.0.0/12'), routes)?.destination, '10.33.4.0/24');
    assert.match(
      poolOverlapWarning('10.32.0.0/12', routes)?.message ?? '',
      /10\.32\.0\.0\/12 overlaps the route 10\.33\.4\.0\/24 of this host \(on eth0\)/,
    );
    assert.equal(poolOverlapWarning('10.32.0.0/12', []), undefined);
  });

  it('has a free one of its size offered, the next behind it', () => {
    assert.equal(free('10.32.0.0/12', '10.40.0.0/16'), '10.48.0.0/12');
    assert.equal(free('10.32.0.0/12', '10.48.0.0/24', '10.65.0.0/16'), '10.80.0.0/12');
    assert.equal(free('10.240.0.0/12'), '10.0.0.0/12');
    assert.equal(free('198.51.0.0/16'), '10.0.0.0/16');
  });

  it('has one of another private network offered where its own is full, or a smaller one', () => {
    assert.equal(free('10.32.0.0/12', '10.0.0.0/8'), '172.16.0.0/12');
    const crowded = ['10.0.0.0/8', '172.16.0.0/16', '100.64.0.0/10', '192.168.0.0/16'];
    assert.equal(free('10.32.0.0/12', ...crowded), '172.24.0.0/13');
    assert.equal(free('10.32.0.0/12', ...crowded, '172.16.0.0/12'), undefined);
  });

  it('has a network of RFC 4193 offered where it is of IPv6', () => {
    const offered = free('fd00:1::/64', 'fd00:1::/64')!;
    assert.match(offered, /^fd[0-9a-f:]+\/64$/);
    assert.notEqual(free('fd00:1::/64', offered), offered);
  });
});
