import assert from 'node:assert/strict';

import { MacClaims } from '../../../src/ethernet/mac-claims.js';
import type { Mac } from '../../../src/model/mac.js';
import { idOf, macOf } from './fixtures.js';

const GUEST = macOf('02:00:00:00:00:77');
const NODE = macOf('02:00:00:00:00:01');
const slotOf = (peer: string): number => Number.parseInt(peer.slice(0, 2), 16);
const macNumber = (at: number): Mac =>
  macOf(
    `02:00:00:01:${(at >> 8).toString(16).padStart(2, '0')}:${(at & 255).toString(16).padStart(2, '0')}`,
  );

describe('claims of MACs', () => {
  let claims: MacClaims;
  const make = (self: number) =>
    new MacClaims({ network: 0, selfId: idOf(self), isReserved: (mac) => mac === NODE });
  const places = (nowMs = 0, of = claims) =>
    of
      .update(slotOf, nowMs)
      .map((entry) => (entry.kind === 'fdbSet' ? [entry.mac, entry.peer] : [entry.kind]));
  beforeEach(() => {
    claims = make(5);
  });

  it('put a MAC where the highest sequence says, and of equal ones where the smaller id is', () => {
    claims.setClaim(idOf(7), GUEST, 3);
    assert.deepEqual(places(), [[GUEST, 7]]);
    claims.setClaim(idOf(8), GUEST, 4);
    assert.deepEqual(places(), [[GUEST, 8]]);
    claims.setClaim(idOf(2), GUEST, 4);
    assert.deepEqual(places(), [[GUEST, 2]]);
    claims.setClaim(idOf(9), GUEST, 4);
    assert.deepEqual(places(), []);
    for (const peer of [2, 8, 9, 7]) claims.setClaim(idOf(peer), GUEST, undefined);
    assert.deepEqual(places(), [['fdbRemove']]);
  });

  it('take a MAC that sends from here with the next sequence, at once', () => {
    claims.setClaim(idOf(7), GUEST, 41);
    places();
    assert.deepEqual(claims.onLocal(GUEST, 0), { kind: 'claimed', sequence: 42, withdrawn: [] });
    assert.deepEqual(places(), [[GUEST, 0]]);
    assert.equal(claims.onLocal(GUEST, 0).kind, 'refused', 'it is here already');
  });

  it('give it up to who says more, withdraw after a minute, and take it back above that', () => {
    claims.onLocal(GUEST, 0);
    assert.deepEqual(places(), [[GUEST, 0]]);
    claims.setClaim(idOf(7), GUEST, 2);
    assert.deepEqual(places(1000), [[GUEST, 7]]);
    assert.equal(claims.nextDeadlineMs, 61_000);
    assert.deepEqual(claims.onDeadline(60_999), []);
    assert.deepEqual(claims.onDeadline(61_000), [GUEST]);
    assert.equal(claims.nextDeadlineMs, Number.POSITIVE_INFINITY);
    assert.deepEqual(claims.onLocal(GUEST, 62_000), {
      kind: 'claimed',
      sequence: 3,
      withdrawn: [],
    });
  });

  it('agree on every host, whatever the order of arrival', () => {
    const said = [3, 7, 7, 5].map((sequence, at) => ({ peer: idOf(at + 1), sequence }));
    const winners = [said, said.toReversed()].map((order) => {
      const other = make(9);
      for (const { peer, sequence } of order) other.setClaim(peer, GUEST, sequence);
      return places(0, other);
    });
    assert.deepEqual(winners, [[[GUEST, 2]], [[GUEST, 2]]]);
  });

  it('keep the MAC of a port of this host here, whatever a member says, until it is detached', () => {
    claims.setPorts([GUEST]);
    assert.deepEqual(places(), [[GUEST, 0]]);
    claims.setClaim(idOf(2), GUEST, 2 ** 31);
    assert.deepEqual(places(), []);
    claims.setPorts([]);
    assert.deepEqual(places(), [[GUEST, 2]]);
    claims.setPorts([NODE]);
    assert.deepEqual(places(), [], 'the MAC of a node is no port of anybody');
  });

  it('never touch the MAC of a node', () => {
    claims.setClaim(idOf(7), NODE, 0xffff_ffff);
    assert.deepEqual(places(), []);
    assert.equal(claims.onLocal(NODE, 0).kind, 'refused');
  });

  it('carry 50 moves in a row, and slow down a MAC that jumps for ever', () => {
    let claimed = 0;
    for (let move = 1; move <= 1000; move++) {
      claims.setClaim(idOf(7), GUEST, move * 2 - 1);
      places(move * 100);
      if (claims.onLocal(GUEST, move * 100).kind === 'claimed') claimed += 1;
    }
    assert.ok(claimed >= 48 && claimed <= 100, `${claimed} of 1000 in 100 s`);
  });

  it('are bounded, ours and those of a peer', () => {
    let nowMs = 0;
    const withdrawn: Mac[] = [];
    for (let at = 0; at < 120; at++) {
      nowMs += 10_000;
      const outcome = claims.onLocal(macNumber(at), nowMs);
      if (outcome.kind === 'claimed') withdrawn.push(...outcome.withdrawn);
    }
    assert.deepEqual(
      withdrawn,
      Array.from({ length: 24 }, (_, at) => macNumber(at)),
    );
    for (let at = 0; at < 400; at++) claims.setClaim(idOf(7), macNumber(1000 + at), 1);
    assert.equal(places().filter(([, peer]) => peer === 7).length, 256);
  });

  it('of an earlier run hold until another says more', () => {
    claims.restoreOwn(GUEST, 9);
    assert.deepEqual(places(), [[GUEST, 0]]);
    claims.setClaim(idOf(7), GUEST, 10);
    assert.deepEqual(places(), [[GUEST, 7]]);
  });

  it('of peers out of reach are left to learning until they are there', () => {
    claims.setClaim(idOf(7), GUEST, 1);
    assert.deepEqual(
      claims.update(() => undefined, 0),
      [],
    );
    claims.touchAll();
    assert.deepEqual(places(), [[GUEST, 7]]);
  });
});
