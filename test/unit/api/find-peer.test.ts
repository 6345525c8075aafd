import assert from 'node:assert/strict';
import fc from 'fast-check';
import { findPeer } from '../../../src/api/find-peer.js';
import { OverlayError } from '../../../src/base/errors.js';
import type { PeerId } from '../../../src/model/peer-id.js';

const ID_A = '3f2a9c10d4e5f60718293a4b5c6d7e8f' as PeerId;
const ID_B = '3f2a9c10ffeeddccbbaa998877665544' as PeerId;
const ID_C = '00112233445566778899aabbccddeeff' as PeerId;
const PEERS = [
  { id: ID_A, nickname: 'web' },
  { id: ID_B, nickname: 'web' },
  { id: ID_C, nickname: 'Db-1' },
];

function codeOf(text: string, peers = PEERS): string {
  try {
    return findPeer(peers, text).id;
  } catch (error) {
    assert.ok(error instanceof OverlayError);
    assert.equal(error.value, text);
    return error.code;
  }
}

describe('findPeer', () => {
  it('knows this node by its name and its id, where it is not one of those to choose from', () => {
    const self = { id: '0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f' as PeerId, nickname: 'here' };
    for (const text of ['here', '0f0f0f0f', self.id]) {
      assert.throws(() => findPeer(PEERS, text, self), { code: 'OVL_PEER_SELF', value: text });
    }
    assert.throws(() => findPeer(PEERS, 'there', self), { code: 'OVL_NOT_FOUND' });
    assert.equal(findPeer(PEERS, 'Db-1', { id: self.id, nickname: 'Db-1' }).id, ID_C);
  });

  it('takes a nickname as it is written', () => {
    assert.equal(codeOf('Db-1'), ID_C);
    assert.equal(codeOf('db-1'), 'OVL_NOT_FOUND');
  });

  it('takes 8 or more digits of an id, in either case', () => {
    assert.equal(codeOf('00112233'), ID_C);
    assert.equal(codeOf(ID_A.toUpperCase()), ID_A);
    assert.equal(codeOf('0011223'), 'OVL_NOT_FOUND');
    assert.equal(codeOf(`${ID_A}0`), 'OVL_NOT_FOUND');
    assert.equal(codeOf(''), 'OVL_NOT_FOUND');
  });

  it('never picks one of several', () => {
    assert.equal(codeOf('web'), 'OVL_AMBIGUOUS');
    assert.equal(codeOf('3f2a9c10'), 'OVL_AMBIGUOUS');
    assert.equal(codeOf('3f2a9c10d'), ID_A);
  });

  it('holds a nickname that looks like the id of another for ambiguous', () => {
    const posing = [
      ...PEERS,
      { id: 'ffffffffffffffffffffffffffffffff' as PeerId, nickname: '00112233' },
    ];
    assert.equal(codeOf('00112233', posing), 'OVL_AMBIGUOUS');
    assert.equal(codeOf(ID_C, posing), ID_C);
  });

  it('lists at most ten matches', () => {
    const many = Array.from({ length: 12 }, (_, index) => ({
      id: index.toString(16).padStart(32, '0') as PeerId,
      nickname: 'same',
    }));
    assert.throws(() => findPeer(many, 'same'), /names 12 peers: .*, and 2 more$/);
  });

  it('finds every peer by its full id, whatever the nicknames', () => {
    const peer = fc.record({
      id: fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => Buffer.from(bytes).toString('hex') as PeerId),
      nickname: fc.string({ maxLength: 10 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(peer, { selector: ({ id }) => id, minLength: 1 }), (peers) => {
        for (const one of peers) assert.equal(findPeer(peers, one.id), one);
      }),
    );
  });
});
