import assert from 'node:assert/strict';

import type { LinkInfo } from '../../../src/netdev/ip-json.js';
import { canonicalCidr } from '../../../src/netdev/ip-json.js';
import {
  formatMark,
  formatPortMark,
  judgeFound,
  parseMark,
  parsePortMark,
} from '../../../src/netdev/ownership.js';

const NAMES = { ifName: 'overlay0', tapName: 'overlay0-t' };
const MESH = 'a1b2c3d4';
const OURS = 'overlayd:a1b2c3d4:00112233/10.47.0.9/12';

function link(name: string, fields: Partial<LinkInfo>): LinkInfo {
  return {
    name,
    mac: '02:00:00:00:00:01',
    mtuBytes: 1388,
    isUp: true,
    kind: 'bridge',
    alias: '',
    master: '',
    isPersistent: false,
    isTap: false,
    gsoMaxBytes: 65536,
    ...fields,
  };
}
const tapOf = (fields: Partial<LinkInfo>): LinkInfo =>
  link('overlay0-t', { kind: 'tun', isTap: true, ...fields });

function refusalOf(
  bridge?: LinkInfo,
  tap?: LinkInfo,
  ports: readonly string[] = [],
): string | undefined {
  return judgeFound(NAMES, MESH, { bridge, tap, ports })?.message;
}

describe('ownership of interfaces', () => {
  it('a mark is read as it was written', () => {
    const mark = { mesh: MESH, peer: '00112233', ownAddresses: ['10.47.0.9/12', 'fd00::1/64'] };
    assert.deepEqual(parseMark(formatMark(mark)), mark);
    const bare = { ...mark, ownAddresses: [] };
    assert.deepEqual(parseMark(formatMark(bare)), bare);
  });

  it('a mark never exceeds what the kernel stores', () => {
    const ownAddresses = Array.from(
      { length: 20 },
      (_, index) => `fd00:1111:2222:3333:4444:5555:6666:${1000 + index}/64`,
    );
    const text = formatMark({ mesh: MESH, peer: '00112233', ownAddresses });
    assert.ok(text.length <= 255);
    const read = parseMark(text)?.ownAddresses ?? [];
    assert.deepEqual(read, ownAddresses.slice(0, read.length));
    assert.ok(read.length >= 4);
  });

  it("an operator's alias is no mark of ours", () => {
    for (const alias of [
      '',
      'uplink',
      'overlayd',
      'overlayd:xyz',
      'overlayd:a1b2c3d4:00112233 or so',
    ]) {
      assert.equal(parseMark(alias), undefined, alias);
    }
  });

  it('nothing there, or our own leftovers: free to take', () => {
    assert.equal(refusalOf(), undefined);
    assert.equal(refusalOf(link('overlay0', { alias: OURS })), undefined);
    assert.equal(
      refusalOf(link('overlay0', { alias: OURS }), undefined, ['overlay0-t', 'port0']),
      undefined,
    );
    assert.equal(refusalOf(undefined, tapOf({ isPersistent: true, alias: OURS })), undefined);
  });

  it('a bridge without our mark, or a marked one of another kind, is refused by kind', () => {
    assert.match(refusalOf(link('overlay0', {})) ?? '', /overlay0 .*\(kind bridge\)/);
    assert.match(refusalOf(link('overlay0', { alias: OURS, kind: 'veth' })) ?? '', /\(kind veth\)/);
  });

  it('a TAP that a live process holds open is refused', () => {
    assert.match(
      refusalOf(undefined, tapOf({ alias: OURS })) ?? '',
      /held open by another process/,
    );
  });

  it('a persistent TAP of somebody else, a TUN or another device is refused', () => {
    assert.match(refusalOf(undefined, tapOf({ isPersistent: true })) ?? '', /without our mark/);
    assert.match(refusalOf(undefined, tapOf({ isTap: false })) ?? '', /not a TAP/);
    assert.match(refusalOf(undefined, link('overlay0-t', { kind: 'veth' })) ?? '', /kind veth/);
  });

  it("another mesh's leftover is taken only when nothing is attached to it", () => {
    const other = link('overlay0', { alias: 'overlayd:ffffffff:00112233' });
    assert.equal(refusalOf(other, undefined, ['overlay0-t']), undefined);
    assert.match(refusalOf(other, undefined, ['overlay0-t', 'port0']) ?? '', /another mesh.*port0/);
  });

  it('a port tells its attachment, namespace and shape, and is no bridge of ours', () => {
    const mark = { attachment: '0123456789abcdef', inode: 4026532000, shape: 'a1b2c3d4' };
    assert.deepEqual(parsePortMark(formatPortMark(mark)), mark);
    assert.equal(parseMark(formatPortMark(mark)), undefined);
    for (const alias of [
      '',
      OURS,
      'overlayd-port:0123456789abcdef:1',
      `${formatPortMark(mark)}0`,
    ]) {
      assert.equal(parsePortMark(alias), undefined, alias);
    }
  });

  it('addresses are compared by one spelling', () => {
    assert.equal(canonicalCidr('FD00:0:0::0001/64'), 'fd00::1/64');
    assert.equal(canonicalCidr('10.0.0.1/8'), '10.0.0.1/8');
    for (const bad of [
      '10.0.0.1',
      '10.0.0.1/33',
      'fd00::1/129',
      'x/8',
      '10.0.0.1/8 dev lo',
      '/8',
    ]) {
      assert.equal(canonicalCidr(bad), undefined, bad);
    }
  });
});
