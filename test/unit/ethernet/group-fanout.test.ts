import assert from 'node:assert/strict';

import type { TableEntry } from '../../../src/dataplane/dataplane.js';
import { GroupFanout } from '../../../src/ethernet/group-fanout.js';
import type { Mac } from '../../../src/model/mac.js';
import type { GroupRecord } from '../../../src/wire/group-record.js';
import { idOf, macOf } from './fixtures.js';

const M1 = macOf('01:00:5e:01:02:03');
const M2 = macOf('01:00:5e:01:02:04');
const ROUTERS = macOf('00:00:00:00:00:00');
const PEERS = [1, 2, 3].map((slot) => ({ id: idOf(slot), slot }));

const says = (...groups: Mac[]): GroupRecord => {
  return { wantsEverything: false, hasRouter: false, groups };
};

describe('the fan-out of groups', () => {
  let fanout: GroupFanout;
  const table = new Map<Mac, readonly number[]>();
  const follow = (entries: readonly TableEntry[]): number => {
    for (const entry of entries) {
      if (entry.kind === 'groupSet') table.set(entry.mac, entry.peers);
      else if (entry.kind === 'groupRemove') table.delete(entry.mac);
      else assert.fail(entry.kind);
    }
    return entries.length;
  };
  beforeEach(() => {
    fanout = new GroupFanout(0);
    table.clear();
    for (const { id } of PEERS) fanout.setStatement(id, says());
  });

  it('is who listed the group; what nobody listed is flooded, having no entry', () => {
    fanout.setStatement(idOf(2), says(M1));
    follow(fanout.update(PEERS, []));
    assert.deepEqual([...table].sort(), [
      [ROUTERS, []],
      [M1, [2]],
    ]);
  });

  it('is nobody for what only this host listens to', () => {
    follow(fanout.update(PEERS, [M1]));
    assert.deepEqual(table.get(M1), []);
  });

  it('takes in who said nothing, who wants everything, and who has a router', () => {
    fanout.setStatement(idOf(1), undefined);
    fanout.setStatement(idOf(2), { wantsEverything: true, hasRouter: false, groups: [] });
    fanout.setStatement(idOf(3), says(M1));
    const more = { id: idOf(4), slot: 4 };
    fanout.setStatement(more.id, { wantsEverything: false, hasRouter: true, groups: [] });
    follow(fanout.update([...PEERS, more], []));
    assert.deepEqual(table.get(M1), [1, 2, 3, 4]);
    assert.deepEqual(table.get(ROUTERS), [1, 4]);
  });

  it('changes what changed and nothing else', () => {
    fanout.setStatement(idOf(2), says(M1, M2));
    assert.equal(follow(fanout.update(PEERS, [])), 3);
    assert.equal(follow(fanout.update(PEERS, [])), 0);
    fanout.setStatement(idOf(3), says(M2));
    assert.equal(follow(fanout.update(PEERS, [])), 1);
    fanout.setStatement(idOf(2), says());
    assert.equal(follow(fanout.update(PEERS, [])), 2);
    assert.deepEqual([...table.keys()].sort(), [ROUTERS, M2]);
    assert.equal(follow(fanout.update(PEERS.slice(0, 1), [])), 1, 'who left listens no more');
  });

  it('has no entry for groups of the link, whoever lists them, and at most 4096', () => {
    fanout.setStatement(idOf(1), says(macOf('01:00:5e:00:00:fb')));
    const many = Array.from({ length: 40 }, (_, peer) => ({ id: idOf(peer), slot: peer + 1 }));
    for (const { id, slot } of many.slice(1)) {
      const hex = (value: number): string => value.toString(16).padStart(2, '0');
      fanout.setStatement(
        id,
        says(
          ...Array.from({ length: 149 }, (_, at) => macOf(`01:00:5e:01:${hex(slot)}:${hex(at)}`)),
        ),
      );
    }
    follow(fanout.update(many, []));
    assert.equal(table.size, 4096);
    assert.ok(!table.has(macOf('01:00:5e:00:00:fb')));
  });
});
