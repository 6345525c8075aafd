import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import assert from 'node:assert/strict';
import type { Host } from './topology.js';
import { waitFor } from './wait.js';

const PROGRAM = new URL('./traffic-program.js', import.meta.url).pathname;
const PORT = '7007';

/** Echo requests that must all be answered. `size` is what ping(8) calls it: bytes of payload. */
export async function pingAll(
  from: Host,
  address: string,
  { count = 3, size = 56 }: { readonly count?: number; readonly size?: number } = {},
): Promise<void> {
  const words = ['ping', '-n', '-c', String(count), '-i', '0.05', '-W', '2', '-s', String(size)];
  const outcome = await from.run([...words, address]);
  assert.match(
    outcome.stdout,
    / 0% packet loss/,
    `${from.name} pings ${address}:\n${outcome.stdout}`,
  );
}

/** Whether one echo request is answered within 300 ms. */
export async function isAnswered(from: Host, address: string, size = 56): Promise<boolean> {
  const words = ['ping', '-n', '-c', '1', '-W', '0.3', '-s', String(size)];
  const outcome = await from.run([...words, address]);
  return outcome.code === 0;
}

/** Sends `bytes` over one TCP connection and compares the checksums of both ends. Gives Gb/s. */
export async function tcpTransfer(
  from: Host,
  to: Host,
  address: string,
  bytes: number,
): Promise<number> {
  const receiver = await listen(to, ['tcp-receive', address, PORT]);
  const startMs = performance.now();
  const sent = await from.must(
    [process.execPath, PROGRAM, 'tcp-send', address, PORT, String(bytes)],
    {
      timeoutMs: 300_000,
    },
  );
  const seconds = (performance.now() - startMs) / 1000;
  assert.deepEqual(await receiver.result(30_000), JSON.parse(sent));
  return (bytes * 8) / seconds / 1e9;
}

/**
 * A TCP connection that carries `bytes` every 50 ms until the function it gives is called; that gives the longest time
 * in which nothing arrived.
 */
export async function tcpStream(
  from: Host,
  to: Host,
  address: string,
  bytes: number,
): Promise<() => Promise<number>> {
  const receiver = await listen(to, ['tcp-gaps', address, PORT]);
  const sender = await listen(from, ['tcp-stream', address, PORT, String(bytes)]);
  return async () => {
    await sender.result(0);
    return ((await receiver.result(10_000)) as { longestMs: number }).longestMs;
  };
}

/** Sends datagrams of mixed sizes (4 … 4000 bytes) at a steady rate; every one must arrive, as it was. */
export async function udpTransfer(
  from: Host,
  to: Host,
  address: string,
  { count, perSecond }: { readonly count: number; readonly perSecond: number },
): Promise<void> {
  const receiver = await listen(to, ['udp-receive', address, PORT, String(count)]);
  await from.must(
    [process.execPath, PROGRAM, 'udp-send', address, PORT, String(count), String(perSecond)],
    { timeoutMs: 60_000 },
  );
  const result = await receiver.result(10_000);
  if ((result as { received: number }).received !== count) {
    // Tells a receiver that was too slow from a network that lost.
    const statistics = await to.run(['grep', '^Udp', '/proc/net/snmp', '/proc/net/snmp6']);
    assert.fail(`${JSON.stringify(result)} of ${String(count)}\n${statistics.stdout}`);
  }
  assert.deepEqual(result, { received: count, corrupt: 0 });
}

/** Sends one datagram over and over, until the function it gives is called; that gives how often it was sent. */
export async function repeatDatagram(
  from: Host,
  address: string,
  port: number,
  bytes: Uint8Array,
  perSecond: number,
): Promise<() => Promise<number>> {
  const hex = Buffer.from(bytes).toString('hex');
  const sender = await listen(from, ['udp-repeat', address, String(port), hex, String(perSecond)]);
  return async () => ((await sender.result(0)) as { sent: number }).sent;
}

interface Receiver {
  /** What it printed at its end, which is asked for after the given time. */
  result(patienceMs: number): Promise<unknown>;
}

async function listen(host: Host, args: readonly string[]): Promise<Receiver> {
  const [program, ...rest] = host.inside([process.execPath, PROGRAM, ...args]);
  const child = spawn(program ?? '', rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await waitFor(`${args[0] ?? ''} on ${host.name}`, 10_000, () => {
    assert.ok(isAlive(child), stderr);
    return stdout.startsWith('ready\n');
  });
  return {
    result: async (patienceMs) => {
      const timer = setTimeout(() => child.kill('SIGTERM'), patienceMs);
      await ended;
      clearTimeout(timer);
      assert.notEqual(
        stdout,
        'ready\n',
        `${args[0] ?? ''} on ${host.name} got nothing whole: ${stderr}`,
      );
      return JSON.parse(stdout.slice('ready\n'.length)) as unknown;
    },
  };
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
