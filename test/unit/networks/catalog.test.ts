import assert from 'node:assert/strict';

import type { PeerId } from '../../../src/model/peer-id.js';
import { Catalog } from '../../../src/networks/catalog.js';
import type { NetworkStatement } from '../../../src/wire/network-record.js';

const idOf = (name: string): number => name.charCodeAt(0);
const BLUE = idOf('blue');
const peer = (digit: string) => digit.repeat(32) as PeerId;

function statement(more: Partial<NetworkStatement> = {}): NetworkStatement {
  return {
    ...{ name: 'blue', subnets: ['10.80.0.0/16'], mtuBytes: 1388, createdMs: 1000 },
    ...{ removedMs: 0, isUsed: false, isRemoved: false, ...more },
  };
}

const definition = (createdMs = 1000) => ({
  ...{ id: BLUE, name: 'blue', subnets: ['10.80.0.0/16'], mtuBytes: 1388, createdMs },
});

/** Nodes that hear each other at once: what one says all others are told, in the order of `order`. */
class Mesh {
  readonly nodes = new Map<PeerId, Catalog>();

  constructor(...digits: string[]) {
    for (const digit of digits) this.nodes.set(peer(digit), new Catalog(idOf));
  }

  node(digit: string): Catalog {
    const found = this.nodes.get(peer(digit));
    assert.ok(found);
    return found;
  }

  /** Until nobody has news. */
  talk(): void {
    for (let round = 0; round < 8; round += 1) {
      for (const [from, node] of this.nodes) {
        for (const id of node.takeDirty()) {
          for (const [to, other] of this.nodes) {
            if (to !== from) other.onStatement(from, id, node.ownStatement(id));
          }
        }
      }
    }
  }
}

describe('catalogue of networks', () => {
  it('knows what others created, and who is on it', () => {
    const mesh = new Mesh('a', 'b', 'c');
    mesh.node('a').create(definition());
    mesh.talk();
    assert.deepEqual(mesh.node('b').get(BLUE), definition());
    mesh.node('c').setUsed(BLUE, true);
    mesh.talk();
    assert.deepEqual(mesh.node('a').members(BLUE), [peer('c')]);
    mesh.node('c').setUsed(BLUE, false);
    mesh.talk();
    assert.deepEqual(mesh.node('a').members(BLUE), []);
  });

  it('keeps a network whose creator is gone, where something was on it', () => {
    const mesh = new Mesh('a', 'b', 'c');
    mesh.node('a').create(definition());
    mesh.talk();
    mesh.node('b').setUsed(BLUE, true);
    mesh.node('b').setUsed(BLUE, false);
    mesh.talk();
    for (const digit of ['b', 'c']) mesh.node(digit).onStatement(peer('a'), BLUE, undefined);
    assert.deepEqual(mesh.node('c').get(BLUE), definition());
  });

  it('agrees on the older of two, whichever is heard first, and the loser says so', () => {
    const older = statement({ createdMs: 900, mtuBytes: 1300 });
    for (const isOlderFirst of [true, false]) {
      const catalog = new Catalog(idOf);
      if (isOlderFirst) catalog.onStatement(peer('b'), BLUE, older);
      catalog.restore(statement());
      if (!isOlderFirst) catalog.onStatement(peer('b'), BLUE, older);
      assert.equal(catalog.get(BLUE)?.mtuBytes, 1300);
      assert.equal(catalog.ownStatement(BLUE)?.mtuBytes, 1300);
      assert.deepEqual(
        catalog.takeEvents().map(({ kind }) => kind),
        ['clash'],
      );
    }
  });

  it('agrees on one of two of the same moment', () => {
    const others = [statement({ subnets: ['10.81.0.0/16'] }), statement()];
    const kept = others.map((theirs, at) => {
      const catalog = new Catalog(idOf);
      catalog.restore(others[1 - at] ?? theirs);
      catalog.onStatement(peer('b'), BLUE, theirs);
      return catalog.get(BLUE)?.subnets.join();
    });
    assert.equal(kept[0], kept[1]);
  });

  it('forgets what was removed, also where it was created, and lets it be created anew', () => {
    const mesh = new Mesh('a', 'b');
    mesh.node('a').create(definition());
    mesh.talk();
    mesh.node('b').remove(BLUE);
    mesh.talk();
    for (const digit of ['a', 'b']) assert.equal(mesh.node(digit).get(BLUE), undefined);
    assert.equal(mesh.node('a').ownStatement(BLUE), undefined);
    assert.deepEqual(
      mesh
        .node('a')
        .takeEvents()
        .map(({ kind, peer: by }) => [kind, by]),
      [['removed', peer('b')]],
    );
    assert.equal(mesh.node('a').removedMs(BLUE), 1000);
    mesh.node('a').create(definition(1001));
    mesh.talk();
    assert.equal(mesh.node('b').get(BLUE)?.createdMs, 1001);
  });

  it('may be created anew before its creator has heard that it was removed', () => {
    const mesh = new Mesh('a', 'b');
    mesh.node('a').create(definition());
    mesh.talk();
    mesh.node('b').remove(BLUE);
    mesh.node('b').create(definition(1001));
    mesh.talk();
    for (const digit of ['a', 'b']) assert.equal(mesh.node(digit).get(BLUE)?.createdMs, 1001);
  });

  it('does not bring back what was removed while its creator was away', () => {
    const mesh = new Mesh('a', 'b');
    mesh.node('a').create(definition());
    mesh.talk();
    mesh.node('b').remove(BLUE);
    mesh.node('b').takeDirty();
    mesh.node('b').onStatement(peer('a'), BLUE, statement());
    assert.equal(mesh.node('b').get(BLUE), undefined);
  });

  it('keeps what somebody used before the removal came', () => {
    const mesh = new Mesh('a', 'b', 'c');
    mesh.node('a').create(definition());
    mesh.talk();
    mesh.node('b').remove(BLUE);
    mesh.node('c').setUsed(BLUE, true);
    mesh.talk();
    for (const digit of ['a', 'b', 'c']) assert.deepEqual(mesh.node(digit).get(BLUE), definition());
    mesh.node('c').setUsed(BLUE, false);
    mesh.talk();
    assert.deepEqual(mesh.node('b').get(BLUE), definition());
  });

  it('listens to nobody who names a network under another id, or too many', () => {
    const catalog = new Catalog(idOf);
    catalog.onStatement(peer('b'), BLUE + 1, statement());
    assert.equal(catalog.size, 0);
    const many = new Catalog((name) => Number(name.slice(1)));
    for (let at = 1; at <= 300; at += 1) {
      many.onStatement(peer('b'), at, statement({ name: `n${at}` }));
    }
    assert.equal(many.size, 192);
    many.onStatement(peer('b'), 1, undefined);
    many.onStatement(peer('b'), 300, statement({ name: 'n300' }));
    assert.equal(many.get(300)?.name, 'n300');
  });

  it('hears what others say of its own network however many more are named', () => {
    const catalog = new Catalog((name) => Number(name.slice(1)));
    catalog.create({ ...definition(), id: 5000, name: 'n5000' });
    for (let at = 1; at <= 1100; at += 1) {
      catalog.onStatement(peer('abcdef'[at % 6] ?? ''), at, statement({ name: `n${at}` }));
    }
    assert.equal(catalog.size, 1025);
    catalog.onStatement(peer('1'), 1101, statement({ name: 'n1101', isUsed: true }));
    assert.equal(catalog.get(1101), undefined);
    catalog.onStatement(peer('1'), 5000, statement({ name: 'n5000', isUsed: true }));
    assert.deepEqual(catalog.members(5000), [peer('1')]);
  });
});
