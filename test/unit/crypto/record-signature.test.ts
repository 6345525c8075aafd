import assert from 'node:assert/strict';

import { concatBytes, utf8Bytes } from '../../../src/base/bytes.js';
import { identityFromSeed } from '../../../src/crypto/identity.js';
import { recordSigner } from '../../../src/crypto/record-signature.js';
import { sodium, sodiumReady } from '../../../src/crypto/sodium.js';

describe('record signatures', () => {
  const MESH = new Uint8Array(16).fill(4);
  before(sodiumReady);

  it('are Ed25519 over the domain, the mesh and the bytes', () => {
    const identity = identityFromSeed(new Uint8Array(32).fill(1));
    const signer = recordSigner(identity, MESH);
    const signed = utf8Bytes('what is said');
    const message = concatBytes(utf8Bytes('overlayd/1 record'), MESH, signed);
    const signature = signer.sign(signed);
    assert.deepEqual(signature, sodium.crypto_sign_detached(message, identity.secretKey));
    assert.ok(signer.verify(identity.publicKey, signed, signature));
  });

  it('hold for one mesh, one key and these bytes only; rubbish is false, not an error', () => {
    const identity = identityFromSeed(new Uint8Array(32).fill(1));
    const other = identityFromSeed(new Uint8Array(32).fill(2));
    const signer = recordSigner(identity, MESH);
    const signed = utf8Bytes('what is said');
    const signature = signer.sign(signed);
    const elsewhere = recordSigner(identity, new Uint8Array(16));
    assert.equal(elsewhere.verify(identity.publicKey, signed, signature), false);
    assert.equal(signer.verify(other.publicKey, signed, signature), false);
    assert.equal(signer.verify(identity.publicKey, utf8Bytes('another'), signature), false);
    assert.equal(signer.verify(new Uint8Array(3), signed, signature), false);
    assert.equal(signer.verify(new Uint8Array(32), signed, new Uint8Array(64)), false);
  });
});
