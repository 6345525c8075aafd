import { utf8Bytes } from '../base/bytes.js';
import { MESH_ID_BYTES } from '../wire/handshake.js';

/** docs/protocol.md §0. Changing either splits every mesh in two. */
const PASSES = 3;
const MEMORY_BYTES = 64 * 1024 * 1024;
const PRS_BYTES = 32;

export interface PasswordHasher {
  /**
   * Argon2id of version 0x13 with one lane, on a thread of its own: native, since WASM takes three times as long and keeps
   * the memory. `salt` has 16 bytes; the password is copied and the copy wiped. Rejects when there is not enough memory.
   */
  hashPassword(
    password: Uint8Array,
    salt: Uint8Array,
    passes: number,
    memoryBytes: number,
    hashBytes: number,
  ): Promise<Uint8Array>;
}

/** PRS of docs/protocol.md §0: Argon2id of the password (NFC, UTF-8) salted with the mesh id, 32 bytes. */
export async function derivePrs(
  password: string,
  meshId: Uint8Array,
  hasher: PasswordHasher,
): Promise<Uint8Array> {
  if (meshId.length !== MESH_ID_BYTES) {
    throw new RangeError(`Mesh id wants ${MESH_ID_BYTES} bytes, got ${meshId.length}`);
  }
  const bytes = utf8Bytes(password.normalize('NFC'));
  try {
    return await hasher.hashPassword(bytes, meshId, PASSES, MEMORY_BYTES, PRS_BYTES);
  } finally {
    bytes.fill(0);
  }
}
