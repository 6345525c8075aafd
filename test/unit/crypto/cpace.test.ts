import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { concatBytes, fromHex, toHex, utf8Bytes } from '../../../src/base/bytes.js';
import { seededRng } from '../../../src/base/rng.js';
import {
  ciOf,
  cpaceGenerator,
  cpaceIsk,
  cpaceMultiply,
  cpaceScalar,
  lv,
} from '../../../src/crypto/cpace.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';

/** The working directory of the test run is the top of the project. */
const file = JSON.parse(readFileSync('test/fixtures/vectors/cpace-ristretto255.json', 'utf8')) as {
  G_Coffee25519: Record<string, string>;
  G_Coffee25519_points: Record<'Invalid Y1' | 'Invalid Y2', string> & {
    Valid: Record<string, string>;
  };
};

function vector(name: string): Uint8Array {
  const hex = file.G_Coffee25519[name];
  assert(hex, name);
  return fromHex(hex);
}

describe('CPace, vectors of draft-irtf-cfrg-cpace', () => {
  before(() => sodiumReady());

  it('maps password, channel and session id to the generator', () => {
    const g = cpaceGenerator(vector('PRS'), vector('CI'), vector('sid'));
    assert.equal(toHex(g), toHex(vector('g')));
  });

  it('multiplies to the public elements and to the same K on both sides', () => {
    const g = vector('g');
    assert.deepEqual(cpaceMultiply(vector('ya'), g), vector('Ya'));
    assert.deepEqual(cpaceMultiply(vector('yb'), g), vector('Yb'));
    assert.deepEqual(cpaceMultiply(vector('ya'), vector('Yb')), vector('K'));
    assert.deepEqual(cpaceMultiply(vector('yb'), vector('Ya')), vector('K'));
  });

  it('derives ISK in the order initiator, responder', () => {
    const isk = cpaceIsk({
      sid: vector('sid'),
      k: vector('K'),
      yi: vector('Ya'),
      adInitiator: vector('ADa'),
      yr: vector('Yb'),
      adResponder: vector('ADb'),
    });
    assert.equal(toHex(isk), toHex(vector('ISK_IR')));
  });

  it('refuses an invalid encoding and the identity, and takes the valid point', () => {
    const { Valid: valid, ...invalid } = file.G_Coffee25519_points;
    const scalar = fromHex(valid['s']!);
    assert.equal(
      toHex(cpaceMultiply(scalar, fromHex(valid['X']!))!),
      valid['G.scalar_mult_vfy(s,X)']!.toLowerCase(),
    );
    assert.equal(cpaceMultiply(scalar, fromHex(invalid['Invalid Y1'])), undefined);
    assert.equal(cpaceMultiply(scalar, fromHex(invalid['Invalid Y2'])), undefined);
  });
});

describe('CPace building blocks', () => {
  before(() => sodiumReady());

  it('lv prepends the length as LEB128', () => {
    assert.deepEqual(lv(new Uint8Array(0)), Uint8Array.of(0));
    assert.deepEqual(lv(Uint8Array.of(9)), Uint8Array.of(1, 9));
    assert.deepEqual([...lv(new Uint8Array(127)).subarray(0, 2)], [0x7f, 0]);
    assert.deepEqual([...lv(new Uint8Array(128)).subarray(0, 3)], [0x80, 0x01, 0]);
    // The example of the LEB128 article and of DWARF: 624485 = 0xE5 0x8E 0x26.
    assert.deepEqual([...lv(new Uint8Array(624_485)).subarray(0, 3)], [0xe5, 0x8e, 0x26]);
  });

  it('ciOf names protocol, mesh and slot', () => {
    const mesh = new Uint8Array(16).fill(3);
    assert.deepEqual(
      ciOf(mesh, 1),
      concatBytes(
        Uint8Array.of(10),
        utf8Bytes('overlayd/1'),
        Uint8Array.of(16),
        mesh,
        Uint8Array.of(1, 1),
      ),
    );
  });

  it('scalars are reduced, different, and repeat from their seed', () => {
    const first = cpaceScalar(seededRng(7));
    const rng = seededRng(7);
    assert.deepEqual(cpaceScalar(rng), first);
    assert.notDeepEqual(cpaceScalar(rng), first);
    assert.equal(first.length, 32);
    // The group order is a little above 2^252: the top nibble of a reduced scalar is 0 or 1.
    assert(first[31]! <= 0x10);
  });
});
