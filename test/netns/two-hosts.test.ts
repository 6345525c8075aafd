import assert from 'node:assert/strict';
import { isAnswered, pingAll, tcpTransfer, udpTransfer } from './lib/traffic.js';
import { type Host, Topology, type Underlay } from './lib/topology.js';
import type { TestDaemon } from './lib/daemon.js';
import { tidy } from './lib/tidy.js';
import { waitFor } from './lib/wait.js';

/*
 *     alice eth0 ----------- eth0 bob        alice waits, bob has --peer
 */

interface Pair {
  readonly topology: Topology;
  readonly alice: Host;
  readonly bob: Host;
}

async function twoHosts(options: Parameters<Topology['link']>[2]): Promise<Pair> {
  const topology = await Topology.create();
  const alice = await topology.host('alice');
  const bob = await topology.host('bob');
  await topology.link(alice, bob, options);
  return { topology, alice, bob };
}

/** Starts both, bob dialling alice, and waits until each sees the other. */
async function join(pair: Pair, family: 4 | 6 = 4): Promise<{ a: TestDaemon; b: TestDaemon }> {
  const a = await pair.alice.startDaemon();
  await a.wait('ready');
  const b = await pair.bob.startDaemon({ peers: [peerText(pair.alice.address(family))] });
  await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
  return { a, b };
}

function peerText(address: string): string {
  return address.includes(':') ? `[${address}]:6783` : address;
}

const LONG = process.env['OVERLAYD_TEST_LONG'] === '1';
const TCP_BYTES = LONG ? 1 << 30 : 64 << 20;

for (const underlay of ['ipv4', 'ipv6', 'both'] as const satisfies Underlay[]) {
  describe(`two hosts over ${underlay}`, function () {
    this.timeout(120_000);
    let pair: Pair;
    let a: TestDaemon;
    let b: TestDaemon;
    tidy(() => pair);

    before(async () => {
      pair = await twoHosts({ underlay });
    });

    it('see each other within 3 s of the second start', async () => {
      a = await pair.alice.startDaemon();
      await a.wait('ready');
      const startMs = performance.now();
      const address = pair.alice.address(underlay === 'ipv4' ? 4 : 6);
      b = await pair.bob.startDaemon({ peers: [peerText(address)] });
      await Promise.all([a.wait('peers=2', 3000), b.wait('peers=2', 3000)]);
      const tookMs = Math.round(performance.now() - startMs);
      assert.ok(tookMs <= 3000, `took ${String(tookMs)} ms`);
      for (const daemon of [a, b]) {
        const status = await daemon.status();
        assert.deepEqual(status.peers, { known: 2, reachable: 2 });
        assert.equal(status.links.established, 1);
        assert.equal(status.encryption, true);
      }
    });

    it('ping each other over IPv4 and IPv6', async () => {
      for (const family of [4, 6] as const) {
        await pingAll(pair.alice, await b.address(family));
        await pingAll(pair.bob, await a.address(family));
      }
    });

    it('exchange TCP and UDP both ways over IPv4 and IPv6', async () => {
      for (const family of [4, 6] as const) {
        const [toA, toB] = [await a.address(family), await b.address(family)];
        await tcpTransfer(pair.alice, pair.bob, toB, 1 << 20);
        await tcpTransfer(pair.bob, pair.alice, toA, 1 << 20);
        const light = { count: 200, perSecond: 2000 };
        await udpTransfer(pair.alice, pair.bob, toB, light);
        await udpTransfer(pair.bob, pair.alice, toA, light);
      }
    });

    it('show no plain text to the underlay', async () => {
      const marker = 'plain-text-marker-';
      const pattern = Buffer.from(marker).toString('hex').slice(0, 32);
      const [outside, inside] = [
        await pair.alice.capture('eth0'),
        await pair.alice.capture('overlay0'),
      ];
      await pair.alice.must([
        'ping',
        '-n',
        '-c',
        '3',
        '-i',
        '0.05',
        '-p',
        pattern,
        await b.address(4),
      ]);
      const [seenOutside, seenInside] = [await outside.stop(), await inside.stop()];
      const text = marker.slice(0, 16);
      assert.ok(seenInside.includes(text), 'the marker is in the capture of the overlay');
      assert.ok(seenOutside.length > 3 * 100, 'the capture of the underlay holds the datagrams');
      assert.ok(!seenOutside.includes(text), 'the marker is in the capture of the underlay');
    });
  });
}

