import assert from 'node:assert/strict';

import { MAX_ADDRESSES_PER_PEER } from '../../../src/ethernet/constants.js';
import { Neighbours } from '../../../src/ethernet/neighbours.js';
import { macOfPeer, type PeerId } from '../../../src/model/peer-id.js';
import { idOf, macOf } from './fixtures.js';

const SELF = idOf(9);
const A = idOf(1);
const B = idOf(2);
const M1 = macOf('02:00:00:00:00:01');
const M2 = macOf('02:00:00:00:00:02');
const WEB = '10.32.0.5';

describe('neighbours', () => {
  let refused: Set<PeerId>;
  let titled: Set<string>;
  let asked: string[];
  let neighbours: Neighbours;
  beforeEach(() => {
    refused = new Set();
    titled = new Set();
    asked = [];
    neighbours = new Neighbours({
      network: 7,
      isReserved: (mac) => [A, B].some((peer) => macOfPeer(peer) === mac),
      mayHave: (peer, address) => {
        asked.push(address);
        return !refused.has(peer);
      },
      selfId: SELF,
      isGrantable: (address) => titled.has(address),
      isOneOwners: (address) => titled.has(address),
    });
  });

  const set = (address: string, mac = M1, isGuarded = false) => {
    return { kind: 'neighbourSet', network: 7, address, mac, isGuarded };
  };
  const gone = (address: string) => ({ kind: 'neighbourRemove', network: 7, address });

  it('are where the only one who names them says', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB, 'fd00::5'] }]);
    neighbours.setNode(B, macOfPeer(B), ['10.47.0.9']);
    assert.deepEqual(neighbours.update(), [
      set(WEB),
      set('fd00::5'),
      set('10.47.0.9', macOfPeer(B)),
    ]);
    assert.equal(neighbours.holderOf(WEB), A);
    assert.deepEqual(neighbours.update(), []);
  });

  it('follow the record: to another MAC, to another peer, away', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB] }]);
    neighbours.update();
    neighbours.setPage(A, 0, [{ mac: M2, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), [set(WEB, M2)]);
    neighbours.setPage(A, 0, undefined);
    neighbours.setPage(B, 4, [{ mac: M1, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), [set(WEB)]);
    neighbours.setPage(B, 4, []);
    assert.deepEqual(neighbours.update(), [gone(WEB)]);
    assert.equal(neighbours.holderOf(WEB), undefined);
  });

  it('are nowhere while two name different MACs, and stay where they name one', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB] }]);
    neighbours.update();
    neighbours.setPage(B, 0, [{ mac: M1, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), []);
    neighbours.setPage(B, 0, [{ mac: M2, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), [gone(WEB)]);
    assert.equal(neighbours.holderOf(WEB), undefined);
  });

  it('count only from who may have the address, as it is now', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB] }]);
    neighbours.setPage(B, 0, [{ mac: M2, addresses: [WEB] }]);
    refused.add(B);
    assert.deepEqual(neighbours.update(), [set(WEB)]);
    refused = new Set([A]);
    neighbours.touchAll();
    assert.deepEqual(neighbours.update(), [set(WEB, M2)]);
  });

  it('are looked at again by a title only where titles have a say', () => {
    titled.add(WEB);
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB] }]);
    neighbours.setNode(B, macOfPeer(B), ['10.47.0.9']);
    neighbours.update();
    refused = new Set([A, B]);
    asked = [];
    neighbours.touchGrantable();
    assert.deepEqual(neighbours.update(), [gone(WEB)]);
    assert.deepEqual(asked, [WEB]);
    neighbours.touchAll();
    assert.deepEqual(neighbours.update(), [gone('10.47.0.9')]);
    neighbours.setPage(A, 0, undefined);
    neighbours.update();
    neighbours.touchGrantable();
    asked = [];
    neighbours.update();
    assert.deepEqual(asked, []);
  });

  it('are not those of this host', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB] }]);
    neighbours.setOwn([{ mac: M2, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), []);
    neighbours.setOwn([]);
    assert.deepEqual(neighbours.update(), [set(WEB)]);
    neighbours.setOwn([{ mac: M2, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), [gone(WEB)]);
  });

  it('are guarded where only one may have the address, on this host too', () => {
    neighbours.setPage(A, 0, [{ mac: M1, addresses: [WEB, '192.168.0.2'] }]);
    titled.add(WEB);
    assert.deepEqual(neighbours.update(), [set(WEB, M1, true), set('192.168.0.2')]);
    titled.clear();
    neighbours.touchAll();
    assert.deepEqual(neighbours.update(), [set(WEB)]);
    titled.add('10.32.0.7');
    neighbours.setOwn([{ mac: M2, addresses: ['10.32.0.7', '192.168.0.3'] }]);
    assert.deepEqual(neighbours.update(), [set('10.32.0.7', M2, true)]);
    refused.add(SELF);
    neighbours.touchAll();
    assert.deepEqual(neighbours.update(), [gone('10.32.0.7')]);
    titled.add(WEB);
    neighbours.touchAll();
    neighbours.update();
    assert.deepEqual(neighbours.clear(), [gone('192.168.0.2'), gone(WEB)]);
  });

  it("are not at another node's own MAC", () => {
    neighbours.setPage(A, 0, [
      { mac: macOfPeer(B), addresses: [WEB] },
      { mac: macOfPeer(A), addresses: ['10.32.0.6'] },
    ]);
    assert.deepEqual(neighbours.update(), [set('10.32.0.6', macOfPeer(A))]);
    assert.deepEqual([...neighbours.macsOf(A)], []);
  });

  it('of one peer are no more than a host may have, and make room again', () => {
    const page = (count: number) => [
      {
        mac: M1,
        addresses: Array.from({ length: count }, (_, at) => `10.33.${at >> 8}.${at & 255}`),
      },
    ];
    neighbours.setPage(A, 0, page(MAX_ADDRESSES_PER_PEER + 5));
    assert.equal(neighbours.update().length, MAX_ADDRESSES_PER_PEER);
    neighbours.setPage(A, 0, page(1));
    assert.equal(neighbours.update().length, MAX_ADDRESSES_PER_PEER - 1);
    neighbours.setPage(A, 1, [{ mac: M1, addresses: [WEB] }]);
    assert.deepEqual(neighbours.update(), [set(WEB)]);
  });
});
