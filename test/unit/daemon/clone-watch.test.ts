import assert from 'node:assert/strict';

import { generateIdentity, type Identity } from '../../../src/crypto/identity.js';
import { openPresence, signPresence } from '../../../src/crypto/presence.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import { createSystemRng } from '../../../src/base/system-rng.js';
import { CloneWatch } from '../../../src/daemon/clone-watch.js';

const rng = createSystemRng();
const MESH = new Uint8Array(16).fill(7);
const OWN = Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 5);
const OTHER = Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 9);
const STARTED_MS = 1_800_000_000_000n;

describe('clone watch', () => {
  let identity: Identity;
  const watch = (isOwn = (_instance: Uint8Array) => false) =>
    new CloneWatch(identity, MESH, { instance: OWN, startedAtMs: STARTED_MS }, isOwn);
  const statement = (instance: Uint8Array, startedAtMs: bigint, by = identity) =>
    signPresence(by, MESH, { instance, startedAtMs });

  before(async () => {
    await sodiumReady();
    identity = generateIdentity(rng);
  });

  it('a statement says what was signed, and nothing when a bit of it was changed', () => {
    const bytes = statement(OTHER, STARTED_MS);
    const open = (text: Uint8Array, mesh = MESH) => openPresence(text, identity.publicKey, mesh);
    assert.deepEqual(open(bytes), { instance: OTHER, startedAtMs: STARTED_MS });
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.equal(open(changed), undefined, `byte ${at}`);
    }
    assert.equal(open(bytes.subarray(1)), undefined);
    assert.equal(open(bytes, new Uint8Array(16)), undefined, 'of another mesh');
  });

  it('the one started later moves; at the same moment, the smaller instance', () => {
    assert.equal(watch().judge(statement(OTHER, STARTED_MS - 1n)), 'move');
    assert.equal(watch().judge(statement(OTHER, STARTED_MS + 1n)), 'stay');
    assert.equal(watch().judge(statement(OTHER, STARTED_MS)), 'move');
    assert.equal(watch().judge(statement(new Uint8Array(8), STARTED_MS)), 'stay');
  });

  it('neither this run, nor an earlier one, nor a lie is a clone', () => {
    const liar = generateIdentity(rng);
    assert.equal(watch().judge(watch().presence), 'none');
    assert.equal(watch(() => true).judge(statement(OTHER, STARTED_MS - 1n)), 'none');
    assert.equal(watch().judge(statement(OTHER, STARTED_MS - 1n, liar)), 'none');
  });

  it('judges a clone once', () => {
    const watching = watch();
    assert.equal(watching.judge(statement(OTHER, STARTED_MS + 1n)), 'stay');
    assert.equal(watching.judge(statement(OTHER, STARTED_MS + 1n)), 'none');
  });

  it('shows a peer the other process it met with its identity, and takes nothing unsigned', () => {
    const peer = generateIdentity(rng);
    const watching = watch();
    const first = statement(OWN, STARTED_MS, peer);
    const second = statement(OTHER, STARTED_MS, peer);
    watching.onPresence(peer.id, peer.publicKey, first);
    watching.onPresence(peer.id, peer.publicKey, first);
    assert.equal(watching.met(peer.id), undefined);
    watching.onPresence(peer.id, peer.publicKey, statement(OTHER, STARTED_MS));
    assert.equal(watching.met(peer.id), undefined, 'signed by somebody else');
    watching.onPresence(peer.id, peer.publicKey, second);
    assert.deepEqual(watching.met(peer.id), first);
    watching.onPresence(peer.id, peer.publicKey, first);
    assert.deepEqual(watching.met(peer.id), second);
  });
});
