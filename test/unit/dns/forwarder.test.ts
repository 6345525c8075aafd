import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import type { Transport } from '../../../src/dns/answer.js';
import { Forwarder } from '../../../src/dns/forwarder.js';
import { readQuery } from '../../../src/dns/query.js';
import type { Upstream } from '../../../src/dns/upstreams.js';
import { FakeUpstream, replyTo, type Script } from './fake-upstream.js';
import { dataOf, queryFor, read, type Reply } from './messages.js';

/** Timers that fire when the test says so. */
class HandTimers {
  readonly #armed = new Map<number, { delayMs: number; callback: () => void }>();
  #next = 0;

  get count(): number {
    return this.#armed.size;
  }

  set(delayMs: number, callback: () => void): () => void {
    const id = (this.#next += 1);
    this.#armed.set(id, { delayMs, callback });
    return () => this.#armed.delete(id);
  }

  fire(upToMs: number): void {
    for (const [id, { delayMs, callback }] of [...this.#armed]) {
      if (delayMs > upToMs || !this.#armed.has(id)) continue;
      this.#armed.delete(id);
      callback();
    }
  }
}

describe('the forwarder', () => {
  const servers: FakeUpstream[] = [];
  let timers = new HandTimers();
  let nowMs = 0;
  let forwarder: Forwarder | undefined;

  beforeEach(() => {
    timers = new HandTimers();
    nowMs = 0;
  });
  afterEach(async () => {
    forwarder?.stop();
    await Promise.all(servers.splice(0).map((server) => server.stop()));
    assert.equal(timers.count, 0, 'a timer is left');
  });

  async function serve(answer: (transport: 'udp' | 'tcp') => Script | undefined) {
    const server = new FakeUpstream(answer);
    servers.push(server);
    return { server, upstream: await server.start() };
  }

  function forwardTo(...upstreams: readonly Upstream[]): Forwarder {
    forwarder = new Forwarder({
      clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
      rng: seededRng(3),
      timers,
      upstreams: () => upstreams,
    });
    return forwarder;
  }

  function start(to: Forwarder, name = 'example.com', transport: Transport = 'udp', client = 'c') {
    const bytes = queryFor(name);
    const query = readQuery(bytes);
    assert.ok(query.ok);
    return to.forward({ bytes, query: query.value, transport, client });
  }
  const ask = async (to: Forwarder, name?: string, transport?: Transport): Promise<Reply> =>
    read(await start(to, name, transport));

  /** Lets the network act until the server has seen so many queries. */
  async function until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 20_000 && !condition(); turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(condition(), 'it did not come to that within 20 s');
  }

  it('passes a query on under another id and port each time, and the answer back under the own', async () => {
    const { server, upstream } = await serve(() => ({ address: '192.0.2.7' }));
    const to = forwardTo(upstream);
    for (let i = 0; i < 5; i += 1) {
      const reply = await ask(to);
      assert.equal(reply.id, 0x1234);
      assert.deepEqual(dataOf(reply), ['192.0.2.7']);
    }
    assert.equal(new Set(server.seen.map(({ id }) => id)).size, 5);
    assert.ok(new Set(server.seen.map(({ port }) => port)).size > 1);
    assert.equal(to.count, 0);
  });

  it('asks the next server when one is silent, and the silent one last for a while', async () => {
    const silent = await serve(() => undefined);
    const good = await serve(() => ({}));
    const to = forwardTo(silent.upstream, good.upstream);
    const reply = ask(to);
    await until(() => silent.server.seen.length === 1);
    timers.fire(2000);
    assert.equal((await reply).rcode, 'NOERROR');
    await ask(to);
    assert.equal(good.server.seen.length, 2);
    assert.equal(silent.server.seen.length, 1);
    nowMs += 10_000;
    const later = ask(to);
    await until(() => silent.server.seen.length === 2);
    timers.fire(2000);
    await later;
  });

  it('sends a lost datagram once more', async () => {
    let count = 0;
    const { upstream, server } = await serve(() => ((count += 1) === 1 ? undefined : {}));
    const reply = ask(forwardTo(upstream));
    await until(() => server.seen.length === 1);
    timers.fire(900);
    assert.equal((await reply).rcode, 'NOERROR');
    assert.equal(server.seen[0]?.id, server.seen[1]?.id);
  });

  it('asks the next server at once when nobody listens, or somebody will not say', async () => {
    const gone = await serve(() => ({}));
    await servers.pop()?.stop();
    const unwilling = await serve(() => ({ rcode: 5 }));
    const good = await serve(() => ({}));
    const to = forwardTo(gone.upstream, unwilling.upstream, good.upstream);
    assert.deepEqual(dataOf(await ask(to)), ['192.0.2.1']);
  });

  it('believes a server that a name does not exist', async () => {
    const first = await serve(() => ({ rcode: 3 }));
    const second = await serve(() => ({}));
    const reply = await ask(forwardTo(first.upstream, second.upstream));
    assert.equal(reply.rcode, 'NXDOMAIN');
    assert.equal(second.server.seen.length, 0);
  });

  it('fetches by TCP what UDP had to cut, for a client that can take it', async () => {
    const { server, upstream } = await serve((transport) => ({ isCut: transport === 'udp' }));
    const to = forwardTo(upstream);
    assert.equal((await ask(to, 'example.com', 'tcp')).flag_tc, false);
    assert.equal((await ask(to, 'example.com', 'udp')).flag_tc, true);
    assert.deepEqual(
      server.seen.map(({ transport }) => transport),
      ['udp', 'tcp', 'udp'],
    );
  });

  it('hears no answer with another id, to another question, or that is none', async () => {
    const evil: Script = { address: '198.51.100.66' };
    const forgeries = [
      (query: Buffer) => {
        const forged = replyTo(query, evil);
        forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
        return forged;
      },
      (query: Buffer) => {
        const forged = replyTo(query, evil);
        forged[13] = (forged[13] ?? 0) ^ 1;
        return forged;
      },
      (query: Buffer) => query,
      (query: Buffer) => query.subarray(0, 5),
    ];
    const { upstream } = await serve(() => ({ forgeries }));
    assert.deepEqual(dataOf(await ask(forwardTo(upstream))), ['192.0.2.1']);
  });

  it('gives a server up that is drowned by forgers', async () => {
    const forgeries = Array.from({ length: 16 }, () => (query: Buffer) => query);
    const { upstream } = await serve(() => ({ forgeries }));
    assert.equal((await ask(forwardTo(upstream))).rcode, 'SERVFAIL');
  });

  it('fails at once without servers, and for a client that asks too much at a time', async () => {
    assert.equal((await ask(forwardTo())).rcode, 'REFUSED');
    const { server, upstream } = await serve(() => undefined);
    const to = forwardTo(upstream);
    const waiting = Array.from({ length: 64 }, () => start(to));
    assert.equal((await ask(to)).rcode, 'SERVFAIL');
    assert.equal(to.count, 64);
    const other = start(to, 'example.org', 'udp', 'somebody else');
    await until(() => server.seen.some(({ name }) => name === 'example.org'));
    to.stop();
    for (const reply of await Promise.all([...waiting, other])) {
      assert.equal(read(reply).rcode, 'SERVFAIL');
    }
    assert.equal(to.count, 0);
  });

  it('bounds what is under way in total', async () => {
    const { upstream } = await serve(() => undefined);
    const to = forwardTo(upstream);
    const waiting = Array.from({ length: 256 }, (_, i) =>
      start(to, 'example.com', 'udp', `client ${i >> 5}`),
    );
    assert.equal(read(await start(to, 'example.com', 'udp', 'new')).rcode, 'SERVFAIL');
    to.stop();
    await Promise.all(waiting);
  });

  it('knows its own sockets while they are open', async () => {
    const { server, upstream } = await serve(() => undefined);
    const to = forwardTo(upstream);
    const reply = start(to);
    await until(() => server.seen.length === 1);
    const key = `127.0.0.1 ${server.seen[0]?.port ?? 0}`;
    assert.equal(to.isOwnSocket(key), true);
    to.stop();
    await reply;
    assert.equal(to.isOwnSocket(key), false);
  });
});
