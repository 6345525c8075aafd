/** Ethernet address as six lower-case hex pairs joined by colons. */
export type Mac = string & { readonly __brand: 'Mac' };

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

export function parseMac(text: string): Mac | undefined {
  const lower = text.toLowerCase().replaceAll('-', ':');
  return MAC.test(lower) ? (lower as Mac) : undefined;
}

export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new RangeError(`Mac wants 6 bytes, got ${bytes.length}`);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

export function macBytes(mac: Mac): Uint8Array {
  return new Uint8Array(mac.split(':').map((pair) => Number.parseInt(pair, 16)));
}

/**
 * Listeners of these report, and only they get the frames (native/core/multicast.h keeps the same list). The others are
 * of the link: some hosts never report them, and resolving addresses must not wait for it.
 */
export function isSnoopedMac(mac: Mac): boolean {
  if (mac.startsWith('33:33:')) return !/^33:33:(00:00:00|ff)/.test(mac);
  return /^01:00:5e:[0-7]/.test(mac) && !mac.startsWith('01:00:5e:00:00:');
}
