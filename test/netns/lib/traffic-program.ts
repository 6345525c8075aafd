import { createCipheriv, createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createConnection, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/*
 * The program that the netns tests run inside hosts: senders and receivers whose data can be checked.
 *
 *     tcp-receive <address> <port>                     one connection, to its end
 *     tcp-send    <address> <port> <bytes>             pseudo-random bytes
 *     tcp-stream  <address> <port> <bytes>             as many every 50 ms until SIGTERM
 *     tcp-gaps    <address> <port>                     one connection, to its end: the longest silence on it
 *     udp-receive <address> <port> <count>             until every one arrived, or SIGTERM
 *     udp-send    <address> <port> <count> <per second>
 *     udp-repeat  <address> <port> <hex> <per second>   the same datagram until SIGTERM
 *
 * Receivers print "ready" when they listen; all end with one line of JSON. A UDP datagram is its index, then
 * bytes that follow from it, so that a flipped, cut or swapped one is seen.
 */

/** Empty, around the MTU of the overlay (1388 - 28 = 1360), beyond it (fragments), and what voice and DNS send. */
const UDP_SIZES = [4, 64, 172, 300, 512, 1000, 1200, 1359, 1360, 1361, 2000, 4000] as const;

function datagram(index: number): Buffer {
  const size = UDP_SIZES[index % UDP_SIZES.length] ?? 4;
  const bytes = Buffer.alloc(size, index & 0xff);
  bytes.writeUInt32BE(index, 0);
  for (let at = 4; at < size; at += 61) bytes[at] = (index + at) & 0xff;
  return bytes;
}

function print(result: unknown): void {
  process.stdout.write(JSON.stringify(result) + '\n');
}

function tcpReceive(address: string, port: number): void {
  const hash = createHash('sha256');
  let bytes = 0;
  const server = createServer((socket) => {
    server.close();
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    socket.on('end', () => {
      print({ bytes, sha256: hash.digest('hex') });
      socket.end();
    });
  });
  server.listen(port, address, () => process.stdout.write('ready\n'));
}

async function tcpSend(address: string, port: number, total: number): Promise<void> {
  const source = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeroes = Buffer.alloc(65_536);
  const hash = createHash('sha256');
  const socket = createConnection(port, address);
  const closed = new Promise<void>((resolve, reject) => {
    socket.on('close', resolve).on('error', reject);
  });
  socket.resume();
  for (let sent = 0; sent < total;) {
    const chunk = source.update(zeroes.subarray(0, Math.min(zeroes.length, total - sent)));
    sent += chunk.length;
    hash.update(chunk);
    if (!socket.write(chunk)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
      if (socket.destroyed) break;
    }
  }
  socket.end();
  await closed;
  print({ bytes: total, sha256: hash.digest('hex') });
}

function tcpStream(address: string, port: number, bytes: number): void {
  const chunk = Buffer.alloc(bytes, 7);
  const socket = createConnection({ port, host: address, noDelay: true });
  let sent = 0;
  const timer = setInterval(() => {
    // What waits in the socket is the proof that nothing moves; more of it would only use memory.
    if (socket.writableLength > 1 << 20) return;
    socket.write(chunk);
    sent += bytes;
  }, 50);
  process.once('SIGTERM', () => {
    clearInterval(timer);
    socket.end();
    print({ sent });
  });
  process.stdout.write('ready\n');
}

function tcpGaps(address: string, port: number): void {
  let bytes = 0;
  let longestMs = 0;
  const server = createServer((socket) => {
    server.close();
    let lastMs = performance.now();
    socket.on('data', (chunk: Buffer) => {
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
      bytes += chunk.length;
    });
    socket.on('end', () => {
      print({ bytes, longestMs: Math.round(longestMs) });
      socket.end();
    });
  });
  server.listen(port, address, () => process.stdout.write('ready\n'));
}

function udpReceive(address: string, port: number, count: number): void {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const seen = new Set<number>();
  let corrupt = 0;
  const end = (): void => {
    socket.close();
    print({ received: seen.size, corrupt });
  };
  process.once('SIGTERM', end);
  socket.on('message', (bytes) => {
    const index = bytes.length < 4 ? -1 : bytes.readUInt32BE(0);
    if (index < 0 || index >= count || !datagram(index).equals(bytes)) corrupt++;
    else seen.add(index);
    if (seen.size === count) {
      process.removeListener('SIGTERM', end);
      end();
    }
  });
  socket.bind(port, address, () => {
    // As much as this host allows: a busy test machine may not run us for a while.
    socket.setRecvBufferSize(8 << 20);
    process.stdout.write('ready\n');
  });
}

async function udpSend(
  address: string,
  port: number,
  count: number,
  perSecond: number,
): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const startMs = performance.now();
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, ((performance.now() - startMs) * perSecond) / 1000);
    while (sent < due) {
      const bytes = datagram(sent++);
      await new Promise<void>((resolve, reject) => {
        socket.send(bytes, port, address, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
    }
    await delay(1);
  }
  socket.close();
  print({ sent: count });
}

function udpRepeat(address: string, port: number, hex: string, perSecond: number): void {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const bytes = Buffer.from(hex, 'hex');
  let sent = 0;
  // Refused ports are part of the story: nobody may listen there yet.
  socket.on('error', () => undefined);
  const timer = setInterval(() => {
    socket.send(bytes, port, address);
    sent++;
  }, 1000 / perSecond);
  process.once('SIGTERM', () => {
    clearInterval(timer);
    socket.close();
    print({ sent });
  });
  process.stdout.write('ready\n');
}

const [mode, address = '', port = '', first = '0', second = '0'] = process.argv.slice(2);
switch (mode) {
  case 'tcp-receive':
    tcpReceive(address, Number(port));
    break;
  case 'tcp-send':
    await tcpSend(address, Number(port), Number(first));
    break;
  case 'tcp-stream':
    tcpStream(address, Number(port), Number(first));
    break;
  case 'tcp-gaps':
    tcpGaps(address, Number(port));
    break;
  case 'udp-receive':
    udpReceive(address, Number(port), Number(first));
    break;
  case 'udp-send':
    await udpSend(address, Number(port), Number(first), Number(second));
    break;
  case 'udp-repeat':
    udpRepeat(address, Number(port), first, Number(second));
    break;
  default:
    throw new Error(`unknown mode ${String(mode)}`);
}
