import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import { IpamActions } from '../../../src/ipam/actions.js';
import { FOUND_ALONE_AFTER_MS } from '../../../src/ipam/constants.js';
import { Ipam } from '../../../src/ipam/ipam.js';
import { createdMsOfPool, networkOfPool } from '../../../src/ipam/title.js';
import { formatCidr, parseCidr } from '../../../src/model/cidr.js';
import { peerIdFromBytes } from '../../../src/model/peer-id.js';

const BLUE = { id: 0x123456, createdMs: 1_764_000_000_123 };
const SUBNETS = ['10.80.0.0/24', '10.90.0.0/24', 'fd12:3456::/64'];
const SELF = peerIdFromBytes(new Uint8Array(16).fill(7));

function machine(network?: typeof BLUE): Ipam {
  const ranges = SUBNETS.map((text) => parseCidr(text)!);
  return new Ipam(seededRng(3), { self: SELF, ranges, network, hasCompany: true, nowMs: 0 });
}

const poolsOf = (ipam: Ipam): string[] => ipam.ledger.pools().map((p) => formatCidr(p.range));

describe('founding of a network’s pools', () => {
  const ended = (ipam: Ipam): void => {
    const pool = parseCidr(SUBNETS[1]!)!;
    const out = new IpamActions();
    ipam.request(1, '', { kind: 'end', pool }, FOUND_ALONE_AFTER_MS, out);
    const answer = out.list.find(({ kind }) => kind === 'answer');
    assert.ok(answer?.kind === 'answer' && answer.outcome.ok);
  };

  it('makes one of each subnet, whoever created the network, and none again that was ended', () => {
    const ipam = machine(BLUE);
    ipam.onDeadline(FOUND_ALONE_AFTER_MS - 1, new IpamActions());
    assert.deepEqual(poolsOf(ipam), []);
    ipam.onDeadline(FOUND_ALONE_AFTER_MS, new IpamActions());
    assert.deepEqual(poolsOf(ipam).sort(), SUBNETS);
    for (const { id } of ipam.ledger.pools()) {
      assert.deepEqual([networkOfPool(id), createdMsOfPool(id)], [BLUE.id, BLUE.createdMs]);
    }
    ended(ipam);
    ipam.onDeadline(3 * FOUND_ALONE_AFTER_MS, new IpamActions());
    assert.deepEqual(poolsOf(ipam).sort(), [SUBNETS[0], SUBNETS[2]]);
  });

  it('goes on where a founder died half-way', () => {
    const founder = machine(BLUE);
    const out = new IpamActions();
    founder.addPool(parseCidr(SUBNETS[0]!)!, 0, out);
    const ipam = machine(BLUE);
    ipam.onTitles(founder.ledger.all(), 0, out);
    ipam.onDeadline(FOUND_ALONE_AFTER_MS, out);
    assert.deepEqual(poolsOf(ipam).sort(), SUBNETS);
    assert.ok(
      founder.ledger.pools().every(({ id }) => ipam.ledger.pools().some((p) => p.id === id)),
    );
  });
});
