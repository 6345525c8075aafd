import { request } from 'node:http';
import assert from 'node:assert/strict';

/** What the control API answers: without a program between, for what counts in milliseconds. */
export async function callApi(
  socket: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly document: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const call = request(
      {
        socketPath: socket,
        path,
        method: sent === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
        agent: false,
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, document: JSON.parse(text) as unknown });
        });
        answer.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(sent);
  });
}

/** The same where nothing but success will do. */
export async function mustCall(socket: string, path: string, body?: object): Promise<unknown> {
  const { status, document } = await callApi(socket, path, body);
  assert.equal(status, 200, `${path} ${JSON.stringify(body)}: ${JSON.stringify(document)}`);
  return document;
}
