import assert from 'node:assert/strict';

import {
  OVERLAP_MS,
  REJECT_AFTER_MS,
  RENEW_AFTER_MS,
  RENEW_RESPONDER_AFTER_MS,
} from '../../../src/link/constants.js';
import { Rekey, type RekeyAction } from '../../../src/link/rekey.js';
import { countingCrypto } from './fixtures.js';

const AFTER_MS = 120_000;
const rng = { bytes: (length: number) => new Uint8Array(length), fraction: () => 0.5 };

function machine(isInitiator: boolean): Rekey {
  const options = { session: 5, isInitiator, rekeyAfterMs: AFTER_MS, nowMs: 0 };
  return new Rekey(countingCrypto(), rng, new Uint8Array(64), options);
}

/** Kinds of actions; table entries by their own kind and phase. */
function kinds(actions: readonly RekeyAction[]): string[] {
  return actions.map((action) => {
    if (action.kind !== 'table') return action.kind;
    return 'phase' in action.entry
      ? `${action.entry.kind} ${action.entry.phase}`
      : action.entry.kind;
  });
}

describe('rekey', () => {
  it('asks when the keys are old, and repeats the same bytes', () => {
    const rekey = machine(true);
    assert.equal(rekey.nextDeadlineMs, AFTER_MS);
    const [first] = rekey.onDeadline(AFTER_MS);
    const [second] = rekey.onDeadline(AFTER_MS + 250);
    assert.equal(first?.kind, 'rekey1');
    assert.deepEqual(second, first);
    assert.equal(rekey.state, 'asking');
  });

  it('installs rx before tx on REKEY2, then speaks at once in the new phase', () => {
    const rekey = machine(true);
    rekey.onDeadline(AFTER_MS);
    const actions = rekey.onRekey2(Uint8Array.of(2, 1), AFTER_MS + 10);
    assert.deepEqual(kinds(actions), ['sessionRxKey 1', 'sessionTxKey 1', 'keepalive']);
    assert.deepEqual(kinds(rekey.onDeadline(AFTER_MS + 260)), ['keepalive']);
  });

  it('takes REKEY2 once', () => {
    const rekey = machine(true);
    rekey.onDeadline(AFTER_MS);
    rekey.onRekey2(Uint8Array.of(2, 1), AFTER_MS + 10);
    assert.deepEqual(rekey.onRekey2(Uint8Array.of(2, 1), AFTER_MS + 11), []);
  });

  it('as responder reads the new phase at REKEY1 and sends in it only when it heard it', () => {
    const rekey = machine(false);
    assert.deepEqual(kinds(rekey.onRekey1(Uint8Array.of(1, 1))), ['sessionRxKey 1', 'rekey2']);
    assert.deepEqual(kinds(rekey.onRekey1(Uint8Array.of(1, 1))), ['rekey2']);
    assert.deepEqual(kinds(rekey.onPhaseConfirmed(0, 1)), []);
    assert.deepEqual(kinds(rekey.onPhaseConfirmed(1, 2)), ['sessionTxKey 1', 'keepalive']);
    assert.deepEqual(kinds(rekey.onPhaseConfirmed(1, 3)), []);
  });

  it('drops the old rx OVERLAP_MS after the new phase was confirmed', () => {
    const rekey = machine(false);
    rekey.onRekey1(Uint8Array.of(1, 1));
    rekey.onPhaseConfirmed(1, 1000);
    assert.deepEqual(kinds(rekey.onDeadline(1000 + OVERLAP_MS - 1)), []);
    assert.deepEqual(kinds(rekey.onDeadline(1000 + OVERLAP_MS)), ['sessionRxRetire 0']);
  });

  it('drops the old rx at once when the next phase comes', () => {
    const rekey = machine(false);
    rekey.onRekey1(Uint8Array.of(1, 1));
    rekey.onPhaseConfirmed(1, 1000);
    const actions = rekey.onRekey1(Uint8Array.of(1, 2));
    assert.deepEqual(kinds(actions), ['sessionRxRetire 0', 'sessionRxKey 2', 'rekey2']);
  });

  it('never begins as responder, and answers nothing as initiator', () => {
    const responder = machine(false);
    assert.deepEqual(kinds(responder.onDeadline(AFTER_MS)), []);
    assert.deepEqual(kinds(responder.onLimit(1)), ['ask']);
    assert.deepEqual(machine(true).onRekey1(Uint8Array.of(1, 1)), []);
  });

  it('begins at once when a counter nears its limit', () => {
    const rekey = machine(true);
    assert.deepEqual(kinds(rekey.onLimit(7)), ['rekey1']);
    assert.deepEqual(kinds(rekey.onLimit(8)), []);
  });

  it('wants a new handshake from RENEW_AFTER_MS, the responder a little later', () => {
    const initiator = machine(true);
    initiator.onDeadline(AFTER_MS);
    assert.ok(kinds(initiator.onDeadline(RENEW_AFTER_MS)).includes('renew'));
    const responder = machine(false);
    assert.deepEqual(kinds(responder.onDeadline(RENEW_AFTER_MS)), []);
    assert.deepEqual(kinds(responder.onDeadline(RENEW_RESPONDER_AFTER_MS)), ['renew']);
  });

  it('ends the session at REJECT_AFTER_MS, and at once when the DH is zero', () => {
    assert.deepEqual(kinds(machine(false).onDeadline(REJECT_AFTER_MS)), ['expire']);
    const rekey = machine(true);
    rekey.onDeadline(AFTER_MS);
    assert.deepEqual(kinds(rekey.onRekey2(Uint8Array.of(0xff, 1), AFTER_MS + 1)), ['expire']);
  });
});
