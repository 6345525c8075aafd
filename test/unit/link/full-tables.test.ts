import assert from 'node:assert/strict';

import { ok } from '../../../src/base/result.js';
import type { TableEntry } from '../../../src/dataplane/dataplane.js';
import { Actions } from '../../../src/link/actions.js';
import { CANDIDATES_PER_PEER, SESSIONS_PER_PEER } from '../../../src/link/constants.js';
import { Links } from '../../../src/link/links.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import { parsePeerId, type PeerId } from '../../../src/model/peer-id.js';
import { FIN_TYPE, INIT_TYPE } from '../../../src/wire/handshake.js';
import { SeededRng } from '../../sim/seeded-rng.js';
import { at, countingCrypto, doneWith, OWN } from './fixtures.js';

const PLACES = 8;

function idOf(number: number): PeerId {
  return parsePeerId(number.toString(16).padStart(32, '0'))!;
}

/** Links with few places, to which others come. */
class Bench {
  readonly links: Links;
  readonly out = new Actions();
  nowMs = 0;
  #next: PeerId = idOf(1);
  #index = 0;

  constructor() {
    const respond = (_init: Uint8Array, localIndex: number) => {
      this.#index = localIndex;
      const id = this.#next;
      const resp = new Uint8Array(512);
      return ok({ resp, onFin: () => ok(doneWith(localIndex, id)), erase: () => undefined });
    };
    this.links = new Links(
      { crypto: { ...countingCrypto(), respond }, rng: new SeededRng(5) },
      { ownId: OWN, mtuBytes: 1388, rekeyAfterMs: 120_000, overlay: [], maxPeers: PLACES },
    );
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    while (this.links.nextDeadlineMs <= endMs) {
      this.nowMs = Math.max(this.nowMs + 1, this.links.nextDeadlineMs);
      this.links.onDeadline(this.nowMs, () => undefined, this.out);
    }
    this.nowMs = endMs;
  }

  /** It completes a handshake and says something. @returns whether it has a link */
  come(number: number): boolean {
    const from = this.handshake(number, number % 250);
    const session = this.links.peer(this.#next)?.tx?.index;
    if (session === undefined) return false;
    const heard = { kind: 'phaseConfirmed', session, phase: 0, from } as const;
    this.links.onEvent(heard, this.nowMs, this.out);
    return true;
  }

  /** It completes a handshake from there. */
  handshake(number: number, host: number): Endpoint {
    this.#next = idOf(number);
    const from = at(host);
    const event = (type: number, fill: number) => {
      const bytes = new Uint8Array(512).fill(fill);
      bytes[0] = type;
      new DataView(bytes.buffer).setUint32(8, type === FIN_TYPE ? this.#index : number, true);
      new DataView(bytes.buffer).setUint32(16, this.nowMs, true);
      return { kind: 'handshake', from, bytes, hasCookie: true, resumed: false } as const;
    };
    this.links.onEvent(event(INIT_TYPE, number), this.nowMs, this.out);
    this.links.onEvent(event(FIN_TYPE, number), this.nowMs, this.out);
    return from;
  }

  /** Entries of a kind that stand in the tables. */
  held(set: TableEntry['kind'], removed: TableEntry['kind']): number {
    const held = new Set<number>();
    for (const action of this.out.list) {
      if (action.kind !== 'table') continue;
      const { entry } = action;
      const key =
        'path' in entry && entry.kind !== 'peerSet'
          ? entry.path
          : 'session' in entry
            ? entry.session
            : 0;
      if (entry.kind === set) held.add(key);
      if (entry.kind === removed) held.delete(key);
    }
    return held.size;
  }

  /** It says goodbye. */
  leave(number: number): void {
    const session = this.links.peer(idOf(number))?.tx?.index ?? 0;
    const close = { kind: 'control', session, from: at(1), type: 14, body: new Uint8Array(0) };
    this.links.onEvent(close as Parameters<Links['onEvent']>[0], this.nowMs, this.out);
  }
}

describe('the tables of the data plane', () => {
  it('are not filled by a peer that finishes handshakes from everywhere and confirms none', () => {
    const bench = new Bench();
    assert.equal(bench.come(1), true);
    for (let host = 2; host < 200; host++) {
      bench.run(50);
      bench.handshake(1, host);
    }
    assert.ok(bench.held('sessionInstall', 'sessionRemove') <= SESSIONS_PER_PEER);
    assert.ok(bench.held('pathSet', 'pathRemove') <= CANDIDATES_PER_PEER);
    assert.equal(bench.links.peers.length, 1);
  });
});

describe('places for peers', () => {
  it('are found for newcomers when identities that are gone hold all of them', () => {
    const bench = new Bench();
    for (let number = 1; number <= PLACES; number++) {
      assert.equal(bench.come(number), true);
      if (number > 2) bench.leave(number);
      bench.run(1000);
    }
    assert.equal(bench.come(100), false, 'the place of another is not given away at once');
    const forgotten = bench.links.takeForgotten();
    assert.deepEqual(forgotten, [3, 4, 5, 6, 7, 8].map(idOf));
    assert.deepEqual(bench.links.takeForgotten(), []);
    bench.run(11_000);
    assert.equal(bench.come(100), true);
    const slots = bench.links.peers.map(({ slot }) => slot);
    assert.equal(new Set(slots).size, slots.length);
    assert.deepEqual(
      bench.links.peers.map(({ id }) => id),
      [1, 2, 100].map(idOf),
    );
    assert.equal(bench.come(3), true, 'who was forgotten may come back');
  });

  it('of those that are there are given to nobody', () => {
    const bench = new Bench();
    for (let number = 1; number <= PLACES; number++) assert.equal(bench.come(number), true);
    assert.equal(bench.come(100), false);
    bench.run(1000);
    assert.equal(bench.come(100), false);
    assert.equal(bench.links.peers.length, PLACES);
  });
});