const UNDERLAYS = [
  { name: 'MTU 1500', link: { mtuBytes: 1500 } },
  { name: 'MTU 1280', link: { mtuBytes: 1280 } },
  { name: 'MTU 9000', link: { mtuBytes: 9000 } },
  { name: 'offloads off', link: { mtuBytes: 1500, offloads: false } },
] as const;

for (const { name, link } of UNDERLAYS) {
  describe(`data over an underlay with ${name}`, function () {
    this.timeout(LONG ? 600_000 : 120_000);
    let pair: Pair;
    let a: TestDaemon;
    let b: TestDaemon;
    tidy(() => pair);

    before(async () => {
      pair = await twoHosts(link);
      ({ a, b } = await join(pair));
    });

    it('carries a ping of 10 000 bytes', async () => {
      for (const family of [4, 6] as const) {
        await pingAll(pair.alice, await b.address(family), { count: 5, size: 10_000 });
        await pingAll(pair.bob, await a.address(family), { count: 5, size: 10_000 });
      }
    });

    it(`carries ${String(TCP_BYTES >> 20)} MiB of TCP unharmed`, async () => {
      await tcpTransfer(pair.alice, pair.bob, await b.address(4), TCP_BYTES);
      await tcpTransfer(pair.bob, pair.alice, await a.address(6), TCP_BYTES);
    });

    it('carries 20 000 UDP datagrams of mixed sizes unharmed', async () => {
      const load = { count: 20_000, perSecond: 2000 };
      await udpTransfer(pair.alice, pair.bob, await b.address(4), load);
    });
  });
}

describe('reading the TAP', function () {
  this.timeout(120_000);
  let pair: Pair;
  let a: TestDaemon;
  let b: TestDaemon;
  tidy(() => pair);

  before(async () => {
    pair = await twoHosts({});
    ({ a, b } = await join(pair));
  });

  /** How often the thread that is there for much traffic was woken, on both hosts, while `during` ran. */
  const wakeUps = async (during: () => Promise<unknown>): Promise<number> => {
    const count = async (daemon: TestDaemon): Promise<number> =>
      (await daemon.report()).counters['tx_wakeups'] ?? 0;
    const before = (await count(a)) + (await count(b));
    await during();
    return (await count(a)) + (await count(b)) - before;
  };
  const ping = async (): Promise<void> =>
    pingAll(pair.alice, await b.address(4), { count: 5, size: 56 });

  it('takes one thread while there is little to do, two under load, and one again', async () => {
    await waitFor('pings by one thread', 10_000, async () => (await wakeUps(ping)) === 0);
    const load = await wakeUps(async () =>
      tcpTransfer(pair.alice, pair.bob, await b.address(4), TCP_BYTES),
    );
    assert.ok(load > 0, 'one thread did it all');
    await waitFor('pings by one thread again', 10_000, async () => (await wakeUps(ping)) === 0);
  });
});

