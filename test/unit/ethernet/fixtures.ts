import assert from 'node:assert/strict';

import { parseMac, type Mac } from '../../../src/model/mac.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';

/* IGMP and MLD frames as hosts write them, but for checksums, and names for MACs and peers. */

export function macOf(text: string): Mac {
  const mac = parseMac(text);
  assert.ok(mac);
  return mac;
}

export const idOf = (number: number): PeerId => peerIdFromBytes(new Uint8Array(16).fill(number));

export const ipv4 = (text: string): number[] => text.split('.').map(Number);

/** `ff0e::1:2` and the like: no more than one `::`. */
export function ipv6(text: string): number[] {
  const [head = '', tail = ''] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const [left, right] = [words(head), words(tail)];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right].flatMap((word) => [word >> 8, word & 0xff]);
}

export function igmp(message: readonly number[], source = '10.0.0.1'): Uint8Array {
  const total = 24 + message.length;
  const ip = [0x46, 0xc0, 0, total, 0, 0, 0x40, 0, 1, 2, 0, 0, ...ipv4(source), 224, 0, 0, 22];
  const head = [1, 0, 0x5e, 0, 0, 22, 2, 0, 0, 0, 0, 1, 8, 0];
  return Uint8Array.of(...head, ...ip, 0x94, 4, 0, 0, ...message, 0, 0, 0, 0);
}

export function mld(message: readonly number[], source = 'fe80::1'): Uint8Array {
  const ip = [0x60, 0, 0, 0, 0, 8 + message.length, 0, 1, ...ipv6(source), ...ipv6('ff02::16')];
  const head = [0x33, 0x33, 0, 0, 0, 22, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
  return Uint8Array.of(...head, ...ip, 58, 0, 5, 2, 0, 0, 1, 0, ...message);
}

export const joinV2 = (group: string): Uint8Array => igmp([0x16, 0, 0, 0, ...ipv4(group)]);
export const leaveV2 = (group: string): Uint8Array => igmp([0x17, 0, 0, 0, ...ipv4(group)]);
export const queryV2 = (group: string, source: string): Uint8Array =>
  igmp([0x11, 100, 0, 0, ...ipv4(group)], source);

/** Group records as [type, group, number of sources]. */
export function reportV3(...records: readonly (readonly [number, string, number])[]): Uint8Array {
  const body = records.flatMap(([type, group, sources]) => [
    ...[type, 0, 0, sources, ...ipv4(group)],
    ...Array.from({ length: sources * 4 }, () => 9),
  ]);
  return igmp([0x22, 0, 0, 0, 0, 0, 0, records.length, ...body]);
}
