import assert from 'node:assert/strict';
import { seededRng } from '../../../src/base/rng.js';
import { IpamActions } from '../../../src/ipam/actions.js';
import { Ipam } from '../../../src/ipam/ipam.js';
import { parseCidr } from '../../../src/model/cidr.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';

const SELF = idOf(200);

function idOf(byte: number): PeerId {
  return peerIdFromBytes(new Uint8Array(16).fill(byte));
}

describe('hellos of a node without a pool', () => {
  const range = parseCidr('10.32.0.0/12');
  assert.ok(range);
  let ipam: Ipam;
  let told: PeerId[];

  beforeEach(() => {
    const options = { self: SELF, ranges: [range], network: undefined, hasCompany: true, nowMs: 0 };
    ipam = new Ipam(seededRng(7), options);
    told = [];
  });

  function act(run: (out: IpamActions) => void): void {
    const out = new IpamActions();
    run(out);
    for (const action of out.list) {
      if (action.kind === 'send' && action.message.kind === 'hello') told.push(action.to);
    }
  }

  function meet(count: number, nowMs: number): void {
    const peers = new Set(Array.from({ length: count }, (_, at) => idOf(at + 1)));
    act((out) => {
      ipam.setMembers({ known: peers, reachable: peers, gone: new Set() }, nowMs, out);
    });
  }

  it('go to each newcomer once, not to all whenever one more comes', () => {
    for (let count = 1; count <= 40; count++) meet(count, count);
    assert.equal(told.length, 40);
    assert.equal(new Set(told).size, 40);
  });

  it('go to all again each second while there is no pool, and to whoever comes back', () => {
    meet(3, 0);
    meet(2, 100);
    meet(3, 200);
    assert.deepEqual(told, [1, 2, 3, 3].map(idOf));
    told = [];
    act((out) => {
      ipam.onDeadline(1000, out);
    });
    assert.deepEqual(told, [1, 2, 3].map(idOf));
  });

  it('go to all once more when there is a pool, and then to newcomers only', () => {
    meet(3, 0);
    told = [];
    act((out) => {
      ipam.addPool(range, 50, out);
      ipam.onDeadline(60, out);
    });
    assert.deepEqual(told, [1, 2, 3].map(idOf));
    told = [];
    meet(4, 5000);
    act((out) => {
      ipam.onDeadline(9000, out);
    });
    assert.deepEqual(told, [idOf(4)]);
  });
});
