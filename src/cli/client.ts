import { statSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { z } from 'zod';
import { errorSchema, eventSchema } from '../api/schemas.js';
import { assertUsablePath } from '../api/socket-path.js';
import { CliFailure, EXIT_UNREACHABLE, exitCodeOf, refused, unreachable } from './failure.js';

/** A report of the largest mesh stays far below; anything longer is not our daemon. */
const MAX_ANSWER_BYTES = 64 << 20;
const MAX_EVENT_LINE = 64 << 10;
export const ANSWER_TIMEOUT_MS = 10_000;
/** Three of the server's heartbeats. */
const STREAM_SILENCE_MS = 45_000;

export type StreamedEvent = z.infer<typeof eventSchema>;

/** Talks to the daemon behind one socket. Trusts nothing that it answers before a schema has seen it. */
export class ApiClient {
  readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  get<T>(path: string, schema: z.ZodType<T>, timeoutMs = ANSWER_TIMEOUT_MS): Promise<T> {
    return this.#ask('GET', path, undefined, schema, timeoutMs);
  }

  post<T>(path: string, body: object, schema: z.ZodType<T>): Promise<T> {
    return this.#ask('POST', path, body, schema, ANSWER_TIMEOUT_MS);
  }

  /** Calls `onEvent` for each event, oldest first; returns when the daemon ends the stream. */
  async events(
    options: { after: number; follow: boolean },
    onEvent: (event: StreamedEvent) => void,
  ): Promise<void> {
    const path = `/v1/events?after=${options.after}&follow=${options.follow ? 1 : 0}`;
    const silenceMs = options.follow ? STREAM_SILENCE_MS : ANSWER_TIMEOUT_MS;
    const response = await this.#open('GET', path, undefined, silenceMs);
    if (response.statusCode !== 200) throw this.#failureFrom(path, await this.#readAll(response));
    await this.#eachLine(response, (line) => {
      if (line !== '') onEvent(this.#parse(path, line, eventSchema));
    });
  }

  async #ask<T>(
    method: string,
    path: string,
    body: object | undefined,
    schema: z.ZodType<T>,
    timeoutMs: number,
  ): Promise<T> {
    const response = await this.#open(method, path, body, timeoutMs);
    const text = await this.#readAll(response);
    if (response.statusCode !== 200) throw this.#failureFrom(path, text);
    return this.#parse(path, text, schema);
  }

  #open(
    method: string,
    path: string,
    body: object | undefined,
    timeoutMs: number,
  ): Promise<IncomingMessage> {
    assertUsablePath(this.socketPath);
    return new Promise((resolve, reject) => {
      const ask: ClientRequest = httpRequest({
        socketPath: this.socketPath,
        method,
        path,
        agent: false,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
      });
      ask.setTimeout(timeoutMs, () => ask.destroy(this.#silent(timeoutMs)));
      ask.on('response', resolve);
      ask.on('error', (error) => reject(this.#connectFailure(error)));
      ask.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  #readAll(response: IncomingMessage): Promise<string> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > MAX_ANSWER_BYTES) {
          response.destroy(this.#notUnderstood('', `longer than ${MAX_ANSWER_BYTES} bytes`));
        }
      });
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', (error) => reject(this.#connectFailure(error)));
    });
  }

  #eachLine(response: IncomingMessage, onLine: (line: string) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        try {
          if (rest.length > MAX_EVENT_LINE) throw this.#notUnderstood('/v1/events', 'endless line');
          for (const line of lines) onLine(line);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          response.destroy();
        }
      });
      response.on('end', resolve);
      response.on('error', (error) => reject(this.#connectFailure(error)));
    });
  }

  #parse<T>(path: string, text: string, schema: z.ZodType<T>): T {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#notUnderstood(path, 'not JSON');
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw this.#notUnderstood(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }

  #failureFrom(path: string, text: string): CliFailure {
    const { error } = this.#parse(path, text, errorSchema);
    return new CliFailure({ ...error, exitCode: exitCodeOf(error.code) });
  }

  #notUnderstood(path: string, what: string): CliFailure {
    return refused(
      'OVL_API_ANSWER',
      `Cannot understand the answer to ${path} on ${this.socketPath}: ${what}`,
      this.socketPath,
      "Compare the versions with 'overlayctl version', and check that this socket is overlayd's.",
    );
  }

  #silent(timeoutMs: number): CliFailure {
    return unreachable(
      `The daemon at ${this.socketPath} has not answered for ${timeoutMs / 1000} s`,
      this.socketPath,
      'See its log, and restart it if it hangs.',
    );
  }

  #connectFailure(error: Error): CliFailure {
    if (error instanceof CliFailure) return error;
    const code = (error as NodeJS.ErrnoException).code ?? error.message;
    const path = this.socketPath;
    if (code === 'EACCES' || code === 'EPERM') {
      // Not OVL_UNREACHABLE: waiting does not help.
      return new CliFailure({
        code: 'OVL_NOT_PERMITTED',
        message: `Cannot open the socket ${path}: permission denied`,
        value: path,
        cure: 'Run it as root.',
        exitCode: EXIT_UNREACHABLE,
      });
    }
    if (code === 'ENOENT') {
      return unreachable(
        `No daemon is reachable: there is no socket ${path}`,
        path,
        'Start overlayd, or name its socket by --socket or OVERLAYD_SOCKET.',
        true,
      );
    }
    if (
      code === 'ECONNREFUSED' &&
      statSync(path, { throwIfNoEntry: false })?.isSocket() === false
    ) {
      return unreachable(
        `No daemon is reachable: ${path} is no socket`,
        path,
        "Name overlayd's socket by --socket or OVERLAYD_SOCKET.",
      );
    }
    if (code === 'ECONNREFUSED') {
      return unreachable(
        `No daemon is reachable: nobody listens on ${path}`,
        path,
        'The daemon has died: start it again, it cleans up after itself.',
        true,
      );
    }
    if (code.startsWith('HPE_')) return this.#notUnderstood('/', 'not HTTP');
    return unreachable(
      `The daemon at ${path} broke the connection (${code})`,
      path,
      'See whether overlayd is still running, and try again.',
    );
  }
}
