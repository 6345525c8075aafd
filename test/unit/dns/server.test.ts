import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

import { createSystemClock } from '../../../src/base/system-clock.js';
import { OverlayError } from '../../../src/base/errors.js';
import { seededRng } from '../../../src/base/rng.js';
import { createNodeTimers } from '../../../src/daemon/node-timers.js';
import { Responder } from '../../../src/dns/answer.js';
import { DEFAULT_DOMAIN } from '../../../src/dns/constants.js';
import { Forwarder } from '../../../src/dns/forwarder.js';
import { DnsServer, type DnsBinding } from '../../../src/dns/server.js';
import { LengthPrefixed, withLength } from '../../../src/dns/stream.js';
import type { Upstream } from '../../../src/dns/upstreams.js';
import { Zone } from '../../../src/dns/zone.js';
import { FakeUpstream } from './fake-upstream.js';
import { dataOf, queryFor, read, type Reply } from './messages.js';

const LOOPBACK: DnsBinding = { network: 0, address: '127.0.0.1', port: 0 };

describe('the DNS server', () => {
  const upstreams: Upstream[] = [];
  let clockMs = 0;
  let zone = new Zone(DEFAULT_DOMAIN);
  let forwarder: Forwarder;
  let server: DnsServer;
  let strangers: Set<string>;

  beforeEach(() => {
    upstreams.length = 0;
    strangers = new Set();
    clockMs = 0;
    zone = new Zone(DEFAULT_DOMAIN);
    zone.put('web', { network: 0, name: 'web', addresses: ['10.32.0.5'] });
    zone.put('red', { network: 1, name: 'web', addresses: ['10.99.0.5'] });
    const rng = seededRng(5);
    const timers = createNodeTimers();
    const clock = { ...createSystemClock(), monotonicMs: () => clockMs };
    forwarder = new Forwarder({ clock, rng, timers, upstreams: () => upstreams });
    server = new DnsServer({
      clock,
      timers,
      forwarder,
      responder: new Responder({ zone, rng }),
      mayForward: (network, client) => !strangers.has(`${network} ${client}`),
    });
  });
  afterEach(async () => {
    forwarder.stop();
    await server.stop();
  });

  async function askUdp(port: number, query: Uint8Array, address = '127.0.0.1'): Promise<Reply> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.send(query, port, address);
    const [reply] = (await once(socket, 'message')) as [Buffer];
    socket.close();
    return read(reply);
  }

  async function dial(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  /** Reads so many replies. */
  async function replies(socket: Socket, count: number): Promise<Reply[]> {
    const messages = new LengthPrefixed();
    const out: Reply[] = [];
    while (out.length < count) {
      const message = messages.next();
      if (message !== undefined) out.push(read(message));
      else messages.push(((await once(socket, 'data')) as [Buffer])[0]);
    }
    return out;
  }

  it('answers by UDP and TCP, IPv4 and IPv6, and each network only its own names', async () => {
    const port = await server.open(LOOPBACK);
    const redPort = await server.open({ network: 1, address: '::1', port: 0 });
    assert.deepEqual(dataOf(await askUdp(port, queryFor('web'))), ['10.32.0.5']);
    assert.deepEqual(dataOf(await askUdp(redPort, queryFor('web'), '::1')), ['10.99.0.5']);
    const socket = await dial(port);
    socket.write(withLength(queryFor('web')));
    assert.deepEqual(dataOf((await replies(socket, 1))[0]!), ['10.32.0.5']);
    socket.destroy();
    assert.equal(server.answersOn('::1'), true);
    assert.equal(server.answersOn('127.0.0.2'), false);
  });

  it('opens a binding once, closes it once, and leaves no handle', async () => {
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => /UDP|TCP/.test(name)).length;
    const before = handles();
    const [first, second] = await Promise.all([server.open(LOOPBACK), server.open(LOOPBACK)]);
    assert.equal(first, second);
    const socket = await dial(first);
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    await Promise.all([server.close(LOOPBACK), server.close(LOOPBACK)]);
    await server.stop();
    await closed;
    assert.equal(server.answersOn('127.0.0.1'), false);
    assert.equal(handles(), before);
    const again = await server.open(LOOPBACK);
    assert.deepEqual(dataOf(await askUdp(again, queryFor('web'))), ['10.32.0.5']);
  });

  it('says who is in the way of an address, and leaves nothing open then', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const binding = { ...LOOPBACK, port };
    await assert.rejects(server.open(binding), (error) => {
      assert.ok(error instanceof OverlayError);
      assert.equal(error.code, 'OVL_DNS_BIND');
      assert.equal(error.message, `Cannot answer DNS on 127.0.0.1:${port} by TCP: EADDRINUSE`);
      assert.match(error.cure, /ss -lunp/);
      return true;
    });
    taken.close();
    await once(taken, 'close');
    // The UDP socket of the failed try does not stand in the way.
    assert.equal(await server.open(binding), port);
    await assert.rejects(server.open({ network: 0, address: '192.0.2.1', port: 0 }), {
      code: 'OVL_DNS_BIND',
      fields: { errno: 'EADDRNOTAVAIL', network: 0 },
    });
  });

  it('passes other names on, by UDP and TCP, and waits for them although the client ended', async () => {
    const upstream = new FakeUpstream(() => ({ address: '192.0.2.9' }));
    upstreams.push(await upstream.start());
    const port = await server.open(LOOPBACK);
    assert.deepEqual(dataOf(await askUdp(port, queryFor('example.com'))), ['192.0.2.9']);
    const socket = await dial(port);
    socket.end(withLength(queryFor('example.com')));
    const [reply] = await replies(socket, 1);
    assert.deepEqual(dataOf(reply!), ['192.0.2.9']);
    await once(socket, 'close');
    assert.equal(server.counters.forwarded, 2);
    await upstream.stop();
  });

  it('asks for other names only on behalf of those it may', async () => {
    const upstream = new FakeUpstream(() => ({ address: '192.0.2.9' }));
    upstreams.push(await upstream.start());
    const port = await server.open(LOOPBACK);
    strangers.add('1 127.0.0.1');
    assert.equal((await askUdp(port, queryFor('example.com'))).rcode, 'NOERROR');
    strangers.add('0 127.0.0.1');
    assert.equal((await askUdp(port, queryFor('example.com'))).rcode, 'REFUSED');
    const socket = await dial(port);
    socket.end(withLength(queryFor('example.com')));
    assert.equal((await replies(socket, 1))[0]?.rcode, 'REFUSED');
    assert.deepEqual(dataOf(await askUdp(port, queryFor('web'))), ['10.32.0.5']);
    assert.deepEqual([server.counters.forwarded, server.counters.refused], [1, 2]);
    await upstream.stop();
  });

  it('answers its own queries with silence when they are turned back to it', async () => {
    const port = await server.open(LOOPBACK);
    upstreams.push({ address: '127.0.0.1', port });
    const client = createSocket('udp4');
    client.send(queryFor('example.com'), port, '127.0.0.1');
    const answered = once(client, 'message') as Promise<[Buffer]>;
    while (server.counters.looped === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    forwarder.stop();
    assert.equal(read((await answered)[0]).rcode, 'SERVFAIL');
    assert.deepEqual(server.counters, {
      queries: 2,
      forwarded: 1,
      malformed: 0,
      rateLimited: 0,
      refused: 0,
      looped: 1,
    });
    client.close();
  });

  it('answers many queries of one connection, in whatever pieces they come', async () => {
    const port = await server.open(LOOPBACK);
    const socket = await dial(port);
    socket.setNoDelay(true);
    const all = Buffer.concat(
      Array.from({ length: 40 }, (_, id) => withLength(queryFor('web', { id }))),
    );
    const read40 = replies(socket, 40);
    for (let offset = 0; offset < all.length; offset += 7) {
      socket.write(all.subarray(offset, offset + 7));
    }
    assert.deepEqual(
      (await read40).map(({ id }) => id),
      Array.from({ length: 40 }, (_, id) => id),
    );
    socket.destroy();
  });

  it('hangs up on who sends no query, or announces a huge one', async () => {
    const port = await server.open(LOOPBACK);
    for (const bytes of ['0000', 'ffff', '000c123481000001000000000000']) {
      const socket = await dial(port);
      socket.on('error', () => undefined);
      socket.write(Buffer.from(bytes, 'hex'));
      await once(socket, 'close');
    }
  });

  it('serves so many connections of one address and no more', async () => {
    const port = await server.open(LOOPBACK);
    const open = await Promise.all(Array.from({ length: 16 }, () => dial(port)));
    open[15]!.write(withLength(queryFor('web')));
    await replies(open[15]!, 1);
    const refused = connect(port, '127.0.0.1');
    refused.on('error', () => undefined);
    await once(refused, 'close');
    open[0]!.destroy();
    await once(open[0]!, 'close');
    // The place is free once the server has seen the end, too.
    for (let isServed = false; !isServed;) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(withLength(queryFor('web')));
      isServed = await Promise.race([
        once(socket, 'data').then(() => true),
        once(socket, 'close').then(() => false),
      ]);
      socket.destroy();
    }
    for (const socket of open) socket.destroy();
  });

  it('counts and ignores what one client asks beyond its share of a second', async () => {
    const port = await server.open(LOOPBACK);
    const socket = createSocket('udp4');
    let received = 0;
    socket.on('message', () => (received += 1));
    const total = 5200;
    for (let sent = 0; sent < total; sent += 100) {
      for (let i = 0; i < 100; i += 1) socket.send(queryFor('web'), port, '127.0.0.1');
      while (server.counters.queries < sent + 100) await new Promise((r) => setImmediate(r));
    }
    assert.equal(server.counters.rateLimited, total - 5000);
    socket.close();
    clockMs += 1000;
    assert.deepEqual(dataOf(await askUdp(port, queryFor('web'))), ['10.32.0.5']);
    assert.ok(received > 0);
  });
});
