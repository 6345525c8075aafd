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
