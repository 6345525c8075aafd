import assert from 'node:assert/strict';
import { seededRng } from '../../../src/base/rng.js';
import { respondToInit, startInitiator } from '../../../src/crypto/handshake.js';
import { meshIdOf } from '../../../src/crypto/mesh.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { parseInit, parseResp, PROTOCOL_VERSION } from '../../../src/wire/handshake.js';
import {
  answer,
  complete,
  dial,
  endpoint,
  flipped,
  FROM_INITIATOR,
  FROM_RESPONDER,
  OTHER_PRS,
  party,
  PRS,
  reasonOf,
  RESPONDER_INDEX,
  twoParties,
  type Two,
} from './parties.js';

const SUITES_AT = 72;

/** Dial, answer, and what the initiator says to the RESP. */
function respRefusal(
  two: Two,
  dialled = dial(two),
  change = (resp: Uint8Array): Uint8Array => resp,
): string {
  const answered = answer(two, dialled.init);
  return reasonOf(dialled.onResp(change(answered.resp), FROM_RESPONDER));
}

describe('handshake', () => {
  before(() => sodiumReady());

  it('gives both ends the same keys, crosswise, and each the other', () => {
    const two = twoParties();
    const { initiator, responder } = complete(two);
    assert.deepEqual(initiator.tx, responder.rx);
    assert.deepEqual(initiator.rx, responder.tx);
    assert.notDeepEqual(initiator.tx, initiator.rx);
    assert.deepEqual(
      [initiator.tx.key, initiator.tx.iv, initiator.rekeySecret, initiator.pairKey].map(
        (secret) => secret.length,
      ),
      [32, 24, 64, 32],
    );
    assert.deepEqual(initiator.rekeySecret, responder.rekeySecret);
    assert.deepEqual(initiator.pairKey, responder.pairKey);
    assert.equal(initiator.peer.id, two.ben.identity.id);
    assert.equal(responder.peer.id, two.anna.identity.id);
    assert.deepEqual(initiator.peer.instance, two.ben.instance);
    assert.equal(initiator.peer.maxDatagramBytes, 1472);
    assert.equal(responder.peer.capabilities, 5);
    assert.deepEqual(initiator.peer.observed, FROM_INITIATOR);
    assert.deepEqual(responder.peer.observed, FROM_RESPONDER);
    assert.deepEqual(
      [initiator.localIndex, initiator.remoteIndex],
      [responder.remoteIndex, responder.localIndex],
    );
    assert.equal(responder.localIndex, RESPONDER_INDEX);
  });

  it('repeats byte for byte from a seed, and two seeds share no key', () => {
    assert.deepEqual(complete(twoParties(5)), complete(twoParties(5)));
    assert.notDeepEqual(
      complete(twoParties(5)).initiator.pairKey,
      complete(twoParties(6)).initiator.pairKey,
    );
  });

  it('a cookie changes the last 16 bytes only, and nothing of the outcome', () => {
    const two = twoParties();
    const dialled = dial(two);
    const withCookie = dialled.initWithCookie(new Uint8Array(16).fill(0xee));
    assert.deepEqual(withCookie.subarray(0, 496), dialled.init.subarray(0, 496));
    assert.deepEqual(withCookie.subarray(496), new Uint8Array(16).fill(0xee));
    const answered = answer(two, withCookie);
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
    assert(replied.ok);
    assert(answered.onFin(replied.value.fin).ok);
  });

  it('both ends take the expected peer and no other', () => {
    const two = twoParties();
    const [stranger, anna, ben] = [
      party(two.rng).identity.id,
      two.anna.identity.id,
      two.ben.identity.id,
    ];
    const dialled = dial(two);
    const answered = answer(two, dialled.init);
    const otherSource = endpoint('192.0.2.9', 1);
    assert.equal(reasonOf(dialled.onResp(answered.resp, otherSource, stranger)), 'unexpected peer');
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER, ben);
    assert(replied.ok);
    assert.equal(reasonOf(answered.onFin(replied.value.fin, stranger)), 'unexpected peer');
    assert(answered.onFin(replied.value.fin, anna).ok);
  });
});

