import assert from 'node:assert/strict';

import { Ethernet, type EthernetActions } from '../../../src/ethernet/ethernet.js';
import { macOfPeer } from '../../../src/model/peer-id.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  networkKey,
} from '../../../src/wire/group-record.js';
import { encodeAddressRecord, type AddressEntry } from '../../../src/wire/address-record.js';
import { encodeMacRecord, macKey } from '../../../src/wire/mac-record.js';
import { encodeNameKey } from '../../../src/wire/name-record.js';
import { RECORD_KIND } from '../../../src/wire/record.js';
import { idOf, joinV2, macOf } from './fixtures.js';

const SELF = idOf(5);
const PEER = idOf(7);
const GUEST = macOf('02:00:00:00:00:77');
const M1 = macOf('01:00:5e:01:02:03');
const SLOT = 3;

describe('the bridge of a network', () => {
  let ethernet: Ethernet;
  let nowMs: number;
  beforeEach(() => {
    nowMs = 1000;
    ethernet = new Ethernet({
      network: 0,
      selfId: SELF,
      nowMs,
      mayHave: () => true,
      isOneOwners: () => false,
      isGrantable: () => true,
    });
    ethernet.setPeers([{ id: PEER, slot: SLOT }]);
  });

  /** Everything it does up to a time. */
  const run = (untilMs: number): EthernetActions => {
    const all: EthernetActions = { entries: [], sends: [], records: [], events: [] };
    while (ethernet.nextDeadlineMs <= untilMs) {
      nowMs = Math.max(nowMs, ethernet.nextDeadlineMs);
      const { entries, sends, records, events } = ethernet.onDeadline(nowMs);
      all.entries.push(...entries);
      all.sends.push(...sends);
      all.records.push(...records);
      all.events.push(...events);
    }
    nowMs = untilMs;
    return all;
  };
  const saidGroups = ({ records }: EthernetActions) =>
    records
      .filter(({ kind }) => kind === RECORD_KIND.GROUP)
      .map(({ body }) => {
        const read = decodeGroupRecord(body ?? new Uint8Array(0));
        assert.ok(read.ok);
        return read.value;
      });
  const claim = (verdict: 'local' | 'flapping' | 'refused' | 'spoofed', mac = GUEST) => {
    ethernet.onEvent({ kind: 'macClaim', network: 0, mac, peer: SLOT, verdict }, nowMs);
  };
  const macRecord = (sequence: number | undefined, mac = GUEST) => {
    const body = sequence === undefined ? undefined : encodeMacRecord(sequence);
    ethernet.onRecord(PEER, RECORD_KIND.LOCATION, macKey({ network: 0, mac }), body);
  };

  it('wants everything first, and says what is listened to when the answers are in', () => {
    const first = run(1000);
    assert.equal(first.sends.length, 2, 'both families are asked');
    assert.deepEqual(saidGroups(first), [{ wantsEverything: true, hasRouter: false, groups: [] }]);
    ethernet.onEvent(
      { kind: 'membership', network: 0, frame: joinV2('239.1.2.3'), missed: 0 },
      1200,
    );
    assert.deepEqual(saidGroups(run(10_000)), [
      { wantsEverything: false, hasRouter: false, groups: [M1] },
    ]);
  });

  it('says nothing anew at a restart while what it said before has all that is listened to', () => {
    const groups = encodeGroupRecord({ wantsEverything: false, hasRouter: false, groups: [M1] });
    ethernet.onRecord(SELF, RECORD_KIND.GROUP, networkKey(0), groups);
    const join = (group: string, atMs: number): void => {
      const frame = joinV2(group);
      ethernet.onEvent({ kind: 'membership', network: 0, frame, missed: 0 }, atMs);
    };
    join('239.1.2.3', 1200);
    assert.deepEqual(saidGroups(run(2000)), []);
    assert.deepEqual(
      saidGroups(run(10_000)),
      [{ wantsEverything: false, hasRouter: false, groups: [M1] }],
      'the same, which the store does not write again',
    );
    const other = new Ethernet({
      network: 0,
      selfId: SELF,
      nowMs: 0,
      mayHave: () => true,
      isOneOwners: () => false,
      isGrantable: () => true,
    });
    other.onRecord(SELF, RECORD_KIND.GROUP, networkKey(0), groups);
    const frame = joinV2('239.1.9.9');
    other.onEvent({ kind: 'membership', network: 0, frame, missed: 0 }, 500);
    assert.equal(saidGroups(other.onDeadline(500)).at(0)?.wantsEverything, true, 'one joined');
  });

  it('writes its groups not more often than others accept, and the last state in the end', () => {
    run(10_000);
    const written: { readonly wantsEverything: boolean }[] = [];
    for (let at = 0; at < 200; at++) {
      const frame = joinV2(`239.1.3.${at % 250}`);
      ethernet.onEvent({ kind: 'membership', network: 0, frame, missed: 0 }, nowMs);
      written.push(...saidGroups(run(nowMs + 50)));
    }
    assert.ok(written.length <= 12, `${written.length} in 10 s`);
    written.push(...saidGroups(run(nowMs + 10_000)));
    assert.equal(written.at(-1)?.wantsEverything, true, '200 do not fit a record');
  });

  it('follows the groups of peers, and floods to those who say nothing of them', () => {
    run(10_000);
    const groups = encodeGroupRecord({ wantsEverything: false, hasRouter: false, groups: [M1] });
    ethernet.onRecord(PEER, RECORD_KIND.GROUP, networkKey(0), groups);
    assert.deepEqual(
      run(10_000).entries.filter((entry) => entry.kind === 'groupSet' && entry.mac === M1),
      [{ kind: 'groupSet', network: 0, mac: M1, peers: [SLOT] }],
    );
    ethernet.onRecord(PEER, RECORD_KIND.GROUP, networkKey(1), new Uint8Array(1));
    assert.deepEqual(run(10_000).entries, [], 'another network');
    ethernet.onRecord(PEER, RECORD_KIND.GROUP, networkKey(0), new Uint8Array(3));
    assert.ok(
      run(10_000).entries.some((entry) => entry.kind === 'groupRemove'),
      'unreadable',
    );
  });

  it('states a MAC that moved here, guards it, and gives it back to who says more', () => {
    run(10_000);
    macRecord(4);
    assert.deepEqual(run(10_000).entries, [{ kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT }]);
    claim('local');
    const moved = run(10_000);
    assert.deepEqual(moved.entries, [{ kind: 'fdbSet', network: 0, mac: GUEST, peer: 0 }]);
    assert.deepEqual(moved.records, [
      {
        kind: RECORD_KIND.LOCATION,
        key: macKey({ network: 0, mac: GUEST }),
        body: encodeMacRecord(5),
      },
    ]);
    assert.deepEqual(
      moved.events.map(({ code, peer }) => [code, peer]),
      [['mac-moved', PEER]],
    );
    macRecord(6);
    assert.deepEqual(run(10_000).entries, [{ kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT }]);
    const later = run(80_000);
    assert.deepEqual(
      later.records.map(({ body }) => body),
      [undefined],
    );
    assert.deepEqual(later.entries, []);
  });

  it("never states the MAC of a node, its own or a peer's", () => {
    run(10_000);
    for (const mac of [macOfPeer(SELF), macOfPeer(PEER)]) claim('local', mac);
    macRecord(9, macOfPeer(SELF));
    const { entries, records } = run(10_000);
    assert.deepEqual([entries, records], [[], []]);
  });

  it('names a peer whose frames were refused or whose MAC jumps, once a minute', () => {
    run(10_000);
    for (let count = 0; count < 100; count++) {
      claim('refused');
      claim('flapping');
    }
    const told = run(10_000).events.map(({ code, peer, level }) => [code, peer, level]);
    assert.deepEqual(told, [
      ['mac-refused', PEER, 'warn'],
      ['mac-flapping', PEER, 'warn'],
    ]);
    run(75_000);
    claim('refused');
    assert.equal(run(75_000).events.length, 1);
  });

  const WEB = '10.32.0.5';
  const listed = (page: number, ...entries: readonly AddressEntry[]) => {
    const body = entries.length === 0 ? undefined : encodeAddressRecord(entries);
    ethernet.onRecord(PEER, RECORD_KIND.ADDRESS, encodeNameKey({ network: 0, page }), body);
  };

  it('answers for what a peer lists, whose MAC is there until another claims it', () => {
    run(10_000);
    listed(0, { mac: GUEST, addresses: [WEB] });
    const isGuarded = false;
    const set = { kind: 'neighbourSet', network: 0, address: WEB, mac: GUEST, isGuarded };
    const declared = { kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT };
    assert.deepEqual(run(10_000).entries, [declared, set]);
    claim('local');
    assert.deepEqual(run(10_000).entries, [{ ...declared, peer: 0 }], 'it moved here');
    listed(0);
    const gone = { kind: 'neighbourRemove', network: 0, address: WEB };
    assert.deepEqual(run(10_000).entries, [gone]);
  });

  it('learns where a MAC is that two list, and answers for neither', () => {
    run(10_000);
    const other = idOf(9);
    ethernet.setPeers([
      { id: PEER, slot: SLOT },
      { id: other, slot: SLOT + 1 },
    ]);
    listed(0, { mac: GUEST, addresses: [WEB] });
    run(10_000);
    const body = encodeAddressRecord([{ mac: GUEST, addresses: ['10.32.0.6'] }]);
    const key = encodeNameKey({ network: 0, page: 0 });
    ethernet.onRecord(other, RECORD_KIND.ADDRESS, key, body);
    const { entries } = run(10_000);
    assert.ok(entries.some((entry) => entry.kind === 'fdbRemove' && entry.mac === GUEST));
  });

  it('says what is attached here in few records, and withdraws pages of an earlier run', () => {
    const stale = encodeNameKey({ network: 0, page: 3 });
    const old = encodeAddressRecord([{ mac: GUEST, addresses: [WEB] }]);
    ethernet.setPorts([{ mac: GUEST, addresses: [WEB, 'fd00::5'] }]);
    ethernet.onRecord(SELF, RECORD_KIND.ADDRESS, stale, old);
    const said = run(10_000).records.filter(({ kind }) => kind === RECORD_KIND.ADDRESS);
    const page = (at: number) => encodeNameKey({ network: 0, page: at });
    const body = encodeAddressRecord([{ mac: GUEST, addresses: [WEB, 'fd00::5'] }]);
    assert.deepEqual(said, [
      { kind: RECORD_KIND.ADDRESS, key: stale, body: undefined },
      { kind: RECORD_KIND.ADDRESS, key: page(0), body },
    ]);
    ethernet.setPorts([{ mac: GUEST, addresses: [] }]);
    const { records } = run(20_000);
    assert.deepEqual(records, [{ kind: RECORD_KIND.ADDRESS, key: page(0), body: undefined }]);
  });

  it('takes its own records of an earlier run for its own', () => {
    const key = macKey({ network: 0, mac: GUEST });
    ethernet.onRecord(SELF, RECORD_KIND.LOCATION, key, encodeMacRecord(8));
    const entries = run(10_000).entries.filter(({ kind }) => kind === 'fdbSet');
    assert.deepEqual(entries, [{ kind: 'fdbSet', network: 0, mac: GUEST, peer: 0 }]);
  });
});
