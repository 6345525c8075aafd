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

/** Who has that IPv4 address? `from`: the asker's own. */
export function arpRequest(
  asker: Mac,
  target: readonly number[],
  from: readonly number[] = [0, 0, 0, 0],
): Uint8Array {
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(macBytes(asker), 6);
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1], 12);
  frame.set(macBytes(asker), 22);
  frame.set(from, 28);
  frame.set(target, 38);
  return frame;
}

/** Who has fd01::9? `from`: the asker's own; all zeros: nobody may. */
export function solicitation(asker: Mac, from: Iterable<number> = ipv6Of(0xfd, 1)): Uint8Array {
  const source = [...from];
  const target = ipv6Of(0xfd, 9);
  const group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 9];
  const isProbe = source.every((byte) => byte === 0);
  const option = isProbe ? [] : [1, 1, ...macBytes(asker)];
  const message = [135, 0, 0, 0, 0, 0, 0, 0, ...target, ...option];
  const pseudo = [...source, ...group, 0, 0, 0, message.length, 0, 0, 0, 58];
  const checksum = 0xffff - onesSum([...pseudo, ...message]);
  message.splice(2, 2, checksum >> 8, checksum & 0xff);
  const ip = [0x60, 0, 0, 0, 0, message.length, 58, 255, ...source, ...group];
  const head = [0x33, 0x33, 0xff, 0, 0, 9, ...macBytes(asker), 0x86, 0xdd];
  return Uint8Array.of(...head, ...ip, ...message);
}

function ipv6Of(first: number, last: number): number[] {
  return [first, 1, ...Array.from({ length: 13 }, () => 0), last];
}

/** RFC 1071. */
function onesSum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
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