describe('handshake: passwords', () => {
  before(() => sodiumReady());

  it('a wrong one is the initiator’s to see: confirm', () => {
    const two = twoParties();
    assert.equal(respRefusal(two, dial(two, { prs: OTHER_PRS })), 'confirm');
  });

  it('slot 0 is the responder’s newest, slot 1 its other one, and they are not mixed up', () => {
    const two = twoParties();
    const outcome = (prs: Uint8Array, slot: number) => {
      const dialled = dial(two, { prs, slot });
      const answered = answer(two, dialled.init, { newest: PRS, other: OTHER_PRS });
      return reasonOf(dialled.onResp(answered.resp, FROM_RESPONDER));
    };
    assert.equal(outcome(PRS, 0), 'ok');
    assert.equal(outcome(OTHER_PRS, 1), 'ok');
    assert.equal(outcome(PRS, 1), 'confirm');
    assert.equal(outcome(OTHER_PRS, 0), 'confirm');
  });

  it('slot 1 means the only password where there is one', () => {
    const two = twoParties();
    assert.equal(respRefusal(two, dial(two, { slot: 1 })), 'ok');
  });

  it('a slot changed under way breaks the confirmation even with one password', () => {
    const two = twoParties();
    const dialled = dial(two);
    const answered = answer(two, flipped(dialled.init, 76));
    assert.equal(reasonOf(dialled.onResp(answered.resp, FROM_RESPONDER)), 'confirm');
  });

  it('at most one RESP per source and three in all are examined, then the INIT is dead', () => {
    const two = twoParties();
    const dialled = dial(two);
    const right = answer(two, dialled.init).resp;
    const wrong = answer(two, dialled.init, { newest: OTHER_PRS }).resp;
    const sources = [1, 2, 3, 4].map((host) => endpoint(`192.0.2.${host}`, 6783));
    const [first, second, third, fourth] = sources;
    assert(first && second && third && fourth);
    assert.equal(reasonOf(dialled.onResp(wrong, first)), 'confirm');
    assert.equal(reasonOf(dialled.onResp(right, first)), 'spent');
    assert.equal(reasonOf(dialled.onResp(wrong, second)), 'confirm');
    assert.equal(reasonOf(dialled.onResp(wrong, third)), 'confirm');
    assert.equal(reasonOf(dialled.onResp(right, fourth)), 'spent');
  });

  it('RESPs that test no guess are not counted', () => {
    const two = twoParties();
    const dialled = dial(two);
    const { resp } = answer(two, dialled.init);
    for (let i = 0; i < 5; i++) {
      assert.equal(reasonOf(dialled.onResp(flipped(resp, 8), FROM_RESPONDER)), 'not ours');
      assert.equal(reasonOf(dialled.onResp(flipped(resp, 511), FROM_RESPONDER)), 'malformed');
    }
    assert.equal(reasonOf(dialled.onResp(resp, FROM_RESPONDER)), 'ok');
  });
});

