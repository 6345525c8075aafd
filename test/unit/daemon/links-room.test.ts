import assert from 'node:assert/strict';

import { LinksRoom } from '../../../src/daemon/links-room.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { decodeLinksRecord } from '../../../src/wire/links-record.js';

const idOf = (number: number): PeerId => number.toString(16).padStart(32, '0') as PeerId;

/** A room on a clock, with how many neighbours each of its records lists, and when it was said. */
class Bench {
  readonly room = new LinksRoom(true);
  readonly said: (readonly [number, number])[] = [];
  readonly #costs = new Map<PeerId, number>();
  nowMs = 1000;

  meet(number: number): void {
    this.#costs.set(idOf(number), 20);
    this.tell();
  }

  lose(number: number): void {
    this.#costs.delete(idOf(number));
    this.tell();
  }

  tell(): void {
    this.room.setCosts(new Map(this.#costs), this.nowMs);
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
});
