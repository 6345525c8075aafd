import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { request } from 'node:http';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { OverlayError } from '../base/errors.js';
import { makeFolders } from '../base/system-folders.js';

/** sun_path holds 108 bytes and a terminating zero. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** How long a daemon that already listens gets to say its pid. */
const PID_TIMEOUT_MS = 1000;

/**
 * Makes `path` free to listen on: directory there, what a dead daemon left removed.
 *
 * @throws OVL_SOCKET_PATH when the path cannot be used, OVL_SOCKET_IN_USE when a daemon answers on it
 */
export async function claimSocketPath(path: string): Promise<void> {
  assertUsablePath(path);
  try {
    // The file's mode is what guards it; the directory may be seen, whatever our umask.
    if (makeFolders(dirname(path))) chmodSync(dirname(path), 0o755);
  } catch (cause) {
    throw pathError(path, `Cannot create the directory of socket ${path}`, cause);
  }
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new OverlayError('OVL_SOCKET_PATH', `${path} exists and is not a socket`, {
      value: path,
      cure: 'Choose another --socket, or move that file away.',
    });
  }
  if (await isListening(path)) {
    const pid = await listenerPid(path);
    const who = pid === undefined ? 'another process' : `the overlayd with pid ${pid}`;
    throw new OverlayError('OVL_SOCKET_IN_USE', `Socket ${path} is in use by ${who}`, {
      value: path,
      cure: 'Stop that daemon, or give this one its own --socket and --state-dir.',
      ...(pid !== undefined && { fields: { pid } }),
    });
  }
  unlinkSync(path);
}

/** @throws OVL_SOCKET_PATH */
export function assertUsablePath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes === 0 || bytes > MAX_SOCKET_PATH_BYTES || path.includes('\0')) {
    throw new OverlayError(
      'OVL_SOCKET_PATH',
      `Socket path '${path}' has ${bytes} bytes, the kernel takes 1 to ${MAX_SOCKET_PATH_BYTES}`,
      { value: path, cure: 'Choose a shorter --socket.' },
    );
  }
}

/** Listens so that the file is never, not even for a moment, open to others. */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error): void => {
      reject(pathError(path, `Cannot listen on socket ${path}`, cause));
    };
    server.once('error', onError);
    // The file is made inside listen(), so the mask needs to hold no longer than the call.
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', onError);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
  chmodSync(path, 0o600);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ECONNREFUSED' || cause.code === 'ENOENT') resolve(false);
      // A full backlog means that somebody listens.
      else if (cause.code === 'EAGAIN') resolve(true);
      else reject(pathError(path, `Cannot tell whether socket ${path} is in use`, cause));
    });
  });
}

/** Asks who listens; anything but a clean answer is "not known". */
function listenerPid(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const ask = request({ socketPath: path, path: '/v1/status', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > 1 << 20) ask.destroy();
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => {
        const match = /"pid":\s*(\d{1,10})/.exec(text);
        resolve(match ? Number(match[1]) : undefined);
      });
    });
    ask.setTimeout(PID_TIMEOUT_MS, () => ask.destroy());
    ask.on('error', () => resolve(undefined));
    ask.on('close', () => resolve(undefined));
    ask.end();
  });
}

function pathError(path: string, message: string, cause: unknown): OverlayError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OverlayError('OVL_SOCKET_PATH', `${message}: ${reason}`, {
    value: path,
    cure: 'Check the permissions of its directory, or choose another --socket.',
    cause,
  });
}
