import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fromHex, toHex } from '../../../src/base/bytes.js';
import { seededRng } from '../../../src/base/rng.js';
import { generateIdentity, identityFromSeed, peerIdOf } from '../../../src/crypto/identity.js';
import { meshIdOf, networkIdOf } from '../../../src/crypto/mesh.js';
import { derivePrs } from '../../../src/crypto/password.js';
import { sodium, sodiumReady } from '../../../src/crypto/sodium.js';
import { nativeOs } from '../../../src/dataplane/native.js';

/*
 * Expected values were made with Python's hashlib.blake2b(digest_size=16) and with crypto_pwhash of libsodium 1.0.18
 * through ctypes, not with the library under test.
 */

describe('names', () => {
  before(() => sodiumReady());

  it('meshIdOf hashes the name; composed and decomposed spellings are one mesh', () => {
    assert.equal(toHex(meshIdOf('default')), '2ba729566fba377f0ef10e6bc0708366');
    assert.deepEqual(meshIdOf('caf\u00e9'), meshIdOf('cafe\u0301'));
    assert.notDeepEqual(meshIdOf('Default'), meshIdOf('default'));
  });

  it('networkIdOf is 0 for the default network and 24 bits of a hash for others', () => {
    const mesh = meshIdOf('default');
    assert.equal(networkIdOf(mesh, 'default'), 0);
    // BLAKE2b-128(meshid || "blue") = 20c94a736b…, little-endian.
    assert.equal(networkIdOf(mesh, 'blue'), 0x4ac920);
    assert.notEqual(networkIdOf(meshIdOf('other'), 'blue'), 0x4ac920);
    fc.assert(
      fc.property(fc.string(), (name) => {
        const id = networkIdOf(mesh, name);
        return Number.isInteger(id) && id >= 0 && id < 2 ** 24;
      }),
    );
  });

  it('peerIdOf hashes the public key (the one of RFC 8032 test 1)', () => {
    const key = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    assert.equal(peerIdOf(key), 'a6a067b808115956211be9c5e9742b3a');
  });

  it('identityFromSeed makes the key pair of RFC 8032 test 1, and signs with it', () => {
    const identity = identityFromSeed(
      fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
    );
    assert.equal(identity.id, 'a6a067b808115956211be9c5e9742b3a');
    assert.equal(identity.secretKey.length, 64);
    // RFC 8032 §7.1, test 1: signature of the empty message.
    assert.equal(
      toHex(sodium.crypto_sign_detached(new Uint8Array(0), identity.secretKey)),
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
        '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  it('generateIdentity draws a new one each time', () => {
    const rng = seededRng(1);
    assert.notEqual(generateIdentity(rng).id, generateIdentity(rng).id);
  });
});

describe('password', () => {
  const hasher = nativeOs();

  before(() => sodiumReady());

  it('derivePrs is Argon2id with 3 passes and 64 MiB, salted with the mesh id', async () => {
    const prs = await derivePrs('correct horse battery staple', meshIdOf('default'), hasher);
    assert.equal(toHex(prs), '3583c316de56862802d41a95383f86edf8e0f09cee503b031267c4d7b2dd0983');
  });

  it('composed and decomposed spellings are one password; another mesh gives another PRS', async () => {
    const [composed, decomposed, elsewhere] = await Promise.all([
      derivePrs('p\u00e4ss w\u00f6rd', meshIdOf('default'), hasher),
      derivePrs('pa\u0308ss wo\u0308rd', meshIdOf('default'), hasher),
      derivePrs('p\u00e4ss w\u00f6rd', meshIdOf('other'), hasher),
    ]);
    assert.equal(
      toHex(composed),
      '6040bf41a190298cc3fbe02fccd00f9bf28583463e103bc44601eb9f856a187b',
    );
    assert.deepEqual(decomposed, composed);
    assert.notDeepEqual(elsewhere, composed);
  });

  it('refuses a mesh id of another length at once', async () => {
    await assert.rejects(derivePrs('x', new Uint8Array(15), hasher), RangeError);
  });
});
