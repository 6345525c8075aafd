import { concatBytes, utf8Bytes } from '../base/bytes.js';
import { blake2b128 } from './sodium.js';

/** Public name of a mesh, 16 bytes. Never derived from the password: what is public must not help to guess it. */
export function meshIdOf(meshName: string): Uint8Array {
  return blake2b128(utf8Bytes(`overlayd/1 mesh${meshName.normalize('NFC')}`));
}

/** The network every mesh has; it need not be created. */
export const DEFAULT_NETWORK = 'default';

/** 24-bit id of a network; 0 is the default one's, so a name that hashes to 0 is a clash like any other. */
export function networkIdOf(meshId: Uint8Array, name: string): number {
  if (name === DEFAULT_NETWORK) return 0;
  const hash = blake2b128(concatBytes(meshId, utf8Bytes(name.normalize('NFC'))));
  return (hash[0] ?? 0) | ((hash[1] ?? 0) << 8) | ((hash[2] ?? 0) << 16);
}