describe('a daemon that is killed and started again', function () {
  this.timeout(120_000);
  let pair: Pair;
  let a: TestDaemon;
  let b: TestDaemon;
  tidy(() => pair);

  before(async () => {
    pair = await twoHosts({});
    ({ a, b } = await join(pair));
  });

  async function isBackWithin(limitMs: number, startMs: number): Promise<void> {
    await waitFor('traffic after the restart', 10_000, async () =>
      isAnswered(pair.alice, await b.address(4)),
    );
    const tookMs = Math.round(performance.now() - startMs);
    assert.ok(tookMs <= limitMs, `traffic was back after ${String(tookMs)} ms`);
  }

  it('is back within 3 s, the one with --peer', async () => {
    const before = (await b.status()).self;
    await b.crash();
    const startMs = performance.now();
    b = await pair.bob.startDaemon({ peers: [pair.alice.address()] });
    await b.wait('ready');
    await isBackWithin(3000, startMs);
    const now = (await b.status()).self;
    assert.deepEqual([now.id, now.mac, now.addresses], [before.id, before.mac, before.addresses]);
  });

  it('is back within 3 s, the one without --peer', async () => {
    await a.crash();
    const startMs = performance.now();
    a = await pair.alice.startDaemon();
    await a.wait('ready');
    await isBackWithin(3000, startMs);
  });

  it('adopts the bridge that its crash left', async () => {
    await b.crash();
    assert.ok((await pair.bob.interfaces()).includes('overlay0'), 'the crash left the bridge');
    b = await pair.bob.startDaemon({ peers: [pair.alice.address()] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
    await pingAll(pair.bob, await a.address(4));
  });

  it('leaves nothing after SIGTERM', async () => {
    await b.stop();
    assert.deepEqual(await pair.bob.interfaces(), ['lo', 'eth0']);
    assert.equal(await pair.bob.ip(['-4', 'route', 'show', 'dev', 'eth0', 'proto', 'static']), '');
  });
});

describe('a foreign interface with our name', function () {
  this.timeout(120_000);
  let pair: Pair;
  tidy(() => pair);

  it('is refused and stays as it was', async () => {
    pair = await twoHosts({});
    await pair.alice.ip(['link', 'add', 'overlay0', 'type', 'bridge']);
    const before = await pair.alice.ip(['-json', 'link', 'show', 'overlay0']);
    const a = await pair.alice.startDaemon();
    assert.equal(await a.exit(), 1);
    assert.equal((await a.logLines(/OVL_IFACE_FOREIGN/)).length > 0, true, await a.log());
    assert.equal(await pair.alice.ip(['-json', 'link', 'show', 'overlay0']), before);
    await pair.alice.ip(['link', 'delete', 'overlay0']);
  });
});

describe('a host with the wrong password', function () {
  this.timeout(120_000);
  let pair: Pair;
  let mallory: Host;
  tidy(() => pair);

  it('is not let in, is told so once with the cure, and does not disturb the others', async () => {
    const topology = await Topology.create();
    const alice = await topology.host('alice');
    const bob = await topology.host('bob');
    mallory = await topology.host('mallory');
    pair = { topology, alice, bob };
    await topology.lan([alice, bob, mallory]);
    const { b } = await join(pair);
    const target = await b.address(4);

    // Twenty pings a second run all the while; none may be lost.
    const pings = alice.run(['ping', '-n', '-q', '-c', '100', '-i', '0.05', '-W', '2', target]);
    const m = await mallory.startDaemon({ password: 'wrong horse', peers: [alice.address()] });
    await m.wait('ready');
    const events = await waitFor('the wrong-password event', 10_000, async () => {
      const outcome = await m.ctl(['events', '--json']);
      const found = outcome.stdout.split('\n').filter((line) => line.includes('"wrong-password"'));
      return found.length > 0 && found;
    });
    assert.match((await pings).stdout, / 0% packet loss/);

    assert.equal(events.length, 1);
    assert.equal((await m.logLines(/wrong-password|[Ww]rong password/)).length, 1, await m.log());
    assert.match(events[0] ?? '', /"cure":"[^"]+/);
    assert.deepEqual((await m.status()).peers, { known: 1, reachable: 1 });
    assert.deepEqual((await b.status()).peers, { known: 2, reachable: 2 });
    assert.ok(!(await m.log()).includes('wrong horse'), 'the password is in the log');
  });
});