describe('handshake: what is negotiated', () => {
  before(() => sodiumReady());

  const suiteOf = (anna: readonly (1 | 2 | 4)[], ben: readonly (1 | 2 | 4)[]) => {
    const { initiator, responder } = complete(twoParties(1, { suites: anna }, { suites: ben }));
    assert.equal(initiator.suite, responder.suite);
    return initiator.suite;
  };

  it('the suite is the responder’s fastest of those offered', () => {
    assert.equal(suiteOf([1, 2, 4], [2, 1, 4]), 2);
    assert.equal(suiteOf([2, 1, 4], [4, 1]), 4);
    assert.equal(suiteOf([1], [2, 4, 1]), 1);
  });

  it('without a common suite the handshake completes with suite 0', () => {
    assert.equal(suiteOf([1], [2, 4]), 0);
    assert.equal(suiteOf([], [2]), 0);
  });

  it('a suite we did not offer is refused', () => {
    const two = twoParties(1, { suites: [1] });
    const give = (suite: number) => (resp: Uint8Array) => {
      const copy = resp.slice();
      copy[12] = suite;
      return copy;
    };
    assert.equal(respRefusal(two, dial(two), give(4)), 'suite');
    assert.equal(respRefusal(two, dial(two), give(3)), 'suite');
    assert.equal(respRefusal(two, dial(two), give(0)), 'confirm');
  });

  it('removing a suite, setting a flag or a version under way breaks the confirmation', () => {
    const two = twoParties();
    for (const [at, mask] of [
      [SUITES_AT, 0x02],
      [SUITES_AT + 3, 0x80],
      [2, 0x01],
      [3, 0x80],
      [1, PROTOCOL_VERSION ^ 7],
    ] as const) {
      const dialled = dial(two);
      const answered = answer(two, flipped(dialled.init, at, mask));
      assert.equal(reasonOf(dialled.onResp(answered.resp, FROM_RESPONDER)), 'confirm');
      const again = dial(two);
      assert.equal(
        respRefusal(two, again, (resp) => flipped(resp, 2)),
        'confirm',
      );
    }
  });

  it('the answer speaks the lower of both versions; none below 1, none above the own', () => {
    const two = twoParties();
    const newer = dial(two).init.slice();
    newer[1] = 7;
    const parsed = parseResp(answer(two, newer).resp);
    assert(parsed.ok);
    assert.equal(parsed.value.version, PROTOCOL_VERSION);
    // What it writes where we have zeros is none of our business.
    newer.fill(0xab, 77, 472);
    assert.equal(answer(two, newer).resp[1], PROTOCOL_VERSION);
    newer[1] = 0;
    newer.fill(0, 77, 472);
    const refused = respondToInit(
      two.ben,
      { newest: PRS },
      newer,
      RESPONDER_INDEX,
      FROM_INITIATOR,
      two.rng,
    );
    assert.equal(reasonOf(refused), 'version');
    for (const version of [0, PROTOCOL_VERSION + 1]) {
      const set = (resp: Uint8Array) => flipped(resp, 1, PROTOCOL_VERSION ^ version);
      assert.equal(respRefusal(two, dial(two), set), 'version');
    }
  });

  it('another mesh is not answered', () => {
    const two = twoParties(1, { meshId: meshIdOf('other') });
    const refused = respondToInit(
      two.ben,
      { newest: PRS },
      dial(two).init,
      RESPONDER_INDEX,
      FROM_INITIATOR,
      two.rng,
    );
    assert.equal(reasonOf(refused), 'mesh');
  });
});

