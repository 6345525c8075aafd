import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import { createSystemClock } from '../../../src/base/system-clock.js';
import { createNodeTimers } from '../../../src/daemon/node-timers.js';
import { openReceiver, type Receiver } from '../../../src/load/receiver.js';
import { measureLoad, type LoadOffer, type LoadTime } from '../../../src/load/sender.js';
import { datagram, preamble, readDatagram } from '../../../src/load/stream.js';
import { VirtualTime } from '../../sim/virtual-time.js';

const HOST = '127.0.0.1';
const token = new Uint8Array(16).fill(0xa1);
const proof = new Uint8Array(16).fill(0xb2);
const wish = { seconds: 1, mbps: 80 };
const real = { clock: createSystemClock(), timers: createNodeTimers() };
const time: LoadTime = {
  monotonicMs: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

describe('load between two addresses', function () {
  this.timeout(120_000);
  let receiver: Receiver;
  const offer = (changes: Partial<LoadOffer> = {}): LoadOffer => ({
    ...{ from: HOST, address: HOST, tcp: receiver.tcp, udp: receiver.udp, token, proof },
    ...wish,
    ...changes,
  });
  const open = async (changes: Partial<LoadOffer> = {}): Promise<void> => {
    receiver = await openReceiver(real, { address: HOST, ...wish, token, proof, ...changes });
  };
  afterEach(() => receiver.close());

  it('is measured both ways of sending, at the agreed rate, and the receiver ends with it', async () => {
    await open();
    const result = await measureLoad(offer(), time);
    // How much less it is depends on what else the machine does meanwhile.
    assert.ok(result.tcp.mbps > 0 && result.tcp.mbps < 96, `${result.tcp.mbps} Mb/s of TCP`);
    assert.ok(result.udp.offeredMbps < 45, `${result.udp.offeredMbps} Mb/s of UDP`);
    assert.ok(result.udp.datagrams > 20, `${result.udp.datagrams} datagrams`);
    assert.ok(result.udp.lossPct < 100, `${result.udp.lossPct} %`);
    assert.ok(result.idle.medianMs !== null && result.idle.medianMs > 0);
    assert.ok(result.loaded.medianMs !== null);
    await receiver.closed;
  });

  it('ends with an error when the receiver goes away in the middle', async () => {
    await open();
    const measuring = measureLoad(offer({ seconds: 5 }), time);
    const failed = assert.rejects(measuring, { code: 'OVL_BENCH_BROKEN' });
    await once(probe(receiver.udp), 'message');
    receiver.close();
    await failed;
  });

  it('is not sent to a program that does not know the proof', async () => {
    await open();
    let got = 0;
    const sockets: Socket[] = [];
    const impostor = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (got += chunk.length));
      socket.write(new Uint8Array(16));
    });
    impostor.listen(0, HOST);
    await once(impostor, 'listening');
    const { port } = impostor.address() as AddressInfo;
    await assert.rejects(measureLoad(offer({ tcp: port }), time), /another program answered/);
    assert.equal(got, 17);
    for (const socket of sockets) socket.destroy();
    impostor.close();
  });

  it('is cut by the receiver when it is more than was agreed', async () => {
    await open({ mbps: 1 });
    // 1 Mb/s for 1 s, a quarter and 1 MiB more; this one does as it likes.
    await assert.rejects(measureLoad(offer({ mbps: 200 }), time), { code: 'OVL_BENCH_BROKEN' });
  });

  it('is refused without the token: no answer by UDP, no proof by TCP', async () => {
    await open();
    const wrong = new Uint8Array(16);
    const socket = createSocket('udp4');
    const heard: Buffer[] = [];
    socket.on('message', (bytes) => heard.push(bytes));
    socket.send(datagram(wrong, 'echo', 1, 0), receiver.udp, HOST);
    socket.send(Buffer.from('short'), receiver.udp, HOST);
    socket.send(datagram(token, 'load', 1, 0), receiver.udp, HOST);
    // Answered after the others were not: what it got before, it has looked at.
    socket.send(datagram(token, 'echo', 2, 0), receiver.udp, HOST);
    await once(socket, 'message');
    assert.deepEqual(
      heard.map((bytes) => readDatagram(bytes)?.seq),
      [2],
    );
    socket.close();
    for (const head of [preamble(wrong, 'load'), Buffer.concat([preamble(token, 'load'), token])]) {
      const line = connect(receiver.tcp, HOST);
      let got = 0;
      line.on('data', (chunk: Buffer) => (got += chunk.length));
      line.on('error', () => undefined);
      line.write(head);
      await once(line, 'close');
      assert.equal(got, 0);
    }
  });

  it('names the cure when overlayctl runs on another host than overlayd', async () => {
    await open();
    const error = await measureLoad(offer({ from: '192.0.2.77' }), time).catch((e: unknown) => e);
    assert.match((error as { cure: string }).cure, /network namespace/);
  });

  it('leaves no receiver behind when nobody comes', async () => {
    const virtual = new VirtualTime();
    const components = {
      clock: virtual,
      timers: { set: (ms: number, cb: () => void) => virtual.at(ms, cb) },
    };
    receiver = await openReceiver(components, { address: HOST, ...wish, token, proof });
    let isOver = false;
    void receiver.closed.then(() => (isOver = true));
    await virtual.run(7_900);
    assert.equal(isOver, false);
    await virtual.run(200);
    assert.equal(isOver, true);
  });
});

/** Hears when the receiver answers an echo, which is soon after the measurement began. */
function probe(port: number): ReturnType<typeof createSocket> {
  const socket = createSocket('udp4');
  socket.send(datagram(token, 'echo', 9, 0), port, HOST);
  socket.once('message', () => setImmediate(() => socket.close()));
  return socket;
}
