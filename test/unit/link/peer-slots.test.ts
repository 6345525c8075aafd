import assert from 'node:assert/strict';

import { Actions } from '../../../src/link/actions.js';
import { PeerSlots } from '../../../src/link/peer-slots.js';
import { parsePeerId, type PeerId } from '../../../src/model/peer-id.js';

function idOf(number: number): PeerId {
  return parsePeerId(number.toString(16).padStart(32, '0'))!;
}

describe('slots of peers', () => {
  it('go from the list to the link and are told to the data plane', () => {
    const slots = new PeerSlots(4);
    const out = new Actions();
    const slot = slots.list(idOf(1), out);
    assert.ok(slot !== undefined);
    assert.equal(slots.list(idOf(1), out), slot, 'listed once');
    assert.deepEqual(
      out.list.map((action) => action.kind === 'table' && action.entry),
      [{ kind: 'peerSet', peer: slot, id: idOf(1), session: 0, path: 0 }],
    );
    assert.equal(slots.link(idOf(1)), slot);
    assert.equal(slots.isListed(idOf(1)), false);
    slots.unlist(idOf(1), out);
    assert.equal(slots.of(idOf(1)), slot, 'a link keeps its own');
    assert.equal(slots.ownerOf(slot), idOf(1));
    assert.equal(out.list.length, 1);
  });

  it('are free at once when only listed, and ten seconds after a link', () => {
    const slots = new PeerSlots(1);
    const out = new Actions();
    slots.list(idOf(1), out);
    assert.equal(slots.link(idOf(2)), undefined);
    slots.unlist(idOf(1), out);
    assert.equal(slots.link(idOf(2)), 1);
    slots.unlink(idOf(2), 1000);
    assert.equal(slots.ownerOf(1), undefined);
    slots.endRests(10_999);
    assert.equal(slots.areResting, true);
    assert.equal(slots.link(idOf(3)), undefined);
    slots.endRests(11_000);
    assert.equal(slots.areResting, false);
    assert.equal(slots.link(idOf(3)), 1);
  });
});
