import assert from 'node:assert/strict';

import type { Mac } from '../../../src/model/mac.js';
import { announcementFrame } from '../../../src/netdev/announcement.js';

const MAC = '02:11:22:33:44:55' as Mac;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('announcements of an address', () => {
  it('are a gratuitous ARP request of an IPv4 one (RFC 5227, section 3)', () => {
    assert.equal(
      hex(announcementFrame(MAC, '10.1.0.2')),
      'ffffffffffff021122334455' + // to everybody
        '080600010800060400010' +
        '211223344550a010002' + // sender
        '0000000000000a010002', // target
    );
  });

  it('are an unsolicited neighbour advertisement of an IPv6 one (RFC 4861, section 7.2.6)', () => {
    const frame = announcementFrame(MAC, 'fd00::2');
    assert.equal(hex(frame.subarray(0, 14)), '33330000000102112233445586dd');
    const view = new DataView(frame.buffer, frame.byteOffset + 14);
    assert.deepEqual([view.getUint16(4), view.getUint8(6), view.getUint8(7)], [32, 58, 255]);
    assert.equal(hex(frame.subarray(14 + 24, 14 + 40)), 'ff020000000000000000000000000001');
    assert.equal(frame[54], 136);
    assert.equal(hex(frame.subarray(62, 78)), 'fd000000000000000000000000000002');
    assert.equal(hex(frame.subarray(78)), '0201021122334455');
    // The sum over the pseudo-header and the message, checksum and all, is all ones.
    let sum = 32 + 58;
    for (let at = 8; at < 72; at += 2) sum += view.getUint16(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
  });
});
