import assert from 'node:assert/strict';
import { toHex } from '../../../src/base/bytes.js';
import { seededRng, type Rng } from '../../../src/base/rng.js';
import { RekeyInitiator, RekeyResponder, type RekeyKeys } from '../../../src/crypto/rekey.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { decodeRekey1, encodeRekey1, encodeRekey2 } from '../../../src/wire/control.js';
import { sha512 } from '../../../src/crypto/hash.js';
import { reasonOf } from './parties.js';

const SECRET = () => new Uint8Array(64).fill(7);

function pair(): { rng: Rng; initiator: RekeyInitiator; responder: RekeyResponder } {
  return {
    rng: seededRng(1),
    initiator: new RekeyInitiator(SECRET()),
    responder: new RekeyResponder(SECRET()),
  };
}

/** One undisturbed rekey. */
function rekeyOnce({ rng, initiator, responder }: ReturnType<typeof pair>) {
  const request = initiator.request(rng);
  const answered = responder.onRequest(request, rng);
  assert(answered.ok && answered.value.keys);
  const finished = initiator.onReply(answered.value.reply);
  assert(finished.ok);
  return { request, reply: answered.value.reply, i: finished.value, r: answered.value.keys };
}

describe('rekey', () => {
  before(() => sodiumReady());

  it('gives both ends the same keys, crosswise, other ones in each phase', () => {
    const ends = pair();
    const first = rekeyOnce(ends);
    const second = rekeyOnce(ends);
    for (const { i, r } of [first, second]) {
      assert.deepEqual(i.tx, r.rx);
      assert.deepEqual(i.rx, r.tx);
      assert.equal(i.phase, r.phase);
    }
    assert.deepEqual([first.i.phase, second.i.phase], [1, 2]);
    const seen = [first, second].flatMap(({ i }) => [i.tx, i.rx]).map((key) => toHex(key.key));
    assert.equal(new Set(seen).size, 4);
  });

  it('depends on the secret before it: who only knows the exchange learns nothing', () => {
    const { rng, initiator } = pair();
    const stranger = new RekeyResponder(new Uint8Array(64).fill(8));
    const answered = stranger.onRequest(initiator.request(rng), rng);
    assert(answered.ok && answered.value.keys);
    const finished = initiator.onReply(answered.value.reply);
    assert(finished.ok);
    assert.notDeepEqual(finished.value.tx.key, answered.value.keys.rx.key);
  });

  it('wipes the secret it replaces', () => {
    const secret = SECRET();
    const rng = seededRng(1);
    const responder = new RekeyResponder(secret);
    responder.onRequest(new RekeyInitiator(SECRET()).request(rng), rng);
    assert.deepEqual(secret, new Uint8Array(64));
  });

  it('repeats its bytes until answered, and its answer for the same request, without new keys', () => {
    const { rng, initiator, responder } = pair();
    const request = initiator.request(rng);
    assert.deepEqual(initiator.request(rng), request);
    const first = responder.onRequest(request, rng);
    const again = responder.onRequest(request, rng);
    assert(first.ok && again.ok);
    assert.deepEqual(again.value, { reply: first.value.reply });
  });

  it('refuses another request for an answered phase, one from the past, one from the future', () => {
    const ends = pair();
    const { request } = rekeyOnce(ends);
    const changed = new RekeyInitiator(SECRET()).request(seededRng(99));
    assert.equal(reasonOf(ends.responder.onRequest(changed, ends.rng)), 'changed');
    rekeyOnce(ends);
    assert.equal(reasonOf(ends.responder.onRequest(request, ends.rng)), 'stale');
    const parsed = decodeRekey1(request);
    assert(parsed.ok);
    const ahead = encodeRekey1({ ...parsed.value, phase: 4 });
    assert.equal(reasonOf(ends.responder.onRequest(ahead, ends.rng)), 'ahead');
    assert.equal(ends.responder.phase, 2);
  });

  it('refuses replies unasked for, of the wrong phase, and to another request', () => {
    const ends = pair();
    const { request, reply } = rekeyOnce(ends);
    assert.equal(reasonOf(ends.initiator.onReply(reply)), 'stale');
    ends.initiator.request(ends.rng);
    assert.equal(reasonOf(ends.initiator.onReply(reply)), 'stale');
    const x = new Uint8Array(32).fill(9);
    const other = encodeRekey2({ phase: 2, x, request: sha512(request) });
    assert.equal(reasonOf(ends.initiator.onReply(other)), 'changed');
    const ahead = encodeRekey2({ phase: 3, x, request: sha512(request) });
    assert.equal(reasonOf(ends.initiator.onReply(ahead)), 'ahead');
    assert.equal(ends.initiator.phase, 1);
    assert(ends.initiator.isPending);
  });

  it('an all-zero product is refused on both ends and changes nothing', () => {
    const { rng, initiator, responder } = pair();
    // 0 and 1 are points of small order (RFC 7748 §6.1 asks for this check).
    for (const low of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))]) {
      const request = encodeRekey1({ phase: 1, x: low });
      assert.equal(reasonOf(responder.onRequest(request, rng)), 'low order');
      const reply = encodeRekey2({ phase: 1, x: low, request: sha512(initiator.request(rng)) });
      assert.equal(reasonOf(initiator.onReply(reply)), 'low order');
    }
    assert.deepEqual([initiator.phase, responder.phase], [0, 0]);
  });

  it('refuses bytes that are no rekey message, and everything once erased', () => {
    const { rng, initiator, responder } = pair();
    const request = initiator.request(rng);
    assert.equal(reasonOf(responder.onRequest(request.subarray(1), rng)), 'malformed');
    assert.equal(reasonOf(initiator.onReply(request)), 'malformed');
    responder.erase();
    assert.equal(reasonOf(responder.onRequest(request, rng)), 'stale');
    initiator.erase();
    assert.throws(() => initiator.request(rng), /erased/);
  });

  it('never makes two keys for one phase over a lossy, repeating, reordering channel', function () {
    this.timeout(600_000);
    for (let seed = 0; seed < RUNS; seed++) lossyRun(seed);
  });
});

