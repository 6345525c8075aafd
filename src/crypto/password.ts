import { Worker } from 'node:worker_threads';
import { utf8Bytes } from '../base/bytes.js';
import { MESH_ID_BYTES } from '../wire/handshake.js';

/** What the worker is handed: moved, not copied, and wiped there. */
export interface PasswordWork {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
}

/**
 * PRS of docs/protocol.md §0: Argon2id of the password (NFC, UTF-8) salted with the mesh id, 32 bytes. Takes about
 * a quarter of a second in a worker of its own, because WASM gives its 64 MiB back only together with its thread.
 */
export async function derivePrs(password: string, meshId: Uint8Array): Promise<Uint8Array> {
  if (meshId.length !== MESH_ID_BYTES) {
    throw new RangeError(`Mesh id wants ${MESH_ID_BYTES} bytes, got ${meshId.length}`);
  }
  // A buffer of its own: moving it to the worker leaves nothing behind here.
  const bytes = utf8Bytes(password.normalize('NFC'));
  const work: PasswordWork = { password: new Uint8Array(bytes), salt: meshId.slice() };
  bytes.fill(0);
  const worker = new Worker(new URL('./password-worker.js', import.meta.url), {
    workerData: work,
    transferList: [work.password.buffer as ArrayBuffer],
    argv: [],
    execArgv: [],
    env: {},
  });
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      worker.once('message', (prs: Uint8Array) => resolve(prs));
      worker.once('error', reject);
      worker.once('exit', (code) =>
        reject(new Error(`Password worker left with code ${code} and no result`)),
      );
    });
  } finally {
    await worker.terminate();
  }
}
