import assert from 'node:assert/strict';

import { HandshakeAttempt } from '../../../src/link/attempt.js';
import {
  FIN_GIVE_UP_MS,
  FIN_REPEATS_MS,
  INIT_GIVE_UP_MS,
  INIT_REPEATS_MS,
} from '../../../src/link/constants.js';
import { formatPathAddress } from '../../../src/model/path-address.js';
import { at, CountingHandshake, GOOD, WRONG } from './fixtures.js';

const resp = (kind: number) => new Uint8Array(512).fill(kind);

function attemptTo(...hosts: number[]) {
  const handshake = new CountingHandshake(42);
  const endpoints = hosts.map((host) => at(host));
  const options = { localIndex: 42, endpoints, expected: undefined, slot: 0, nowMs: 0 };
  return { handshake, attempt: new HandshakeAttempt(handshake, options) };
}

/** Times at which something was sent, until the machine sleeps for ever. */
function sendTimes(attempt: HandshakeAttempt): number[] {
  const times: number[] = [];
  while (attempt.nextDeadlineMs !== Number.POSITIVE_INFINITY) {
    const nowMs = attempt.nextDeadlineMs;
    if (attempt.onDeadline(nowMs).length > 0) times.push(nowMs);
  }
  return times;
}

describe('handshake attempt', () => {
  it('sends the same INIT to all candidates, repeats it, and gives up after INIT_GIVE_UP_MS', () => {
    const { attempt, handshake } = attemptTo(1, 2);
    const first = attempt.start();
    assert.deepEqual(
      first.map((item) => item.kind === 'datagram' && [formatPathAddress(item.to), item.bytes]),
      [
        [formatPathAddress(at(1)), handshake.init],
        [formatPathAddress(at(2)), handshake.init],
      ],
    );
    assert.deepEqual(sendTimes(attempt), [...INIT_REPEATS_MS]);
    assert.equal(attempt.state, 'expired');
    assert.ok(!attempt.wasAnswered);
    assert.equal(handshake.erased, 1);
    assert.equal(INIT_GIVE_UP_MS, 5000);
  });

  it('repeats FIN until something authentic came in', () => {
    const { attempt } = attemptTo(1);
    assert.equal(attempt.onResp(at(1), resp(GOOD), 300).kind, 'finished');
    assert.equal(attempt.finDatagram().length, 1);
    assert.equal(attempt.onDeadline(400).length, 1);
    attempt.onConfirmed();
    assert.equal(attempt.state, 'confirmed');
    assert.equal(attempt.nextDeadlineMs, Number.POSITIVE_INFINITY);
  });

  it('expires after FIN_GIVE_UP_MS when FIN is never answered', () => {
    const { attempt } = attemptTo(1);
    attempt.onResp(at(1), resp(GOOD), 0);
    assert.deepEqual(sendTimes(attempt), [...FIN_REPEATS_MS]);
    assert.equal(attempt.state, 'expired');
    assert.ok(attempt.isFinished);
    assert.equal(FIN_GIVE_UP_MS, 3000);
  });

  it('examines one RESP per address it asked', () => {
    const { attempt, handshake } = attemptTo(1, 2);
    assert.equal(attempt.onResp(at(1), resp(WRONG), 1).kind, 'refused');
    assert.equal(attempt.onResp(at(1), resp(GOOD), 2).kind, 'ignored');
    assert.equal(attempt.onResp(at(9), resp(GOOD), 3).kind, 'ignored');
    assert.equal(handshake.examined, 1);
    assert.equal(attempt.onResp(at(2), resp(GOOD), 4).kind, 'finished');
  });

  it('examines three RESPs in all, then erases its secret', () => {
    const { attempt, handshake } = attemptTo(1, 2, 3, 4);
    for (const host of [1, 2, 3]) attempt.onResp(at(host), resp(WRONG), host);
    assert.equal(attempt.state, 'refused');
    assert.equal(handshake.erased, 1);
    assert.equal(attempt.onResp(at(4), resp(GOOD), 9).kind, 'ignored');
    assert.equal(handshake.examined, 3);
  });

  it('honours three RETRYs, each for its address only', () => {
    const { attempt } = attemptTo(1, 2);
    const cookie = new Uint8Array(16).fill(9);
    assert.deepEqual(attempt.onRetry(at(9), cookie), []);
    const [again] = attempt.onRetry(at(1), cookie);
    assert.ok(again?.kind === 'datagram' && again.bytes[496] === 9);
    attempt.onRetry(at(1), cookie);
    assert.equal(attempt.onRetry(at(2), cookie).length, 1);
    assert.deepEqual(attempt.onRetry(at(2), cookie), []);
  });

  it('repeats INIT with the cookie it was given', () => {
    const { attempt } = attemptTo(1, 2);
    attempt.onRetry(at(1), new Uint8Array(16).fill(9));
    const cookies = attempt
      .onDeadline(250)
      .map((item) => item.kind === 'datagram' && item.bytes[496]);
    assert.deepEqual(cookies, [9, 7]);
  });

  it('is given up when the peer was met otherwise, but never while FIN is under way', () => {
    const asking = attemptTo(1).attempt;
    asking.abandon();
    assert.equal(asking.state, 'expired');
    const finishing = attemptTo(1).attempt;
    finishing.onResp(at(1), resp(GOOD), 0);
    finishing.abandon();
    assert.equal(finishing.state, 'finishing');
  });
});
