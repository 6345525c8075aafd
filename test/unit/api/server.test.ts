import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { MAX_BACKLOG_BYTES } from '../../../src/api/event-stream.js';
import { API_LIMITS, startApiServer } from '../../../src/api/server.js';
import { OverlayError } from '../../../src/base/errors.js';
import { BETA_ID, Sandbox, event, quietLog } from '../../cli/fake-daemon.js';

interface Answer {
  readonly status: number;
  readonly text: string;
}

describe('control API server', () => {
  let box: Sandbox;

  beforeEach(async () => {
    box = new Sandbox();
    await box.start();
  });
  afterEach(() => box.remove());

  function open(method: string, path: string, body?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const ask = request({ socketPath: box.socket, method, path, agent: false }, resolve);
      ask.on('error', reject);
      ask.end(body);
    });
  }

  async function ask(method: string, path: string, body?: string): Promise<Answer> {
    const response = await open(method, path, body);
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, text };
  }

  async function refusal(method: string, path: string, body?: string): Promise<[number, string]> {
    const { status, text } = await ask(method, path, body);
    const { error } = JSON.parse(text) as { error: Record<string, string> };
    assert.deepEqual(Object.keys(error), ['code', 'message', 'value', 'cure']);
    return [status, error['code'] ?? ''];
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  }

  it('makes a socket that only its owner may open, and removes it', async () => {
    const { mode } = statSync(box.socket);
    assert.equal(mode & 0o777, 0o600);
    assert.equal(statSync(dirname(box.socket)).mode & 0o777, 0o755);
    await box.stop();
    assert.equal(statSync(box.socket, { throwIfNoEntry: false }), undefined);
  });

  it('makes the same modes under a strict umask', async () => {
    const mask = process.umask(0o077);
    try {
      const path = join(box.directory, 'strict', 's');
      const server = await startApiServer(path, box.daemon, quietLog);
      assert.equal(statSync(dirname(path)).mode & 0o777, 0o755);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      await server.close();
    } finally {
      process.umask(mask);
    }
  });

  it('answers every query with its document', async () => {
    const { daemon } = box;
    const cases: readonly (readonly [string, object])[] = [
      ['/v1/status', daemon.status()],
      ['/v1/peers', daemon.peers()],
      ['/v1/routes', daemon.routes()],
      ['/v1/paths/beta', daemon.paths('beta')],
      [`/v1/paths/${BETA_ID}`, daemon.paths('beta')],
      ['/v1/report', daemon.report()],
    ];
    for (const [path, document] of cases) {
      const { status, text } = await ask('GET', path);
      assert.deepEqual([status, JSON.parse(text)], [200, document], path);
    }
    const version = JSON.parse((await ask('GET', '/v1/version')).text) as Record<string, unknown>;
    assert.deepEqual([version['schema'], version['pid']], [1, process.pid]);
  });

  it('carries out commands', async () => {
    const stored = await ask('POST', '/v1/connect', '{"contacts":["hub"]}');
    assert.deepEqual(
      [stored.status, JSON.parse(stored.text)],
      [200, { schema: 1, contacts: ['hub:6783'] }],
    );
    const forgotten = await ask('POST', '/v1/forget', '{"contacts":["hub:6783","x:1"]}');
    assert.deepEqual(JSON.parse(forgotten.text), {
      schema: 1,
      removed: ['hub:6783'],
      unknown: ['x:1'],
    });
    assert.equal((await ask('POST', '/v1/reset', '{}')).status, 200);
    assert.equal((await ask('POST', '/v1/reset')).status, 200);
    assert.equal(box.daemon.resets, 2);
  });

  const refusals: readonly (readonly [string, string, string | undefined, number, string])[] = [
    ['GET', '/', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v2/status', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v1/status/', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v1/paths/', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v1/paths/a/b', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v1/paths/%zz', undefined, 404, 'OVL_API_REQUEST'],
    ['GET', '/v1/paths/nobody', undefined, 404, 'OVL_NOT_FOUND'],
    ['POST', '/v1/status', undefined, 405, 'OVL_API_REQUEST'],
    ['GET', '/v1/connect', undefined, 405, 'OVL_API_REQUEST'],
    ['DELETE', '/v1/reset', undefined, 405, 'OVL_API_REQUEST'],
    ['GET', '/v1/status?wait=ready', undefined, 400, 'OVL_API_REQUEST'],
    ['GET', '/v1/events?after=-1', undefined, 400, 'OVL_API_REQUEST'],
    ['GET', '/v1/events?follow=yes', undefined, 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', undefined, 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', 'contacts=hub', 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', '{"contacts":[]}', 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', '{"contacts":[1]}', 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', '{"contacts":["hub"],"more":1}', 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', '{"contacts":["no!good"]}', 400, 'OVL_ENDPOINT_INVALID'],
    ['POST', '/v1/reset', '{"force":true}', 400, 'OVL_API_REQUEST'],
    ['POST', '/v1/connect', `"${'x'.repeat(API_LIMITS.maxBodyBytes)}"`, 413, 'OVL_API_REQUEST'],
  ];
  for (const [method, path, body, status, code] of refusals) {
    it(`refuses ${method} ${path} ${body?.slice(0, 40) ?? ''} with ${status}`, async () => {
      assert.deepEqual(await refusal(method, path, body), [status, code]);
    });
  }

  it('answers its own bugs with OVL_INTERNAL, logs them, and goes on', async () => {
    const logged: string[] = [];
    await box.stop();
    await box.start({ info: () => {}, error: (_fields, message) => logged.push(message) });
    box.daemon.peers = () => {
      throw new TypeError('boom');
    };
    assert.deepEqual(await refusal('GET', '/v1/peers'), [500, 'OVL_INTERNAL']);
    assert.deepEqual(logged, ['Control request failed']);
    assert.equal((await ask('GET', '/v1/status')).status, 200);
  });

  it('streams events as they happen and forgets a reader that left', async () => {
    const response = await open('GET', '/v1/events?after=1&follow=1');
    const seen: number[] = [];
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      for (const line of chunk.split('\n').filter(Boolean)) {
        seen.push((JSON.parse(line) as { seq: number }).seq);
      }
    });
    await until(() => seen.length === 1);
    box.daemon.emit(event(3, 'peer-lost'));
    await until(() => seen.length === 2);
    assert.deepEqual(seen, [2, 3]);
    response.destroy();
    await until(() => box.daemon.listenerCount === 0);
  });

  it('cuts off a reader that does not read', async () => {
    const response = await open('GET', '/v1/events?follow=1');
    response.on('error', () => {});
    response.pause();
    const message = 'm'.repeat(60_000);
    let emitted = 0;
    while (box.daemon.listenerCount > 0) {
      emitted += message.length;
      box.daemon.emit(event(100, 'peer-lost', { message }));
      // What the kernel's socket buffers take comes on top of our bound.
      assert.ok(emitted < 8 * MAX_BACKLOG_BYTES, 'the backlog is bounded');
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(emitted > MAX_BACKLOG_BYTES);
  });

  it('keeps room for commands when many follow', async () => {
    const streams: IncomingMessage[] = [];
    for (let index = 0; index < API_LIMITS.maxStreams; index += 1) {
      streams.push(await open('GET', '/v1/events?follow=1'));
    }
    assert.deepEqual(await refusal('GET', '/v1/events?follow=1'), [503, 'OVL_API_BUSY']);
    assert.equal((await ask('GET', '/v1/status')).status, 200);
    streams[0]?.destroy();
    await until(() => box.daemon.listenerCount < API_LIMITS.maxStreams);
    const again = await open('GET', '/v1/events?follow=1');
    assert.equal(again.statusCode, 200);
    for (const stream of [...streams, again]) stream.on('error', () => {}).destroy();
  });

  it('takes no more connections than its limit', async () => {
    const sockets: Socket[] = [];
    for (let index = 0; index < API_LIMITS.maxConnections; index += 1) {
      const socket = connect(box.socket);
      await once(socket, 'connect');
      sockets.push(socket);
    }
    const extra = connect(box.socket);
    extra.on('error', () => {});
    await once(extra, 'close');
    for (const socket of sockets) socket.destroy();
    let status = 0;
    while (status !== 200)
      status = (await ask('GET', '/v1/status').catch(() => ({ status: 0 }))).status;
  });

  it('survives requests that are no HTTP', async () => {
    for (const bytes of [
      '\0\0\0\0',
      'GET\r\n\r\n',
      `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
    ]) {
      const socket = connect(box.socket);
      socket.on('error', () => {}).resume();
      socket.write(bytes);
      await once(socket, 'close');
    }
    assert.equal((await ask('GET', '/v1/status')).status, 200);
  });

  it('close ends streams and lets an answer under way finish', async () => {
    let finish: (() => void) | undefined;
    box.daemon.reset = () => new Promise((resolve) => (finish = resolve));
    const stream = await open('GET', '/v1/events?follow=1');
    stream.resume();
    const asked = ask('POST', '/v1/reset', '{}');
    await until(() => finish !== undefined);
    const ended = once(stream, 'end');
    const closed = box.stop();
    await ended;
    finish?.();
    assert.equal((await asked).status, 200);
    await closed;
  });

  it('close does not wait for ever for an answer that never comes', async () => {
    let isAsked = false;
    box.daemon.reset = () => new Promise(() => (isAsked = true));
    const asked = ask('POST', '/v1/reset', '{}').catch((error: unknown) => error);
    await until(() => isAsked);
    await box.stop();
    assert.ok((await asked) instanceof Error);
  });

  describe('and its socket path', () => {
    async function refusedCode(path: string): Promise<OverlayError> {
      try {
        await startApiServer(path, box.daemon, quietLog);
      } catch (error) {
        assert.ok(error instanceof OverlayError);
        return error;
      }
      return assert.fail('started');
    }

    it('refuses the socket of a daemon that lives, naming its pid', async () => {
      const error = await refusedCode(box.socket);
      assert.equal(error.code, 'OVL_SOCKET_IN_USE');
      assert.equal(error.fields['pid'], box.daemon.statusDocument.self.pid);
      assert.equal((await ask('GET', '/v1/status')).status, 200);
    });

    it('refuses a socket that something else listens on', async () => {
      const path = join(box.directory, 'other');
      const other = createServer((socket) =>
        socket
          .on('error', () => {})
          .resume()
          .end('hello'),
      ).listen(path);
      await once(other, 'listening');
      const error = await refusedCode(path);
      assert.deepEqual([error.code, error.fields['pid']], ['OVL_SOCKET_IN_USE', undefined]);
      await new Promise((resolve) => other.close(resolve));
    });

    it('replaces the socket that a killed daemon left', async () => {
      const path = join(box.directory, 'dead');
      const child = spawn(process.execPath, [
        '-e',
        `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
      ]);
      await once(child, 'close');
      assert.ok(statSync(path).isSocket());
      const server = await startApiServer(path, box.daemon, quietLog);
      await server.close();
    });

    it('leaves a file alone that is no socket', async () => {
      const path = join(box.directory, 'file');
      writeFileSync(path, 'precious');
      assert.equal((await refusedCode(path)).code, 'OVL_SOCKET_PATH');
      assert.ok(statSync(path).isFile());
    });

    it('names the limit when the path is too long, and takes one that just fits', async () => {
      const room = 107 - box.directory.length - 1;
      const fits = await startApiServer(
        join(box.directory, 's'.repeat(room)),
        box.daemon,
        quietLog,
      );
      await fits.close();
      const error = await refusedCode(join(box.directory, 's'.repeat(room + 1)));
      assert.equal(error.code, 'OVL_SOCKET_PATH');
      assert.match(error.message, /has 108 bytes/);
    });

    it('says why a directory cannot be made', async () => {
      writeFileSync(join(box.directory, 'blocker'), '');
      const error = await refusedCode(join(box.directory, 'blocker', 'sub', 's'));
      assert.equal(error.code, 'OVL_SOCKET_PATH');
      mkdirSync(join(box.directory, 'fine'));
    });
  });
});