describe('handshake: attacks', () => {
  before(() => sodiumReady());

  it('a RESP with our own Y is a reflection', () => {
    const two = twoParties();
    const dialled = dial(two);
    const reflect = (resp: Uint8Array) => {
      const copy = resp.slice();
      copy.set(dialled.init.subarray(40, 72), 16);
      return copy;
    };
    assert.equal(respRefusal(two, dialled, reflect), 'reflected');
  });

  it('the identity and invalid points are refused on both ends', () => {
    const two = twoParties();
    for (const point of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
      const dialled = dial(two);
      const init = dialled.init.slice();
      init.set(point, 40);
      const answered = respondToInit(
        two.ben,
        { newest: PRS },
        init,
        RESPONDER_INDEX,
        FROM_INITIATOR,
        two.rng,
      );
      assert.equal(reasonOf(answered), 'point');
      const put = (resp: Uint8Array) => {
        const copy = resp.slice();
        copy.set(point, 16);
        return copy;
      };
      assert.equal(respRefusal(two, dialled, put), 'point');
    }
  });

  it('meeting ourselves is told from meeting a clone', () => {
    const two = twoParties();
    assert.equal(respRefusal({ ...two, ben: two.anna }), 'identity');
    const clone = { ...two.anna, instance: two.ben.instance };
    assert.equal(respRefusal({ ...two, ben: clone }), 'clone');
  });

  it('the responder notices its own key too', () => {
    const two = twoParties();
    // An initiator that does not look at its own id, as a hostile one would not.
    const blind = { ...two.ben.identity, id: two.anna.identity.id };
    for (const [instance, reason] of [
      [two.ben.instance, 'identity'],
      [two.anna.instance, 'clone'],
    ] as const) {
      const hostile = { ...two, anna: { ...two.anna, identity: blind, instance } };
      const dialled = dial(hostile);
      const answered = answer(two, dialled.init);
      const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
      assert(replied.ok);
      assert.equal(reasonOf(answered.onFin(replied.value.fin)), reason);
    }
  });

  it('who knows the password cannot pose as a pinned peer', () => {
    const two = twoParties();
    const pinned = party(two.rng).identity;
    const claimed = (own: { secretKey: Uint8Array }) => ({ ...pinned, secretKey: own.secretKey });

    const asResponder = { ...two, ben: { ...two.ben, identity: claimed(two.ben.identity) } };
    assert.equal(respRefusal(asResponder), 'signature');

    const asInitiator = { ...two, anna: { ...two.anna, identity: claimed(two.anna.identity) } };
    const dialled = dial(asInitiator);
    const answered = answer(asInitiator, dialled.init);
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
    assert(replied.ok);
    assert.equal(reasonOf(answered.onFin(replied.value.fin, pinned.id)), 'signature');
  });

  it('a FIN of another handshake does not fit, and the right one still does', () => {
    const two = twoParties();
    const [one, other] = [dial(two), dial(two)];
    const [answerOne, answerOther] = [answer(two, one.init), answer(two, other.init)];
    const finOne = one.onResp(answerOne.resp, FROM_RESPONDER);
    const finOther = other.onResp(answerOther.resp, FROM_RESPONDER);
    assert(finOne.ok && finOther.ok);
    assert.equal(reasonOf(answerOne.onFin(finOther.value.fin)), 'confirm');
    assert.equal(reasonOf(answerOne.onFin(finOne.value.fin)), 'ok');
    assert.equal(reasonOf(answerOne.onFin(finOne.value.fin)), 'spent');
  });

  it('a FIN with other indexes or another version is told from a wrong password', () => {
    const two = twoParties();
    const dialled = dial(two);
    const answered = answer(two, dialled.init);
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
    assert(replied.ok);
    for (const [at, reason] of [
      [1, 'version'],
      [2, 'confirm'],
      [4, 'not ours'],
      [8, 'not ours'],
      [12, 'confirm'],
      [44, 'sealed'],
    ] as const) {
      assert.equal(reasonOf(answered.onFin(flipped(replied.value.fin, at, 2))), reason, `${at}`);
    }
  });

  it('there are two password slots, no third', () => {
    const two = twoParties();
    const init = flipped(dial(two).init, 76, 2);
    const refused = respondToInit(
      two.ben,
      { newest: PRS },
      init,
      RESPONDER_INDEX,
      FROM_INITIATOR,
      two.rng,
    );
    assert.equal(reasonOf(refused), 'malformed');
  });

  it('the same INIT answered twice gives two sessions that do not mix', () => {
    const two = twoParties();
    const dialled = dial(two);
    const [first, second] = [answer(two, dialled.init), answer(two, dialled.init)];
    const replied = dialled.onResp(first.resp, FROM_RESPONDER);
    assert(replied.ok);
    assert.equal(reasonOf(second.onFin(replied.value.fin)), 'confirm');
  });

  it('nothing works after erase', () => {
    const two = twoParties();
    const dialled = dial(two);
    const answered = answer(two, dialled.init);
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
    assert(replied.ok);
    answered.erase();
    assert.equal(reasonOf(answered.onFin(replied.value.fin)), 'spent');
    const next = dial(two);
    next.erase();
    assert.equal(respRefusal(two, next), 'spent');
  });
});

