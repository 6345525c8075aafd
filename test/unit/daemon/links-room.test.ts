import assert from 'node:assert/strict';

import { LinksRoom } from '../../../src/daemon/links-room.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { signRecord, type SignedRecord } from '../../../src/records/signed-record.js';
import { costStep } from '../../../src/routing/topology.js';
import { decodeLinksRecord, encodeLinksRecord } from '../../../src/wire/links-record.js';
import { RECORD_KIND } from '../../../src/wire/record.js';
import { cryptoOf } from '../records/fixtures.js';

const idOf = (number: number): PeerId => number.toString(16).padStart(32, '0') as PeerId;

function recordOf(links: ReadonlyMap<PeerId, number>): SignedRecord {
  const publicKey = new Uint8Array(32);
  const said = { kind: RECORD_KIND.LINKS, key: new Uint8Array(0), body: encodeLinksRecord(links) };
  return signRecord({ ...said, version: 1, isTombstone: false, publicKey }, cryptoOf(publicKey));
}

const linksTo = (...numbers: readonly number[]): ReadonlyMap<PeerId, number> =>
  new Map(numbers.map((number) => [idOf(number), costStep(20)]));

/** A room on a clock, with how many neighbours each of its records lists, and when it was said. */
class Bench {
  readonly room = new LinksRoom({ selfId: () => idOf(0), isRelay: true });
  readonly said: (readonly [number, number])[] = [];
  readonly #costs = new Map<PeerId, number>();
  nowMs = 1000;

  /** One after another. */
  meet(...numbers: readonly number[]): void {
    for (const number of numbers) this.price(number, 20);
  }

  lose(...numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#costs.delete(idOf(number));
      this.tell();
    }
  }

  /** Its record of an earlier run. */
  hasSaid(...links: readonly number[]): void {
    this.room.onChange({ owner: idOf(0), record: recordOf(linksTo(...links)) }, true);
  }

  /** So many others list links, to each of these. */
  growMesh(count: number, ...links: readonly number[]): void {
    for (let number = 100; number < 100 + count; number++) this.hear(number, ...links);
  }

  /** Its cost, in ms. */
  price(number: number, costMs: number): void {
    this.#costs.set(idOf(number), costMs);
    this.tell();
  }

  tell(isSeeking = false): void {
    this.room.setCosts(new Map(this.#costs), this.nowMs, isSeeking);
  }

  /** Another says whom it is linked with. */
  hear(number: number, ...links: readonly number[]): void {
    this.room.onChange({ owner: idOf(number), record: recordOf(linksTo(...links)) }, false);
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    while (this.room.nextDeadlineMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.room.nextDeadlineMs);
      this.room.onDeadline(this.nowMs, (_kind, _key, body) => {
        const links = body && decodeLinksRecord(body);
        if (links?.ok) this.said.push([this.nowMs, links.value.size]);
      });
    }
    this.nowMs = endMs;
  }
}

/** Ten seconds after it met these where so many others list links, to each of `listed`. */
function settled(others: number, met: readonly number[], listed: readonly number[] = []): Bench {
  const bench = new Bench();
  bench.growMesh(others, ...listed);
  bench.meet(...met);
  bench.run(10_000);
  return bench;
}

