import assert from 'node:assert/strict';

import type { DirectionKey } from '../../src/dataplane/dataplane.js';
import { macBytes, parseMac, type Mac } from '../../src/model/mac.js';
import { parsePeerId, type PeerId } from '../../src/model/peer-id.js';

/* Keys, handshake datagrams and frames for the contracts of the data plane. */

export const MAC_A = macOf('02:00:00:00:00:0a');
export const MAC_B = macOf('02:00:00:00:00:0b');
export const MAC_C = macOf('02:00:00:00:00:0c');

export function keyOf(fill: number): DirectionKey {
  return { key: new Uint8Array(32).fill(fill), iv: new Uint8Array(24).fill(fill) };
}

/** RESP as far as the gate looks: indexes set, zeros at the end. */
export function respOf(): Uint8Array {
  const resp = new Uint8Array(512);
  resp.fill(0x5a, 4, 272);
  resp.set([2, 1]);
  return resp;
}

/** Well-formed as far as the gate looks. */
export function initOf(meshId: Uint8Array, senderIndex = 0x11223344): Uint8Array {
  const init = new Uint8Array(512);
  init.set([1, 1]);
  new DataView(init.buffer).setUint32(4, senderIndex, true);
  init.set(meshId, 8);
  init.fill(0x33, 24, 72);
  init[72] = 7;
  return init;
}

/** Of an ethertype for experiments, so that no host answers. */
export function frameOf(to: Mac, from: Mac, text: string): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(macBytes(to), 0);
  frame.set(macBytes(from), 6);
  frame.set([0x88, 0xb5], 12);
  frame.set(new TextEncoder().encode(text), 14);
  return frame;
}

/** Who has that IPv4 address? */
export function arpRequest(from: Mac, target: readonly number[]): Uint8Array {
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(macBytes(from), 6);
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1], 12);
  frame.set(macBytes(from), 22);
  frame.set(target, 38);
  return frame;
}

export function textOf(frame: Uint8Array): string {
  return Buffer.from(frame.subarray(14)).toString();
}

export function sameFrame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a.subarray(0, b.length), b) === 0;
}

export function macOf(text: string): Mac {
  const mac = parseMac(text);
  assert.ok(mac);
  return mac;
}

export function peerOf(text: string): PeerId {
  const id = parsePeerId(text);
  assert.ok(id);
  return id;
}