describe('handshake: every byte counts', () => {
  before(() => sodiumReady());

  /** The byte's lowest bit, and then some other pattern. */
  const masks = (at: number) => [0x01, 1 + Math.floor(seededRng(at).fraction() * 255)];

  it('a changed byte of INIT before resume and cookie never leads to a session', function () {
    this.timeout(600_000);
    const two = twoParties();
    for (let at = 0; at < 472; at++) {
      for (const mask of masks(at)) {
        const dialled = dial(two);
        const answered = respondToInit(
          two.ben,
          { newest: PRS, other: OTHER_PRS },
          flipped(dialled.init, at, mask),
          RESPONDER_INDEX,
          FROM_INITIATOR,
          two.rng,
        );
        if (!answered.ok) continue;
        assert.notEqual(
          reasonOf(dialled.onResp(answered.value.resp, FROM_RESPONDER)),
          'ok',
          `byte ${at} ^ ${mask}`,
        );
      }
    }
  });

  it('resume and cookie are the gate’s business: changed, the handshake goes on', () => {
    const two = twoParties();
    for (let at = 472; at < 512; at++) {
      const dialled = dial(two);
      const answered = answer(two, flipped(dialled.init, at, 0xff));
      assert.equal(reasonOf(dialled.onResp(answered.resp, FROM_RESPONDER)), 'ok');
    }
  });

  it('a changed byte of RESP is refused', function () {
    this.timeout(600_000);
    const two = twoParties();
    for (let at = 0; at < 512; at++) {
      for (const mask of masks(at)) {
        const refusal = respRefusal(two, dial(two), (resp) => flipped(resp, at, mask));
        assert.notEqual(refusal, 'ok', `byte ${at} ^ ${mask}`);
      }
    }
  });

  it('a changed byte of FIN is refused, and leaves the half-open state as it was', () => {
    const two = twoParties();
    const dialled = dial(two);
    const answered = answer(two, dialled.init);
    const replied = dialled.onResp(answered.resp, FROM_RESPONDER);
    assert(replied.ok);
    const { fin } = replied.value;
    for (let at = 0; at < 512; at++) {
      for (const mask of masks(at)) {
        assert.notEqual(reasonOf(answered.onFin(flipped(fin, at, mask))), 'ok', `byte ${at}`);
      }
    }
    assert.equal(reasonOf(answered.onFin(fin)), 'ok');
  });

  it('any other length is malformed', () => {
    const two = twoParties();
    const dialled = dial(two);
    const answered = answer(two, dialled.init);
    const replied = dialled.onResp(answered.resp, endpoint('192.0.2.9', 1));
    assert(replied.ok);
    const { resp } = answered;
    const { fin } = replied.value;
    for (let length = 0; length < 540; length++) {
      if (length === 512) continue;
      const cut = (bytes: Uint8Array) => {
        const copy = new Uint8Array(length);
        copy.set(bytes.subarray(0, length));
        return copy;
      };
      assert.equal(reasonOf(parseInit(cut(dialled.init))), 'malformed');
      assert.equal(reasonOf(dialled.onResp(cut(resp), FROM_RESPONDER)), 'malformed');
      assert.equal(reasonOf(answered.onFin(cut(fin))), 'malformed');
    }
  });
});

describe('handshake: callers', () => {
  before(() => sodiumReady());

  it('our own mistakes throw', () => {
    const { rng, anna } = twoParties();
    const secret = { prs: PRS, slot: 0 };
    assert.throws(() => startInitiator(anna, secret, 0, rng), RangeError);
    assert.throws(() => startInitiator(anna, { ...secret, slot: 2 }, 1, rng), RangeError);
    const short = { ...anna, instance: new Uint8Array(7) };
    assert.throws(() => startInitiator(short, secret, 1, rng), RangeError);
  });
});
