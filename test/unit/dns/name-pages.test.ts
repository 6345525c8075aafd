import assert from 'node:assert/strict';

import { NamePages, type OwnName } from '../../../src/dns/name-pages.js';
import { decodeNameRecord, encodeNameKey } from '../../../src/wire/name-record.js';
import { SeededRng } from '../../sim/seeded-rng.js';

const named = (name: string, ...addresses: string[]): OwnName => ({ network: 0, name, addresses });

/** What peers have: the records as written so far. */
class Mesh {
  readonly records = new Map<string, Uint8Array>();
  writes = 0;

  take(pages: NamePages, nowMs: number): void {
    for (const { body, ...page } of pages.due(nowMs)) {
      this.writes += 1;
      const key = Buffer.from(encodeNameKey(page)).toString('hex');
      if (body) this.records.set(key, body);
      else this.records.delete(key);
    }
  }

  get names(): string[] {
    return [...this.records.values()]
      .flatMap((body) => {
        const read = decodeNameRecord(body);
        assert.ok(read.ok && body.length <= 900);
        return read.value.map(({ name, addresses }) => `${name} ${addresses.join()}`);
      })
      .sort();
  }
}

describe('pages of names', () => {
  let pages: NamePages;
  let mesh: Mesh;

  beforeEach(() => {
    pages = new NamePages();
    mesh = new Mesh();
  });

  it('tell several names at once, in one record, a moment later', () => {
    pages.put('1', named('web', '10.0.0.1', 'fd00::1'), 1000);
    pages.put('2', named('db', '10.0.0.2'), 1001);
    mesh.take(pages, 1002);
    assert.equal(mesh.writes, 0);
    assert.equal(pages.nextDeadlineMs, 1010);
    mesh.take(pages, 1010);
    assert.deepEqual(mesh.names, ['db 10.0.0.2', 'web 10.0.0.1,fd00::1']);
    assert.deepEqual([mesh.writes, pages.nextDeadlineMs], [1, Infinity]);
  });

  it('write nothing for the same statement again', () => {
    pages.put('1', named('web', '10.0.0.1'), 0);
    mesh.take(pages, 10);
    pages.put('1', named('web', '10.0.0.1'), 20);
    assert.equal(pages.nextDeadlineMs, Infinity);
  });

  it('withdraw a record with its last name', () => {
    pages.put('1', named('web', '10.0.0.1'), 0);
    mesh.take(pages, 10);
    pages.delete('1', 20);
    mesh.take(pages, 30);
    assert.equal(mesh.records.size, 0);
  });

  it('keep networks apart', () => {
    pages.put('1', named('web', '10.0.0.1'), 0);
    pages.put('2', { ...named('web', '10.0.0.1'), network: 0x010203 }, 0);
    mesh.take(pages, 10);
    assert.deepEqual([...mesh.records.keys()], ['00000000', '03020100']);
  });

  it('hold 1 024 names of the usual length in far fewer records than a node may have', () => {
    for (let i = 0; i < 1024; i += 1) {
      assert.ok(
        pages.put(String(i), named(`container-number-${i}`, `10.0.${i >> 8}.${i & 255}`), 0),
      );
    }
    for (let nowMs = 10; pages.nextDeadlineMs < Infinity; nowMs += 1600) mesh.take(pages, nowMs);
    assert.equal(mesh.names.length, 1024);
    assert.ok(mesh.records.size < 64, String(mesh.records.size));
  });

  it('say so when a network has no page left', () => {
    const addresses = Array.from({ length: 32 }, (_, i) => `fd00::${(i + 1).toString(16)}`);
    const results = Array.from({ length: 257 }, (_, i) =>
      pages.put(String(i), named(`n${i}`, ...addresses), 0),
    );
    assert.deepEqual([results.indexOf(false), results.filter(Boolean).length], [256, 256]);
  });

  it('never write more than peers take, and end as what was said, whatever came and went', () => {
    const rng = new SeededRng(5);
    const said = new Map<string, string>();
    let nowMs = 0;
    for (let step = 0; step < 20_000; step += 1) {
      const [choice = 0, which = 0, third = 0] = rng.bytes(3);
      const statement = String(which % 200);
      if (choice < 110) {
        const name = `name-${third % 7}`;
        pages.put(statement, named(name, `10.1.${which}.${third}`), nowMs);
        said.set(statement, `${name} 10.1.${which}.${third}`);
      } else {
        pages.delete(statement, nowMs);
        said.delete(statement);
      }
      nowMs += choice % 16;
      if (nowMs >= pages.nextDeadlineMs) mesh.take(pages, nowMs);
      assert.ok(mesh.writes <= 36 + nowMs / 1600 + 1);
    }
    while (pages.nextDeadlineMs < Infinity) mesh.take(pages, (nowMs += 1600));
    assert.deepEqual(mesh.names, [...said.values()].sort());
  });
});
