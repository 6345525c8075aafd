import assert from 'node:assert/strict';

import { fail, ok, type Result } from '../../../src/base/result.js';
import { seededRng } from '../../../src/base/rng.js';
import { Actions, type LinkAction } from '../../../src/link/actions.js';
import { Answering, type Answered } from '../../../src/link/answering.js';
import { HALF_OPEN_MS } from '../../../src/link/constants.js';
import type { HandshakeDone } from '../../../src/link/crypto-port.js';
import { IndexPool } from '../../../src/link/index-pool.js';
import { FIN_TYPE, INIT_TYPE } from '../../../src/wire/handshake.js';
import { at, doneWith, GOOD } from './fixtures.js';

const FROM = at(7);

/** Answers INITs; a FIN is good when the byte behind its header says so. */
class Bench {
  nowMs = 0;
  readonly answering: Answering;
  #localIndex = 0;

  constructor(finish: (done: HandshakeDone) => Result<HandshakeDone> = ok) {
    const respond = (_init: Uint8Array, localIndex: number) => {
      this.#localIndex = localIndex;
      const onFin = (fin: Uint8Array) =>
        fin[12] === GOOD ? finish(doneWith(localIndex)) : fail('confirm');
      return ok({ resp: Uint8Array.of(localIndex & 0xff), onFin, erase: () => undefined });
    };
    this.answering = new Answering({ crypto: { respond }, indexes: new IndexPool(seededRng(3)) });
  }

  /** @returns what came of it */
  init(number: number): readonly LinkAction[] {
    const out = new Actions();
    const bytes = new Uint8Array(512).fill(number);
    bytes[0] = INIT_TYPE;
    this.answering.onInit(FROM, bytes, false, this.nowMs, out);
    return out.list;
  }

  /** For the handshake answered last. */
  fin(verdict: number, out = new Actions()): Answered | undefined {
    const bytes = new Uint8Array(512);
    bytes[0] = FIN_TYPE;
    bytes[12] = verdict;
    new DataView(bytes.buffer).setUint32(8, this.#localIndex, true);
    return this.answering.onFin(FROM, bytes, this.nowMs, out);
  }
}

function kindsOf(actions: readonly LinkAction[]): readonly string[] {
  return actions.map((action) => {
    if (action.kind === 'send') return action.item.kind;
    return action.kind === 'note' ? action.note.code : action.kind;
  });
}

describe('answering handshakes', () => {
  it('says the same to the same INIT, and nothing more once its FIN came', () => {
    const bench = new Bench();
    const first = bench.init(1);
    assert.deepEqual(kindsOf(first), ['datagram']);
    assert.deepEqual(bench.init(1), first);
    bench.nowMs = 40;
    assert.equal(bench.fin(GOOD + 1), undefined, 'a bad one changes nothing');
    assert.equal(bench.fin(GOOD)?.initAtMs, 0);
    assert.deepEqual(bench.init(1), []);
    assert.equal(bench.answering.size, 1);
  });

  it('finishes once: the same FIN again is confirmed, another is not heard', () => {
    const bench = new Bench();
    bench.init(1);
    assert.ok(bench.fin(GOOD));
    const again = new Actions();
    assert.equal(bench.fin(GOOD, again), undefined);
    assert.deepEqual(kindsOf(again.list), ['keepalive']);
    const other = new Actions();
    assert.equal(bench.fin(GOOD + 1, other), undefined);
    assert.deepEqual(other.list, []);
  });

  it('says who has our identity, and who shares no cipher', () => {
    const clone = new Actions();
    const cloned = new Bench(() => fail('clone'));
    cloned.init(1);
    assert.equal(cloned.fin(GOOD, clone), undefined);
    assert.deepEqual(kindsOf(clone.list), ['clone-detected']);
    const strange = new Actions();
    const estranged = new Bench((done) => ok({ ...done, suite: 0 }));
    estranged.init(1);
    assert.equal(estranged.fin(GOOD, strange), undefined);
    assert.deepEqual(kindsOf(strange.list), ['returnToken', 'no-common-cipher']);
  });

  it('suspects the password of a source whose handshakes end unfinished', () => {
    const bench = new Bench();
    const out = new Actions();
    for (let number = 1; number <= 3; number++) {
      bench.init(number);
      bench.nowMs = bench.answering.nextDeadlineMs;
      bench.answering.onDeadline(bench.nowMs, out);
    }
    assert.deepEqual(kindsOf(out.list), ['password-suspected']);
    assert.equal(bench.nowMs, 3 * HALF_OPEN_MS);
    assert.equal(bench.answering.size, 0);
  });
});
