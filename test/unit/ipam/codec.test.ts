import assert from 'node:assert/strict';
import fc from 'fast-check';
import { cidrAround } from '../../../src/model/cidr.js';
import type { IpamMessage } from '../../../src/ipam/actions.js';
import { decodeIpamMessage, encodeIpamMessage } from '../../../src/ipam/codec.js';
import { CONTROL } from '../../../src/wire/control-types.js';
import { packMessage } from '../../../src/wire/message-pack.js';
import { peer, poolId, title } from './titles.js';

const ask = {
  kind: 'ask' as const,
  request: 7,
  pool: poolId(3),
  within: cidrAround({ family: 4, value: 0x0a090000n }, 24),
  bits: 29,
  isHold: false,
};

const MESSAGES: readonly IpamMessage[] = [
  { kind: 'hello', hasPool: true },
  ask,
  { ...ask, within: cidrAround({ family: 6, value: 0xfdn << 120n }, 64), bits: 64, isHold: true },
  { kind: 'grant', title: title({ witness: peer(2), chain: [peer(3)] }) },
  { kind: 'refuse', request: 7, reason: 'waiting', peer: peer(4) },
  { kind: 'refuse', request: 8, reason: 'not mine', peer: undefined },
  { kind: 'gone', peer: peer(5), digest: '0123456789abcdef', isLastResort: true },
  { kind: 'goneAnswer', peer: peer(5), digest: '0123456789abcdef', verdict: 'differs' },
];

describe('messages about addresses', () => {
  it('come back as they went', () => {
    for (const message of MESSAGES) {
      const { type, body } = encodeIpamMessage(message);
      assert.deepEqual(decodeIpamMessage(type, body), { ok: true, value: message });
    }
  });

  it('cut short or with a bit turned never throw, and mean something whole or nothing', () => {
    const any = fc.constantFrom(...MESSAGES.map(encodeIpamMessage));
    fc.assert(
      fc.property(any, fc.nat(), fc.nat(7), ({ type, body }, place, bit) => {
        assert.equal(decodeIpamMessage(type, body.subarray(0, place % body.length)).ok, false);
        const turned = body.slice();
        turned[place % body.length]! ^= 1 << bit;
        const read = decodeIpamMessage(type, turned);
        if (read.ok) assert.equal(encodeIpamMessage(read.value).type, type);
      }),
    );
  });

  it('are refused when a field is not what it must be', () => {
    const address = new Uint8Array([10, 9, 0, 0]);
    const id = new Uint8Array(16);
    const wrong: readonly (readonly [number, unknown])[] = [
      [CONTROL.IPAM_HELLO, [1]],
      [CONTROL.IPAM_HELLO, [true, true]],
      [CONTROL.IPAM_ASK, [0, id, 4, address, 24, 29, false]],
      [CONTROL.IPAM_ASK, [7, id, 4, address, 24, 33, false]],
      [CONTROL.IPAM_ASK, [7, id, 4, address, 24, 23, false]],
      [CONTROL.IPAM_ASK, [7, id, 6, address, 24, 29, false]],
      [CONTROL.IPAM_ASK, [7, id, 5, address, 24, 29, false]],
      [CONTROL.IPAM_GRANT, [new Uint8Array(95)]],
      [CONTROL.IPAM_REFUSE, [7, 5, id]],
      [CONTROL.IPAM_REFUSE, [7, 0, new Uint8Array(15)]],
      [CONTROL.IPAM_GONE, [id, 'x'.repeat(65), true]],
      [CONTROL.IPAM_GONE_ANSWER, [id, 'x', 3]],
      [CONTROL.IPAM_GONE_ANSWER + 1, [true]],
    ];
    for (const [type, fields] of wrong) {
      assert.equal(decodeIpamMessage(type, packMessage(fields)).ok, false, JSON.stringify(fields));
    }
  });
});
