import { formatAddress, addressFromBytes } from '../model/cidr.js';
import { macBytes, macFromBytes, type Mac } from '../model/mac.js';

/* Who has that address? As native/core/neighbour.h reads and answers it, but for checksums. */

export interface NeighbourQuestion {
  /** Canonical text. */
  readonly target: string;
  readonly asker: Mac;
}

const ARP_HEAD = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
const ARP_BYTES = 42;
const SOLICITATION_BYTES = 86;
const MIN_FRAME_BYTES = 60;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** Undefined: not to be answered for anybody. */
export function neighbourQuestionOf(frame: Uint8Array): NeighbourQuestion | undefined {
  const asker = macFromBytes(frame.subarray(6, 12));
  const target = ipv4Target(frame, asker) ?? ipv6Target(frame, asker);
  return target === undefined ? undefined : { target, asker };
}

/** Addresses a frame is said to come from, canonical texts: native/core/neighbour.h, but for headers before ND. */
export function neighbourSourcesOf(frame: Uint8Array): readonly string[] {
  const ipv4 = (at: number): string =>
    formatAddress({ family: 4, value: addressFromBytes(frame.subarray(at, at + 4)) });
  const ipv6 = (at: number): string =>
    formatAddress({ family: 6, value: addressFromBytes(frame.subarray(at, at + 16)) });
  if (hasBytes(frame, 12, [0x08, 0x00]) && frame.length >= 30) return [ipv4(26)];
  if (hasBytes(frame, 12, [0x08, 0x06]) && frame.length >= 32) return [ipv4(28)];
  if (!hasBytes(frame, 12, [0x86, 0xdd]) || frame.length < 38) return [];
  const isAdvertisement = frame[20] === 58 && frame[54] === 136 && frame.length >= 78;
  return isAdvertisement ? [ipv6(22), ipv6(62)] : [ipv6(22)];
}

/** That the target is at `mac`. */
export function neighbourAnswer(frame: Uint8Array, mac: Mac): Uint8Array {
  const own = macBytes(mac);
  const isArp = hasBytes(frame, 12, ARP_HEAD);
  const out = new Uint8Array(isArp ? MIN_FRAME_BYTES : SOLICITATION_BYTES);
  out.set(frame.subarray(6, 12));
  out.set(own, 6);
  if (isArp) {
    out.set(ARP_HEAD, 12);
    out[21] = 2;
    out.set(own, 22);
    out.set(frame.subarray(38, 42), 28);
    out.set(frame.subarray(22, 32), 32);
    return out;
  }
  out.set(frame.subarray(12, 22), 12);
  out.set(frame.subarray(62, 78), 22);
  out.set(frame.subarray(22, 38), 38);
  out.set([136, 0, 0, 0, 0x40], 54);
  out.set(frame.subarray(62, 78), 62);
  out.set([2, 1, ...own], 78);
  return out;
}

function ipv4Target(frame: Uint8Array, asker: Mac): string | undefined {
  const isBroadcast = macFromBytes(frame.subarray(0, 6)) === BROADCAST;
  if (!isBroadcast || frame.length < ARP_BYTES || !hasBytes(frame, 12, ARP_HEAD)) return undefined;
  const [sender, target] = [frame.subarray(28, 32), frame.subarray(38, 42)];
  const isHost = ([first = 0, second = 0]: Uint8Array): boolean =>
    first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254);
  const isPlain =
    macFromBytes(frame.subarray(22, 28)) === asker && isHost(sender) && isHost(target);
  if (!isPlain || hasBytes(sender, 0, target)) return undefined;
  return formatAddress({ family: 4, value: addressFromBytes(target) });
}

function ipv6Target(frame: Uint8Array, asker: Mac): string | undefined {
  if (frame.length < SOLICITATION_BYTES || !hasBytes(frame, 12, [0x86, 0xdd])) return undefined;
  const [source, target] = [frame.subarray(22, 38), frame.subarray(62, 78)];
  const isGlobal =
    target[0] !== 0xff &&
    !(target[0] === 0xfe && ((target[1] ?? 0) & 0xc0) === 0x80) &&
    target.subarray(0, 8).some((byte) => byte !== 0);
  const isPlain =
    hasBytes(frame, 0, [0x33, 0x33, 0xff, ...target.subarray(13)]) &&
    hasBytes(frame, 18, [0, 32, 58, 255]) &&
    hasBytes(frame, 54, [135, 0]) &&
    hasBytes(frame, 78, [1, 1, ...macBytes(asker)]) &&
    source[0] !== 0xff &&
    source.some((byte) => byte !== 0);
  if (!isPlain || !isGlobal || hasBytes(source, 0, target)) return undefined;
  return formatAddress({ family: 6, value: addressFromBytes(target) });
}

function hasBytes(bytes: Uint8Array, at: number, expected: ArrayLike<number>): boolean {
  return Array.from(expected).every((byte, offset) => bytes[at + offset] === byte);
}
