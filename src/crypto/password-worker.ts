import { parentPort, workerData } from 'node:worker_threads';
import type { PasswordWork } from './password.js';
import { sodium, sodiumReady } from './sodium.js';

/*
 * The thread behind derivePrs: hashes one password, hands the result over and is terminated, which frees the
 * 64 MiB that Argon2 touched.
 */

/** docs/protocol.md §0. Changing either splits every mesh in two. */
const PASSES = 3;
const MEMORY_BYTES = 64 * 1024 * 1024;
const PRS_BYTES = 32;

await sodiumReady();
const { password, salt } = workerData as PasswordWork;
const prs = sodium.crypto_pwhash(
  PRS_BYTES,
  password,
  salt,
  PASSES,
  MEMORY_BYTES,
  sodium.crypto_pwhash_ALG_ARGON2ID13,
);
password.fill(0);
const result = new Uint8Array(prs);
prs.fill(0);
parentPort?.postMessage(result, [result.buffer]);
