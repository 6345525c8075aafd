import assert from 'node:assert/strict';

import { fail, ok } from '../../../src/base/result.js';
import { Actions } from '../../../src/link/actions.js';
import { STRANGER_ROUNDS } from '../../../src/link/constants.js';
import { Links } from '../../../src/link/links.js';
import { formatPathAddress, type PathAddress } from '../../../src/model/path-address.js';
import { RESP_TYPE } from '../../../src/wire/handshake.js';
import { SeededRng } from '../../sim/seeded-rng.js';
import { at, countingCrypto, CountingHandshake, doneWith, OWN, PEER } from './fixtures.js';

const RELAY: PathAddress = { family: 'relay', label: 9 };
const OTHER = 'c'.repeat(32) as typeof PEER;

/** Links whose handshakes are answered by PEER, whoever is dialled. */
class Bench {
  readonly links: Links;
  readonly out = new Actions();
  nowMs = 0;
  #indexes: number[] = [];

  constructor() {
    const initiate = (localIndex: number) => {
      this.#indexes.push(localIndex);
      const { init } = new CountingHandshake(localIndex);
      return {
        init,
        initWithCookie: () => init,
        onResp: (_resp: Uint8Array, _from: PathAddress, expected: string | undefined) =>
          expected !== undefined && expected !== PEER
            ? fail('unexpected peer' as const)
            : ok({ fin: new Uint8Array(512).fill(3), done: doneWith(localIndex) }),
        erase: () => undefined,
      };
    };
    this.links = new Links(
      { crypto: { ...countingCrypto(), initiate }, rng: new SeededRng(5) },
      { ownId: OWN, mtuBytes: 1388, rekeyAfterMs: 120_000, overlay: ['10.32.0.0/12'] },
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

  /** The last INIT is answered from there. */
  answer(from: PathAddress): void {
    const bytes = new Uint8Array(512);
    bytes[0] = RESP_TYPE;
    new DataView(bytes.buffer).setUint32(8, this.#indexes.at(-1) ?? 0, true);
    const resp = { kind: 'handshake', from, bytes, hasCookie: false, resumed: false } as const;
    this.links.onEvent(resp, this.nowMs, this.out);
    const session = this.links.peer(PEER)?.tx?.index;
    if (session === undefined) return;
    const heard = { kind: 'phaseConfirmed', session, phase: 0, from } as const;
    this.links.onEvent(heard, this.nowMs, this.out);
  }

  initsTo(address: PathAddress): number {
    const text = formatPathAddress(address);
    return this.out.list.filter(
      (action) =>
        action.kind === 'send' &&
        action.item.kind === 'datagram' &&
        formatPathAddress(action.item.to) === text,
    ).length;
  }

  /** Addresses of paths that the data plane was given, each once. */
  paths(): string[] {
    const given = this.out.list.flatMap((action) =>
      action.kind === 'table' && action.entry.kind === 'pathSet'
        ? [formatPathAddress(action.entry.address)]
        : [],
    );
    return [...new Set(given)];
  }
}

describe('addresses that others vouch for', () => {
  it('in a record are dialled while there is no session: one INIT a round, three rounds', () => {
    const bench = new Bench();
    bench.links.setRecordEndpoints(PEER, [at(1), at(2)], 0, bench.out);
    bench.run(100_000);
    assert.equal(bench.initsTo(at(1)), STRANGER_ROUNDS);
    assert.equal(bench.initsTo(at(2)), STRANGER_ROUNDS);
    bench.links.setRecordEndpoints(PEER, [at(1), at(3)], bench.nowMs, bench.out);
    bench.run(1000);
    assert.equal(bench.initsTo(at(3)), 1, 'news are tried at once');
    assert.equal(bench.initsTo(at(2)), STRANGER_ROUNDS);
    bench.run(7_200_000);
    assert.ok(bench.initsTo(at(3)) > STRANGER_ROUNDS, 'and again after an hour');
  });

  it('in records that change all the time are dialled twice a minute, whoever lists them', () => {
    const bench = new Bench();
    const members = [PEER, OTHER, 'd'.repeat(32) as typeof PEER];
    for (let second = 0; second < 600; second += 1) {
      for (const [n, member] of members.entries()) {
        const listed = [at(1), at(20 + ((second + n) % 100))];
        bench.links.setRecordEndpoints(member, listed, bench.nowMs, bench.out);
      }
      bench.run(1000);
    }
    assert.ok(bench.initsTo(at(1)) >= 6, 'at first');
    assert.ok(bench.initsTo(at(1)) <= 6 + 600 / 30, `${bench.initsTo(at(1))} INITs`);
    const all = Array.from({ length: 100 }, (_, n) => bench.initsTo(at(20 + n)));
    const sum = all.reduce((total, inits) => total + inits, bench.initsTo(at(1)));
    assert.ok(sum <= members.length * (24 + 600 / 30), `${sum} INITs in all`);
  });

  it('in a record admit nobody but its owner', () => {
    const bench = new Bench();
    bench.links.setRecordEndpoints(OTHER, [at(1)], 0, bench.out);
    bench.run(10);
    bench.answer(at(1));
    assert.equal(bench.links.peers.length, 0);
    assert.deepEqual(bench.paths(), []);
  });

  it('in a record get PINGs and never an INIT while there is a session', () => {
    const bench = new Bench();
    bench.links.setRecordEndpoints(PEER, [at(1)], 0, bench.out);
    bench.run(10);
    bench.answer(at(1));
    assert.deepEqual(bench.paths(), ['192.0.2.1:6783']);
    bench.links.setRecordEndpoints(PEER, [at(1), at(2)], bench.nowMs, bench.out);
    bench.run(100);
    assert.deepEqual(new Set(bench.paths()), new Set(['192.0.2.1:6783', '192.0.2.2:6783']));
    assert.equal(bench.initsTo(at(2)), 0);
  });

  it('inside the overlay are no way to anybody', () => {
    const bench = new Bench();
    const inside = { family: 4, address: '10.32.0.7', port: 6783 } as const;
    bench.links.setRecordEndpoints(PEER, [inside], 0, bench.out);
    bench.links.addCandidates(PEER, [{ address: inside, source: 'lan' }], 0, bench.out);
    bench.run(60_000);
    assert.equal(bench.initsTo(inside), 0);
  });

  it('through a relay are dialled, become a path, and are gone when the relay is', () => {
    const bench = new Bench();
    const news = { address: RELAY, source: 'relay', hops: 2 } as const;
    bench.links.addCandidates(PEER, [news], 0, bench.out);
    bench.run(10);
    assert.equal(bench.initsTo(RELAY), 1);
    bench.answer(RELAY);
    const active = () => bench.links.peer(PEER)?.paths.active;
    assert.equal(active()?.hops, 2);
    assert.equal(active()?.source, 'relay');
    bench.links.removeCandidate(PEER, RELAY, bench.nowMs, bench.out);
    assert.equal(active(), undefined);
    const before = bench.initsTo(RELAY);
    bench.run(60_000);
    assert.equal(bench.initsTo(RELAY), before, 'nothing goes there any more');
  });

  it('are not dialled on the word of others when no record lists them', () => {
    const bench = new Bench();
    bench.links.addCandidates(PEER, [{ address: at(5), source: 'observed' }], 0, bench.out);
    bench.run(60_000);
    assert.equal(bench.initsTo(at(5)), 0);
  });
});
