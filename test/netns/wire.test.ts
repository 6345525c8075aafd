import assert from 'node:assert/strict';
import { type Host, Topology, type WireOptions } from './lib/topology.js';
import { pingAll, tcpTransfer } from './lib/traffic.js';
import { PingStream } from './lib/ping-stream.js';
import type { Wire } from './lib/wire.js';
import { waitFor } from './lib/wait.js';

/*
 * The wire itself, on the bare underlay:
 *
 *     a eth0 10.1.0.1 ==== wire ==== 10.1.0.2 eth0 b eth1 10.2.0.1 ---- 10.2.0.2 eth0 c
 *
 * c has no offloads: its kernel checks every checksum of what b routes there.
 */

const MIB = 1 << 20;

describe('the test wire', function () {
  this.timeout(120_000);
  let topology: Topology;
  let a: Host;
  let b: Host;
  let c: Host;
  let wire: Wire;

  beforeEach(async () => {
    topology = await Topology.create();
    [a, b, c] = (await topology.hosts(3)) as [Host, Host, Host];
  });

  afterEach(async () => {
    await topology.dispose();
  });

  async function plugged(options: WireOptions = {}): Promise<void> {
    wire = await topology.wire(a, b, options);
    // Neighbours are found before anything is measured, and known for good: their questions would be counted, too.
    await pingAll(a, b.address(4), { count: 1 });
    for (const host of [a, b]) {
      const [found] = JSON.parse(await host.ip(['-4', '-json', 'neighbour', 'show'])) as {
        dst: string;
        lladdr: string;
      }[];
      assert.ok(found);
      const words = [found.dst, 'lladdr', found.lladdr, 'dev', 'eth0', 'nud', 'permanent'];
      await host.ip(['neighbour', 'replace', ...words]);
    }
    if (options.underlay !== 'ipv4') await pingAll(a, b.address(6), { count: 1 });
  }

  async function pings(
    count: number,
    perSecond: number,
    words: string[] = [],
  ): Promise<PingStream> {
    const stream = new PingStream(a, b.address(4), perSecond, ['-c', String(count), ...words]);
    await stream.closed;
    return stream;
  }

  it('delays each direction by its own time, and keeps the order with jitter', async () => {
    await plugged();
    await wire.set('a->b', { delayMs: 20 });
    await wire.set('b->a', { delayMs: 5, jitterMs: 20 });
    const { answers } = await pings(200, 500);
    const rtts = answers.map(({ rttMs }) => rttMs).sort((x, y) => x - y);
    assert.equal(answers.length, 200);
    assert.ok((rtts[0] ?? 0) >= 25, `shortest ${String(rtts[0])} ms`);
    assert.ok((rtts[20] ?? 0) < 45, `tenth part ${String(rtts[20])} ms`);
    assert.ok((rtts[150] ?? 0) > 35, `third quarter ${String(rtts[150])} ms`);
    assert.deepEqual(
      answers.map(({ sequence }) => sequence),
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  it('loses the asked share of one direction, the same ones for the same seed', async () => {
    const outcomes: number[][] = [];
    for (const seed of [7, 7, 8]) {
      await topology.dispose();
      topology = await Topology.create();
      [a, b, c] = (await topology.hosts(3)) as [Host, Host, Host];
      await plugged({ seed, underlay: 'ipv4' });
      await wire.set('a->b', { lossPercent: 10 });
      const stream = await pings(1000, 2000);
      const counters = await wire.counters();
      assert.equal(1000 - stream.answers.length, counters['a->b'].lost);
      assert.equal(counters['b->a'].lost, 0);
      assert.ok(Math.abs(counters['a->b'].lost - 100) < 40, `lost ${counters['a->b'].lost}`);
      outcomes.push(stream.answers.map(({ sequence }) => sequence));
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
    assert.notDeepEqual(outcomes[0], outcomes[2]);
  });

  it('duplicates and reorders', async () => {
    await plugged({ underlay: 'ipv4' }); // IPv6 would say something now and then by itself
    const stream = new PingStream(a, b.address(4), 500);
    await wire.set('a->b', { duplicatePercent: 20, reorderPercent: 10, reorderMs: 15 });
    await stream.more(500, 20_000);
    await wire.set('a->b', { duplicatePercent: 0, reorderPercent: 0 });
    // What was under way is there when as many more are.
    await stream.more(50, 20_000);
    const counters = (await wire.counters())['a->b'];
    const { answers, duplicates } = stream;
    await stream.stop();
    assert.equal(stream.lost(), 0);
    assert.ok(duplicates > 50, `${String(duplicates)} came twice`);
    assert.equal(duplicates, counters.duplicated);
    const late = answers.filter(({ sequence }, at) => sequence < (answers[at - 1]?.sequence ?? 0));
    assert.ok(late.length > 20, `${String(late.length)} came late`);
    assert.ok(counters.reordered >= late.length);
  });

  it('drops above the cap in silence, or says so, to IPv4 and IPv6', async () => {
    await plugged();
    const ping = async (size: number, address: string) =>
      a.run(['ping', '-n', '-c', '1', '-W', '0.3', '-M', 'do', '-s', String(size), address]);
    await wire.set('both', { capBytes: 1300 });
    assert.equal((await ping(1272, b.address(4))).code, 0);
    assert.equal((await ping(1252, b.address(6))).code, 0);
    for (const [size, address] of [
      [1273, b.address(4)],
      [1253, b.address(6)],
    ] as const) {
      const silent = await ping(size, address);
      assert.equal(silent.code, 1);
      assert.doesNotMatch(silent.stdout, /mtu/);
    }
    assert.equal((await wire.counters())['a->b'].capped, 2);
    await wire.set('both', { icmp: true });
    assert.match((await ping(1273, b.address(4))).stdout, /Frag needed and DF set \(mtu = 1300\)/);
    assert.match((await ping(1253, b.address(6))).stdout, /Packet too big: mtu=1300/);
    assert.equal((await wire.counters())['a->b'].icmp, 2);
    // The kernel has learned: TCP goes at the smaller size.
    await tcpTransfer(a, b, b.address(4), 4 * MIB);
    assert.equal((await wire.counters())['a->b'].capped, 4);
  });

  it('cuts one direction and lets the other pass', async () => {
    await plugged({ underlay: 'ipv4' }); // IPv6 would say something now and then by itself
    await wire.set('b->a', { cut: true });
    const before = await wire.counters();
    const { answers } = await pings(5, 100, ['-W', '0.2']);
    const after = await wire.counters();
    assert.equal(answers.length, 0);
    assert.equal(after['a->b'].delivered - before['a->b'].delivered, 5);
    assert.equal(after['b->a'].cut, 5);
    await wire.set('b->a', { cut: false });
    await pingAll(a, b.address(4));
  });

  it('lets trains pass whole, above 1 Gb/s', async () => {
    await plugged();
    const server = b.run(['iperf3', '-s', '-1', '-B', b.address(4)]);
    await waitFor('iperf3', 3000, async () =>
      (await b.must(['ss', '-Hltn', 'sport', '=', '5201'])).includes('5201'),
    );
    const said = await a.must(['iperf3', '-c', b.address(4), '-t', '1', '-J']);
    await server;
    const { end } = JSON.parse(said) as { end: { sum_received: { bits_per_second: number } } };
    const gbps = end.sum_received.bits_per_second / 1e9;
    const { frames, segments, overflowed } = (await wire.counters())['a->b'];
    console.log(
      `      ${gbps.toFixed(1)} Gb/s, ${(segments / frames).toFixed(1)} segments a frame`,
    );
    assert.ok(gbps > 1, `${String(gbps)} Gb/s`);
    assert.ok(segments / frames > 5);
    assert.equal(overflowed, 0);
  });

  it('carries single packets where offloads are off', async () => {
    await plugged({ offloads: false });
    await tcpTransfer(a, b, b.address(4), 4 * MIB);
    const { frames, segments } = (await wire.counters())['a->b'];
    assert.equal(frames, segments);
  });

  it('takes single segments out of trains of TCP, and what goes on is whole', async () => {
    await plugged({ rules: { delayMs: 1 } });
    await topology.link(b, c, { offloads: false });
    await b.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    for (const family of [4, 6] as const) {
      const gateways = family === 4 ? ['10.1.0.2', '10.2.0.1'] : ['fd00:1::2', 'fd00:2::1'];
      await a.ip([`-${String(family)}`, 'route', 'add', 'default', 'via', gateways[0] ?? '']);
      await c.ip([`-${String(family)}`, 'route', 'add', 'default', 'via', gateways[1] ?? '']);
    }
    await wire.set('a->b', { lossPercent: 0.2, duplicatePercent: 0.2, reorderPercent: 0.2 });
    for (const family of [4, 6] as const) {
      await tcpTransfer(a, c, c.address(family), 8 * MIB);
    }
    const { frames, segments, lost, reordered } = (await wire.counters())['a->b'];
    assert.ok(segments > 2 * frames, `${String(segments)} segments in ${String(frames)} frames`);
    assert.ok(lost > 3 && reordered > 3, `lost ${String(lost)}, reordered ${String(reordered)}`);
    const errors = await c.must(['sh', '-c', 'nstat -az TcpInCsumErrors | tail -1']);
    assert.match(errors, /TcpInCsumErrors\s+0\s/);
  });

  it('takes single datagrams out of the trains of a daemon', async () => {
    await plugged();
    const daemon = await b.startDaemon();
    await daemon.wait('ready');
    const dialler = await a.startDaemon({ peers: [b.address(4)] });
    await Promise.all([daemon.wait('peers=2'), dialler.wait('peers=2')]);
    await wire.set('a->b', { lossPercent: 0.2, delayMs: 1 });
    const before = (await wire.counters())['a->b'];
    await tcpTransfer(a, b, await daemon.address(4), 16 * MIB);
    const after = (await wire.counters())['a->b'];
    const [frames, segments] = [after.frames - before.frames, after.segments - before.segments];
    assert.ok(segments > 2 * frames, `${String(segments)} segments in ${String(frames)} frames`);
    assert.ok(after.lost > 3, `lost ${String(after.lost)}`);
    const errors = await b.must(['sh', '-c', 'nstat -az UdpInCsumErrors | tail -1']);
    assert.match(errors, /UdpInCsumErrors\s+0\s/);
  });
});