describe('the links record', () => {
  it('is not said before there is a neighbour', () => {
    const bench = new Bench();
    bench.tell();
    bench.run(60_000);
    assert.deepEqual(bench.said, []);
  });

  it('lists one neighbour 200 ms after it came, and nobody 200 ms after it went', () => {
    const bench = new Bench();
    bench.meet(1);
    bench.run(5000);
    bench.lose(1);
    bench.run(5000);
    assert.deepEqual(bench.said, [
      [1200, 1],
      [6200, 0],
    ]);
  });

  it('is said once for neighbours that come within a second, and does not wait longer for more', () => {
    const bench = new Bench();
    for (let number = 1; number <= 8; number++) {
      bench.meet(number);
      bench.run(100);
    }
    bench.run(1000);
    assert.deepEqual(bench.said, [[1900, 8]]);
    for (let number = 9; number <= 38; number++) {
      bench.meet(number);
      bench.run(100);
    }
    assert.deepEqual(bench.said[1], [3800, 18]);
  });

  it('of an earlier run goes on while its neighbours come back, and is not said again', () => {
    const bench = new Bench();
    bench.hasSaid(1, 2, 3);
    bench.meet(1);
    bench.run(1000);
    bench.meet(2, 3);
    bench.run(60_000);
    assert.deepEqual(bench.said, []);
  });

  it('of an earlier run is replaced when one does not come back within 5 s, or a new one is met', () => {
    const bench = new Bench();
    bench.hasSaid(1, 2, 3);
    bench.meet(1);
    bench.run(10_000);
    assert.deepEqual(bench.said, [[6000, 1]]);
    const other = new Bench();
    other.hasSaid(1);
    other.meet(1, 2);
    other.run(10_000);
    assert.deepEqual(other.said, [[1200, 2]]);
  });

  it('waits for more links where some dozen list theirs, at most a quarter of a minute', () => {
    const bench = settled(20, [1]);
    assert.deepEqual(bench.said, [[6000, 1]]);
    for (let number = 2; number <= 25; number++) {
      bench.meet(number);
      bench.run(1000);
    }
    bench.run(10_000);
    assert.deepEqual(bench.said.slice(1), [
      [26_000, 16],
      [39_000, 25],
    ]);
  });

  it('does not wait there when a link is lost, or while this node looks for ways', () => {
    const bench = settled(20, [1]);
    bench.meet(2);
    bench.lose(1);
    bench.run(10_000);
    assert.deepEqual(bench.said.slice(1), [[11_200, 1]]);
    bench.meet(3);
    bench.tell(true);
    bench.run(1000);
    assert.deepEqual(bench.said.slice(2), [[21_200, 2]]);
  });

  it('waits there while this node looks for ways but has listed most of what it has', () => {
    const bench = settled(20, [1, 2, 3, 4, 5, 6]);
    bench.meet(7);
    bench.tell(true);
    bench.run(4000);
    assert.deepEqual(bench.said, [[6000, 6]]);
    bench.run(2000);
    assert.deepEqual(bench.said.slice(1), [[16_000, 7]]);
  });

  it('waits half a minute there for links that six others list, unless somebody lacks them', () => {
    const bench = settled(20, [1, 2], [1, 2, 3, 4]);
    bench.meet(3);
    bench.run(29_000);
    assert.deepEqual(bench.said, [[6000, 2]]);
    bench.run(2000);
    assert.deepEqual(bench.said.slice(1), [[41_000, 3]]);
    bench.meet(4);
    bench.run(1000);
    bench.hear(1, 0, 2, 3);
    bench.run(1000);
    assert.equal(bench.said.at(-1)?.[1], 4);
  });

  it('does not wait there when a neighbour that says its links lacks who is reached from here', () => {
    const bench = new Bench();
    bench.growMesh(20);
    bench.meet(1, 2);
    bench.run(500);
    bench.hear(1, 0);
    bench.run(5000);
    assert.deepEqual(bench.said, [[1500, 2]]);
    bench.meet(3);
    bench.run(500);
    bench.hear(1, 0, 2, 3);
    bench.hear(200, 0);
    bench.run(8000);
    assert.deepEqual(bench.said.slice(1), [[11_500, 3]], 'nobody linked with us lacks it');
  });

  it('waits there though a newcomer lacks somebody, when a relay between the two is known', () => {
    const bench = settled(20, [1, 2], [2, 3]);
    bench.meet(3);
    bench.run(500);
    bench.hear(4, 1, 3);
    bench.hear(3, 4);
    bench.hear(1, 0, 4);
    bench.run(1000);
    assert.equal(bench.said.length, 1);
    bench.hear(4, 1);
    bench.hear(1, 0, 4);
    bench.run(1000);
    assert.equal(bench.said.length, 2, 'that relay has lost its link');
  });

  it('leaves it there to the first six of those that the newcomer lists', () => {
    const saysFor = (newcomer: number, ...listed: readonly number[]): number => {
      const bench = settled(20, [1, 2], [1, 2, 3, newcomer]);
      bench.meet(newcomer, 3);
      bench.run(1000);
      bench.hear(newcomer, 0, ...listed);
      bench.run(1000);
      return bench.said.length - 1;
    };
    assert.equal(saysFor(14, 10, 11, 12, 13, 15), 1, 'behind the 15th this node is next');
    assert.equal(saysFor(9, 10, 11, 12, 13, 15), 1, 'the sixth');
    assert.equal(saysFor(9, 10, 11, 12, 13, 15, 16), 0, 'the seventh');
  });

  it('of a node in a large mesh waits for more changes, and longer where links only went', () => {
    const bench = settled(65, [1, 2]);
    assert.deepEqual(bench.said, [[4000, 2]]);
    bench.lose(1);
    bench.run(60_000);
    bench.meet(1);
    bench.run(200_000);
    assert.equal(bench.said.length, 1, 'it came back');
    bench.lose(1);
    bench.run(119_000);
    assert.equal(bench.said.length, 1);
    bench.run(2000);
    assert.deepEqual(bench.said.at(-1)?.[1], 1);
    bench.lose(2);
    bench.run(1000);
    bench.meet(3);
    bench.run(4000);
    assert.deepEqual(bench.said.at(-1)?.[1], 1, 'with the next news');
    assert.equal(bench.said.length, 3);
  });

  it('of a node in a large mesh is not written for links that stand in for others for a while', () => {
    const bench = settled(65, [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(bench.said, [[4000, 4]]);
    bench.lose(1);
    bench.meet(5);
    bench.price(2, 60);
    bench.run(100_000);
    bench.meet(1);
    bench.price(2, 20);
    bench.lose(5);
    bench.run(200_000);
    assert.equal(bench.said.length, 1, 'all is as it was');
    bench.lose(1);
    bench.meet(5);
    bench.run(179_000);
    assert.equal(bench.said.length, 1);
    bench.run(2000);
    assert.deepEqual(bench.said.at(-1)?.[1], 4, 'it lasted');
  });

  it('of a node in a large mesh tells of a link soon when one of its ends has few others', () => {
    const bench = settled(65, [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]);
    bench.meet(7);
    bench.run(3000);
    assert.deepEqual(bench.said.at(-1)?.[1], 5, 'nobody else lists it');
    bench.lose(1, 2, 3);
    bench.meet(5);
    bench.run(3000);
    assert.deepEqual(bench.said.at(-1)?.[1], 3, 'most of what was listed is gone');
  });
});
