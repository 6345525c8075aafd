import assert from 'node:assert/strict';

import { macFromBytes } from '../../../src/model/mac.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  networkKey,
  networkOfKey,
} from '../../../src/wire/group-record.js';
import {
  decodeMacRecord,
  encodeMacRecord,
  macKey,
  macOfKey,
} from '../../../src/wire/mac-record.js';

const group = (at: number) => macFromBytes(Uint8Array.of(1, 0, 0x5e, 1, at >> 8, at & 0xff));
const GROUPS = { wantsEverything: false, hasRouter: true, groups: [group(1), group(2)] };

describe('group record', () => {
  it('comes back as it was said, in one order', () => {
    const bytes = encodeGroupRecord(GROUPS);
    assert.deepEqual(decodeGroupRecord(bytes), { ok: true, value: GROUPS });
    const turned = { ...GROUPS, groups: GROUPS.groups.toReversed() };
    assert.deepEqual(encodeGroupRecord(turned), bytes);
    assert.deepEqual(networkKey(0xabcdef), Uint8Array.of(0xef, 0xcd, 0xab));
    assert.equal(networkOfKey(networkKey(0xabcdef)), 0xabcdef);
    assert.equal(networkOfKey(new Uint8Array(4)), undefined);
  });

  it('asks for everything when there are more groups than fit', () => {
    const list = (count: number) => Array.from({ length: count }, (_, at) => group(at));
    const full = encodeGroupRecord({ ...GROUPS, groups: list(149) });
    assert.ok(full.length <= 900);
    assert.equal(decodeGroupRecord(full).ok, true);
    const over = decodeGroupRecord(encodeGroupRecord({ ...GROUPS, groups: list(150) }));
    const value = { wantsEverything: true, hasRouter: true, groups: [] };
    assert.deepEqual(over, { ok: true, value });
  });

  it('takes unknown flags, and refuses hosts, doubles, disorder and odd lengths', () => {
    const flagged = encodeGroupRecord(GROUPS);
    flagged[0] = (flagged[0] ?? 0) | 0xf0;
    assert.deepEqual(decodeGroupRecord(flagged), { ok: true, value: GROUPS });
    const bytes = encodeGroupRecord(GROUPS);
    const turned = Uint8Array.of(0, ...bytes.subarray(7), ...bytes.subarray(1, 7));
    const doubled = Uint8Array.of(0, ...bytes.subarray(1, 7), ...bytes.subarray(1, 7));
    const host = Uint8Array.of(0, 2, 0, 0, 0, 0, 1);
    for (const bad of [turned, doubled, host, bytes.subarray(0, 0), bytes.subarray(0, 6)]) {
      assert.equal(decodeGroupRecord(bad).ok, false);
    }
    assert.equal(decodeGroupRecord(new Uint8Array(901).fill(1)).ok, false);
  });
});

describe('location record of a MAC', () => {
  const place = { network: 0xabcdef, mac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7)) };

  it('comes back as it was said, key and body', () => {
    assert.deepEqual(macKey(place), Uint8Array.of(0xef, 0xcd, 0xab, 2, 0, 0, 0, 0, 7));
    assert.deepEqual(macOfKey(macKey(place)), place);
    for (const sequence of [0, 1, 0xffff_ffff]) {
      assert.deepEqual(decodeMacRecord(encodeMacRecord(sequence)), { ok: true, value: sequence });
    }
    const longer = Uint8Array.of(...encodeMacRecord(7), 1, 2, 3);
    assert.deepEqual(decodeMacRecord(longer), { ok: true, value: 7 });
  });

  it('has no key for groups, for zero and for other lengths', () => {
    const key = macKey(place);
    for (const bad of [
      key.subarray(1),
      new Uint8Array(9),
      Uint8Array.of(0, 0, 0, 3, 0, 0, 0, 0, 1),
    ]) {
      assert.equal(macOfKey(bad), undefined);
    }
    assert.equal(decodeMacRecord(new Uint8Array(3)).ok, false);
    assert.equal(decodeMacRecord(new Uint8Array(65)).ok, false);
  });
});