const RUNS = 10_000;

/**
 * Random steps on one session: ask (again), deliver any message still under way in any order, twice, or never. The
 * random stream that makes keys is the run's own, so each run has its own keys.
 */
function lossyRun(seed: number): void {
  const rng = seededRng(seed);
  const initiator = new RekeyInitiator(SECRET());
  const responder = new RekeyResponder(SECRET());
  const keysOfPhase = new Map<string, string>();
  const pending: { to: 'initiator' | 'responder'; bytes: Uint8Array }[] = [];
  const note = (keys: RekeyKeys, end: 'initiator' | 'responder') => {
    const [i2r, r2i] = end === 'initiator' ? [keys.tx, keys.rx] : [keys.rx, keys.tx];
    const text = [i2r.key, i2r.iv, r2i.key, r2i.iv].map(toHex).join();
    const known = keysOfPhase.get(`${keys.phase}`);
    assert(known === undefined || known === text, `seed ${seed}: two keys for phase ${keys.phase}`);
    keysOfPhase.set(`${keys.phase}`, text);
    const made = `${end} ${keys.phase}`;
    assert(!keysOfPhase.has(made), `seed ${seed}: ${made} came twice`);
    keysOfPhase.set(made, text);
  };
  const deliver = (at: number, keep: boolean) => {
    const message = keep ? pending[at] : pending.splice(at, 1)[0];
    if (message?.to === 'responder') {
      const result = responder.onRequest(message.bytes, rng);
      if (!result.ok) {
        assert.equal(result.reason, 'stale', `seed ${seed}`);
        return;
      }
      if (result.value.keys) note(result.value.keys, 'responder');
      pending.push({ to: 'initiator', bytes: result.value.reply });
    } else if (message) {
      const result = initiator.onReply(message.bytes);
      if (!result.ok) {
        assert.equal(result.reason, 'stale', `seed ${seed}`);
        return;
      }
      note(result.value, 'initiator');
    }
  };
  for (let step = 0; step < 12; step++) {
    const dice = rng.fraction();
    const at = Math.floor(rng.fraction() * pending.length);
    if (dice < 0.3) pending.push({ to: 'responder', bytes: initiator.request(rng) });
    else if (dice < 0.4) pending.splice(at, 1);
    else deliver(at, dice < 0.6);
    const lead = responder.phase - initiator.phase;
    assert(lead === 0 || lead === 1, `seed ${seed}: responder leads by ${lead}`);
  }
  // The channel heals: one more exchange always brings both to the same phase and the same keys.
  pending.length = 0;
  pending.push({ to: 'responder', bytes: initiator.request(rng) });
  deliver(0, false);
  deliver(0, false);
  assert.equal(initiator.phase, responder.phase, `seed ${seed}`);
}
