import assert from 'node:assert/strict';
import { type Pair, startPair } from './lib/pair.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll, tcpTransfer, udpTransfer } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 * Each offload the data plane can do without (docs/debugging.md), left aside on both hosts, and the underlay that
 * shrinks while traffic runs: everything arrives, whole.
 */

const TCP_BYTES = 16 << 20;

describe('fall-backs of the data plane', () => {
  /** What this machine's kernel offers. */
  let usual: readonly string[] = [];

  before(async function () {
    this.timeout(120_000);
    const topology = await Topology.create();
    const daemon = await (await topology.host('alice')).startDaemon();
    await daemon.wait('ready');
    usual = (await daemon.report()).dataplane.offloads;
    await topology.dispose();
  });

  for (const { without, missing } of [
    { without: 'gso', missing: ['udp_gso'] },
    { without: 'gro', missing: ['udp_gro'] },
    { without: 'uso', missing: ['uso'] },
    { without: 'vnet_hdr', missing: ['vnet_hdr', 'tso', 'uso'] },
    { without: 'gso,gro,uso,vnet_hdr', missing: ['vnet_hdr', 'tso', 'uso', 'udp_gso', 'udp_gro'] },
  ]) {
    describe(`two hosts without ${without}`, function () {
      this.timeout(120_000);
      let pair: Pair;

      before(async () => {
        pair = await startPair({ env: { OVERLAYD_DEBUG: '1', OVERLAYD_DEBUG_WITHOUT: without } });
      });
      tidy(() => pair);

      it('say so', async () => {
        const { offloads } = (await pair.a.report()).dataplane;
        for (const name of ['udp_gso', 'udp_gro', 'vnet_hdr', 'tso'])
          assert.ok(usual.includes(name));
        assert.deepEqual(
          offloads,
          usual.filter((name) => !missing.includes(name)),
        );
      });

      it('carry long pings, TCP and UDP unharmed', async () => {
        const { alice, bob, a, b } = pair;
        for (const family of [4, 6] as const) {
          const [toA, toB] = [await a.address(family), await b.address(family)];
          await pingAll(alice, toB, { count: 5, size: 10_000 });
          await tcpTransfer(alice, bob, toB, TCP_BYTES);
          await tcpTransfer(bob, alice, toA, TCP_BYTES);
          await udpTransfer(alice, bob, toB, { count: 3000, perSecond: 2000 });
        }
      });
    });
  }
});

describe('a host with all offloads and one with none', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(async () => {
    pair = await startPair({});
    await pair.b.stop();
    const b = await pair.bob.startDaemon({
      peers: [pair.alice.address()],
      env: { OVERLAYD_DEBUG: '1', OVERLAYD_DEBUG_WITHOUT: 'gso,gro,uso,vnet_hdr' },
    });
    pair = { ...pair, b };
    await Promise.all([pair.a.wait('peers=2'), b.wait('peers=2')]);
  });
  tidy(() => pair);

  it('understand each other', async () => {
    const { alice, bob, a, b } = pair;
    await tcpTransfer(alice, bob, await b.address(4), TCP_BYTES);
    await tcpTransfer(bob, alice, await a.address(6), TCP_BYTES);
    await udpTransfer(alice, bob, await b.address(4), { count: 3000, perSecond: 2000 });
    await udpTransfer(bob, alice, await a.address(4), { count: 3000, perSecond: 2000 });
  });
});

/** What the overlay interface took from the host. */
async function sentBytes(host: Host): Promise<number> {
  return Number(await host.must(['cat', '/sys/class/net/overlay0/statistics/tx_bytes']));
}

describe('an underlay whose MTU shrinks while it is used', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(async () => {
    pair = await startPair({}, { mtuBytes: 1500 });
  });
  tidy(() => pair);

  it('carries whole frames again within 3 s, and loses no TCP byte', async () => {
    const { alice, bob, a, b } = pair;
    const target = await b.address(4);
    await pingAll(alice, target, { count: 3, size: 1360 });
    let isRunning = true;
    const transfer = tcpTransfer(alice, bob, target, 512 << 20).finally(() => (isRunning = false));
    const startBytes = await sentBytes(alice);
    await waitFor('a running transfer', 5000, async () => {
      return (await sentBytes(alice)) > startBytes + (16 << 20);
    });
    const refused = async (): Promise<number> => (await a.report()).drops['too_big'] ?? 0;
    const before = await refused();
    await alice.ip(['link', 'set', 'eth0', 'mtu', '1300']);
    await bob.ip(['link', 'set', 'eth0', 'mtu', '1300']);
    assert.ok(isRunning, 'the transfer was over before the MTU shrank');
    const startMs = performance.now();
    await waitFor('a full frame', 10_000, () => isAnswered(alice, target, 1360));
    const tookMs = Math.round(performance.now() - startMs);
    assert.ok(tookMs <= 3000, `took ${String(tookMs)} ms`);
    const shrunkBytes = await sentBytes(alice);
    await transfer;
    assert.ok((await sentBytes(alice)) > shrunkBytes, 'the transfer itself went on after that');
    assert.ok((await refused()) > before, 'the kernel refused datagrams (EMSGSIZE)');
    await pingAll(alice, target, { count: 10, size: 4000 });
  });
});
