import assert from 'node:assert/strict';

import { macOfGroup } from '../../../src/ethernet/group-mac.js';
import { readMembership, type GroupAddress } from '../../../src/ethernet/membership-message.js';
import { linkLocalOf, queryFrame } from '../../../src/ethernet/query-frame.js';
import { isSnoopedMac } from '../../../src/model/mac.js';
import { igmp, ipv4, ipv6, joinV2, leaveV2, macOf, mld, reportV3 } from './fixtures.js';

const hex = (bytes: readonly number[]): GroupAddress =>
  Buffer.from(bytes).toString('hex') as GroupAddress;
const G1 = '239.1.2.3';
const G2 = '239.1.2.4';
const V6 = 'ff0e::1:2';
const report = (joined: string[], left: string[] = []) => {
  const bytes = (group: string) => hex(group.includes(':') ? ipv6(group) : ipv4(group));
  return { kind: 'report', joined: joined.map(bytes), left: left.map(bytes) };
};

/** RFC 1071, over whole words. */
function isSumRight(...parts: readonly Uint8Array[]): boolean {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

describe('a message about groups', () => {
  it('is read in every version of IGMP', () => {
    assert.deepEqual(readMembership(igmp([0x12, 0, 0, 0, ...ipv4(G1)])), report([G1]));
    assert.deepEqual(readMembership(joinV2(G1)), report([G1]));
    assert.deepEqual(readMembership(leaveV2(G1)), report([], [G1]));
    const all = reportV3([2, G1, 0], [4, G2, 3], [3, '239.0.0.9', 0], [1, '239.0.0.8', 2]);
    assert.deepEqual(readMembership(all), report([G1, G2, '239.0.0.8'], ['239.0.0.9']));
    // New and blocked sources, and no source at all where some were listened to.
    const rest = reportV3([5, G1, 1], [6, G2, 1], [1, G2, 0]);
    assert.deepEqual(readMembership(rest), report([G1]));
  });

  it('is read in both versions of MLD', () => {
    const v1 = (type: number) => mld([type, 0, 0, 0, 0, 0, 0, 0, ...ipv6(V6)]);
    assert.deepEqual(readMembership(v1(131)), report([V6]));
    assert.deepEqual(readMembership(v1(132)), report([], [V6]));
    const v2 = mld([143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, ...ipv6(V6)]);
    assert.deepEqual(readMembership(v2), report([V6]));
  });

  it('names no group that is none, and is nothing where it is something else', () => {
    assert.deepEqual(readMembership(joinV2('10.1.2.3')), report([]));
    assert.equal(readMembership(igmp([0x99, 0, 0, 0, ...ipv4(G1)])), undefined);
    assert.equal(readMembership(mld([135, ...new Uint8Array(23)])), undefined);
    assert.equal(readMembership(new Uint8Array(60)), undefined);
    const specific = igmp([0x11, 10, 0, 0, ...ipv4(G1)]);
    assert.equal(readMembership(specific), undefined, 'a question about one group is no router');
  });

  it('is never read beyond its end, whatever its lengths say', () => {
    const frames = [
      joinV2(G1),
      reportV3([2, G1, 0], [4, G2, 3]),
      mld([143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 1, ...ipv6(V6), ...ipv6('fd00::1')]),
    ];
    for (const frame of frames) {
      for (let at = 0; at < frame.length; at++) {
        readMembership(frame.subarray(0, at));
        for (const value of [0, 1, 0x7f, 0xff]) {
          const changed = frame.slice();
          changed[at] = value;
          const read = readMembership(changed);
          if (read?.kind !== 'report') continue;
          for (const group of [...read.joined, ...read.left]) assert.match(group, /^(e|ff)/);
        }
      }
    }
    const boasts = reportV3([2, G1, 0]);
    boasts[14 + 24 + 7] = 200;
    assert.deepEqual(readMembership(boasts), report([G1]));
  });
});

describe('the MAC of a group', () => {
  it('is the one of the RFCs', () => {
    assert.equal(macOfGroup(hex(ipv4('239.129.2.3'))), '01:00:5e:01:02:03');
    assert.equal(macOfGroup(hex(ipv6('ff02::1:ff12:3456'))), '33:33:ff:12:34:56');
  });

  it('is snooped unless it is of the link', () => {
    for (const mac of ['01:00:5e:00:01:00', '01:00:5e:7f:ff:ff', '33:33:00:01:00:03']) {
      assert.ok(isSnoopedMac(macOf(mac)), mac);
    }
    const link = ['01:00:5e:00:00:fb', '33:33:00:00:00:fb', '33:33:ff:00:00:01'];
    for (const mac of [...link, 'ff:ff:ff:ff:ff:ff', '01:00:5e:80:01:00', '01:80:c2:00:00:01']) {
      assert.ok(!isSnoopedMac(macOf(mac)), mac);
    }
  });
});

describe('a query', () => {
  const source = macOf('02:00:00:00:00:08');

  it('has right lengths and sums, and asks all hosts or those of a group', () => {
    for (const group of [undefined, hex(ipv4(G1))]) {
      const frame = queryFrame({ family: 4, group, maxResponseMs: 10_000 }, source);
      const ip = frame.subarray(14, 38);
      assert.ok(isSumRight(ip) && isSumRight(frame.subarray(38)));
      assert.equal((ip[2]! << 8) | ip[3]!, frame.length - 14);
      assert.equal(hex([...ip.subarray(16, 20)]), group ?? hex([224, 0, 0, 1]));
      assert.equal(hex([...frame.subarray(42, 46)]), group ?? '00000000');
      assert.equal(frame[39], 100);
    }
    for (const group of [undefined, hex(ipv6(V6))]) {
      const frame = queryFrame({ family: 6, group, maxResponseMs: 10_000 }, source);
      const mldBytes = frame.subarray(62);
      const pseudo = Uint8Array.of(0, 0, 0, mldBytes.length, 0, 0, 0, 58);
      assert.ok(isSumRight(frame.subarray(22, 54), pseudo, mldBytes));
      assert.equal((frame[18]! << 8) | frame[19]!, frame.length - 54);
      assert.equal(hex([...frame.subarray(0, 2)]), '3333');
    }
  });

  it('is read as one, from nobody in IPv4 and from its MAC in IPv6', () => {
    const asked = ([4, 6] as const).map((family) =>
      readMembership(queryFrame({ family, maxResponseMs: 1000 }, source)),
    );
    assert.deepEqual(asked, [
      { kind: 'query', family: 4, source: new Uint8Array(4) },
      { kind: 'query', family: 6, source: linkLocalOf(source) },
    ]);
  });
});
