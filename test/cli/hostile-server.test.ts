import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../../src/cli/client.js';
import { statusSchema } from '../../src/api/schemas.js';
import { toCliFailure } from '../../src/cli/failure.js';
import { twoNodeStatus } from './fake-daemon.js';
import { runCli } from './run-cli.js';

/** Something else than overlayd behind the socket: overlayctl must end with a clear error and an empty stdout. */
describe('overlayctl against a server that is not overlayd', () => {
  let directory: string;
  let socket: string;
  let server: Server;
  const connections = new Set<Socket>();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'overlayd-test-'));
    socket = join(directory, 's');
  });
  afterEach(async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  /** Answers each connection with these bytes once it has asked. */
  async function answering(bytes: string | Buffer, thenEnd = true): Promise<void> {
    server = createServer((connection) => {
      connections.add(connection);
      connection.on('error', () => {});
      connection.once('data', () => {
        connection.write(bytes);
        if (thenEnd) connection.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  }

  function http(status: string, body: string): string {
    return `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }

  const brokenStatus = (changes: object): string =>
    http('200 OK', JSON.stringify({ ...twoNodeStatus(), ...changes }));

  const notUnderstood: readonly (readonly [string, string, RegExp])[] = [
    ['bytes that are no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', /not HTTP/],
    ['a web page', http('200 OK', '<html>'), /not JSON/],
    ['an empty answer', http('200 OK', ''), /not JSON/],
    ['a list', http('200 OK', '[]'), /expected object/],
    ['another schema', brokenStatus({ schema: 2 }), /schema: /],
    ['a missing part', brokenStatus({ self: undefined }), /self: /],
    [
      'a wrong type inside',
      brokenStatus({ peers: { known: '2', reachable: 2 } }),
      /peers\.known: /,
    ],
    ['a claim of no encryption', brokenStatus({ encryption: false }), /encryption: /],
    [
      'prototype tricks',
      http('200 OK', '{"__proto__":{"schema":1},"links":{"constructor":1}}'),
      /schema/,
    ],
    ['an error without its parts', http('500 Oops', '{"error":"no"}'), /error: /],
    [
      'a redirect',
      'HTTP/1.1 302 Found\r\nlocation: /etc/passwd\r\ncontent-length: 0\r\n\r\n',
      /not JSON/,
    ],
  ];
  for (const [name, bytes, what] of notUnderstood) {
    it(`names what it cannot understand: ${name}`, async () => {
      await answering(bytes);
      const { code, out, err } = await runCli(['--socket', socket, 'status']);
      assert.deepEqual([code, out], [1, '']);
      assert.match(err, /^error: Cannot understand the answer to .* \(OVL_API_ANSWER\)\. Compare/);
      assert.match(err, what);
    });
  }

  it('passes on an error whose code it does not know', async () => {
    const error = {
      code: 'OVL_FROM_2030',
      message: 'No \u001b[31mway',
      value: 'v',
      cure: 'Upgrade',
    };
    await answering(http('409 Conflict', JSON.stringify({ error })));
    const { code, out, err } = await runCli(['--socket', socket, 'status']);
    assert.deepEqual(
      [code, out, err],
      [1, '', 'error: No \ufffd[31mway (OVL_FROM_2030). Upgrade\n'],
    );
  });

  it('exits 3 when the connection breaks in the middle of an answer', async () => {
    await answering('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"schema":1,');
    const { code, out, err } = await runCli(['--socket', socket, '--json', 'status']);
    assert.deepEqual([code, out], [3, '']);
    assert.equal((JSON.parse(err) as { error: { code: string } }).error.code, 'OVL_UNREACHABLE');
  });

  it('exits 3 when the connection closes without a word', async () => {
    await answering('');
    assert.equal((await runCli(['--socket', socket, 'peers'])).code, 3);
  });

  it('does not wait for ever for a daemon that hangs', async () => {
    await answering('HTTP/1.1 200 OK\r\n', false);
    const asked = new ApiClient(socket).get('/v1/status', statusSchema, 50);
    const failure = toCliFailure(await asked.catch((error: unknown) => error));
    assert.deepEqual([failure.exitCode, failure.code], [3, 'OVL_UNREACHABLE']);
    assert.match(failure.message, /has not answered for 0\.05 s/);
  });

  it('stops reading an endless line of events', async () => {
    await answering(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${'x'.repeat(1 << 20)}`, false);
    const { code, out, err } = await runCli(['--socket', socket, 'events', '--follow']);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /endless line \(OVL_API_ANSWER\)/);
  });

  it('refuses an event that is none', async () => {
    await answering(http('200 OK', '\n\n{"seq":"1"}\n'));
    const { code, out, err } = await runCli(['--socket', socket, 'events']);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /seq: .* \(OVL_API_ANSWER\)/);
  });

  it('headers without end are cut off', async () => {
    await answering(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(64 << 10)}`, false);
    const { code, out } = await runCli(['--socket', socket, 'status']);
    assert.deepEqual([code, out], [1, '']);
  });
});
