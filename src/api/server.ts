import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { OverlayError } from '../base/errors.js';
import type { DaemonControl } from './control.js';
import { followEvents, writeEvents } from './event-stream.js';
import { badRequest, toHttpFailure } from './http-error.js';
import { answerRequest } from './routes.js';
import { claimSocketPath, listenPrivately } from './socket-path.js';

/** Limits of one daemon's API. Who may connect is decided by the socket file's mode: root only. */
export const API_LIMITS = {
  maxBodyBytes: 64 * 1024,
  maxHeaderBytes: 8 * 1024,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 1_000,
  maxConnections: 64,
  /** Followed event streams; the rest of the connections stays free for commands. */
  maxStreams: 32,
  /** How long `close` waits for answers under way. */
  closeTimeoutMs: 1_000,
} as const;

export interface ApiLog {
  info(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface ApiServer {
  /** Lets answers under way finish, ends streams, removes the socket file. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves `control` on a unix socket at `socketPath`, mode 0600.
 *
 * @throws OVL_SOCKET_PATH, OVL_SOCKET_IN_USE
 */
export async function startApiServer(
  socketPath: string,
  control: DaemonControl,
  log: ApiLog,
): Promise<ApiServer> {
  await claimSocketPath(socketPath);
  const streams = new Set<ServerResponse>();
  const server = createServer(
    {
      maxHeaderSize: API_LIMITS.maxHeaderBytes,
      headersTimeout: API_LIMITS.headersTimeoutMs,
      requestTimeout: API_LIMITS.requestTimeoutMs,
      keepAliveTimeout: API_LIMITS.keepAliveTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      serve(control, request, response, streams).catch((error: unknown) => {
        refuse(response, error, log);
      });
    },
  );
  server.maxConnections = API_LIMITS.maxConnections;
  await listenPrivately(server, socketPath);
  log.info({ socket: socketPath }, 'Control API is listening');
  let closing: Promise<void> | undefined;
  return { close: () => (closing ??= closeServer(server, streams)) };
}

async function serve(
  control: DaemonControl,
  request: IncomingMessage,
  response: ServerResponse,
  streams: Set<ServerResponse>,
): Promise<void> {
  const { path, query } = parseTarget(request.url ?? '/');
  const method = request.method ?? 'GET';
  const body = await readJson(request);
  const answer = await answerRequest(control, { method, path, query, body });
  if (answer.kind === 'document') {
    sendJson(response, 200, answer.document);
  } else if (!answer.follow) {
    writeEvents(control, response, answer.after);
  } else {
    if (streams.size >= API_LIMITS.maxStreams) {
      throw new OverlayError('OVL_API_BUSY', `${streams.size} readers follow the events already`, {
        value: String(streams.size),
        cure: "End some of the 'overlayctl events --follow' that run.",
      });
    }
    streams.add(response);
    response.once('close', () => streams.delete(response));
    followEvents(control, response, answer.after);
  }
}

function refuse(response: ServerResponse, error: unknown, log: ApiLog): void {
  const failure = toHttpFailure(error);
  if (failure.isInternal) log.error({ err: error }, 'Control request failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // A body that was too long is not read to its end: the connection cannot be used again.
  response.setHeader('connection', 'close');
  sendJson(response, failure.status, failure.document);
}

function sendJson(response: ServerResponse, status: number, document: object): void {
  const text = `${JSON.stringify(document)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function parseTarget(target: string): { path: string; query: ReadonlyMap<string, string> } {
  const [path = '/', search = ''] = target.split('?', 2);
  return { path, query: new Map(new URLSearchParams(search)) };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (cause) {
    throw badRequest(`The request's body is not JSON: ${String(cause)}`, {
      cure: 'Send JSON, in UTF-8.',
    });
  }
}

/** Not by async iteration: leaving that early destroys the connection, and the refusal with it. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= API_LIMITS.maxBodyBytes) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      reject(
        badRequest(`The request is longer than ${API_LIMITS.maxBodyBytes} bytes`, {
          status: 413,
          cure: 'Send fewer contacts at a time.',
        }),
      );
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () =>
      reject(badRequest('The request ended early', { cure: 'Send it whole.' })),
    );
  });
}

function closeServer(server: Server, streams: ReadonlySet<ServerResponse>): Promise<void> {
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => server.closeAllConnections(), API_LIMITS.closeTimeoutMs);
    server.close(() => {
      clearTimeout(giveUp);
      resolve();
    });
    for (const stream of streams) stream.end();
    server.closeIdleConnections();
  });
}
