import assert from 'node:assert/strict';

import {
  BENCH_LIMITS,
  decodeBenchAnswer,
  decodeBenchAsk,
  encodeBenchAnswer,
  encodeBenchAsk,
} from '../../../src/wire/bench.js';
import { packMessage } from '../../../src/wire/message-pack.js';

const id = new Uint8Array(8).fill(7);
const ASK = { id, seconds: 5, mbps: 1000 };
const PLACE = {
  ...{ address: '10.47.0.9', tcp: 40_001, udp: 65_535 },
  ...{ token: new Uint8Array(16).fill(1), proof: new Uint8Array(16).fill(2) },
};

describe('messages of a measurement', () => {
  it('come back as they were said', () => {
    assert.deepEqual(decodeBenchAsk(encodeBenchAsk(ASK)), { ok: true, value: ASK });
    for (const outcome of [PLACE, { refused: 'busy' as const }]) {
      const answer = { id, outcome };
      assert.deepEqual(decodeBenchAnswer(encodeBenchAnswer(answer)), { ok: true, value: answer });
    }
  });

  it('ask for no more than any node grants, and for something', () => {
    const { maxSeconds, maxMbps } = BENCH_LIMITS;
    for (const wrong of [0, -1, 1.5, maxSeconds + 1, '5', null, Number.NaN]) {
      const body = packMessage({ ...ASK, seconds: wrong });
      assert.deepEqual(decodeBenchAsk(body), { ok: false, reason: 'fields' }, String(wrong));
    }
    for (const wrong of [0, maxMbps + 1, 2 ** 40]) {
      assert.equal(decodeBenchAsk(packMessage({ ...ASK, mbps: wrong })).ok, false);
    }
    assert.equal(decodeBenchAsk(packMessage({ ...ASK, id: new Uint8Array(7) })).ok, false);
  });

  it('name literal addresses and ports only', () => {
    const answer = (change: object): Uint8Array => packMessage({ id, ...PLACE, ...change });
    for (const change of [
      ...[{ address: 'localhost' }, { address: '10.1' }, { address: 7 }, { address: '::1%lo' }],
      ...[{ tcp: 0 }, { udp: 65_536 }, { token: new Uint8Array(15) }, { proof: 'x' }],
    ]) {
      const read = decodeBenchAnswer(answer(change));
      assert.equal(read.ok, false, JSON.stringify(change));
    }
    assert.equal(decodeBenchAnswer(answer({})).ok, true);
  });

  it('take an unknown reason of a later version for a refusal', () => {
    const read = decodeBenchAnswer(packMessage({ id, refused: 'tuesday' }));
    assert.deepEqual(read, { ok: true, value: { id, outcome: { refused: 'failed' } } });
  });

  it('are never a reason to throw, whatever arrives', () => {
    for (const bytes of [encodeBenchAsk(ASK), encodeBenchAnswer({ id, outcome: PLACE })]) {
      for (let at = 0; at < bytes.length; at++) {
        for (const body of [
          bytes.subarray(0, at),
          flipped(bytes, at, 0x01),
          flipped(bytes, at, 0xff),
        ]) {
          decodeBenchAsk(body);
          decodeBenchAnswer(body);
        }
      }
    }
  });
});

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}
