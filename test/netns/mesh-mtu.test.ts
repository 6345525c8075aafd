import assert from 'node:assert/strict';
import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, tcpStream } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import type { Wire } from './lib/wire.js';
import { tidy } from './lib/tidy.js';

/*
 * A silent black hole that comes and goes while the interfaces say the same all the time: nobody tells the daemons, and
 * nothing but what arrives can.
 *
 *     alice ==== wire: packets above 700 bytes vanish, or none do ==== bob ---- carol
 */

/** Of an IPv4 packet: what is left for the datagram. */
const HEADERS_BYTES = 28;
/** Datagrams that carry whole frames of the interface's MTU. */
const USEFUL_BYTES = 1444;
/** What TCP gets to carry every 50 ms: some full segments. */
const STREAM_BYTES = 10_000;

describe('an underlay that swallows large packets for a while', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let carol: Host;
  let wire: Wire;
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob, carol] = (await topology.hosts(3)) as [Host, Host, Host];
    wire = await topology.wire(alice, bob, { underlay: 'ipv4', mtuBytes: 9000 });
    await topology.link(bob, carol, { underlay: 'ipv4' });
    await wire.set('both', { capBytes: 1500 });
    a = await alice.startDaemon();
    await a.wait('ready', 30_000);
    b = await bob.startDaemon({ peers: [alice.address(4)] });
    await Promise.all([a.wait('peers=2', 30_000), b.wait('peers=2', 30_000)]);
  });
  tidy(() => topology);

  /** The size of the path between the two, as each side shows it. */
  async function sizes(): Promise<number[]> {
    const reports = await Promise.all([a.report(), b.report()]);
    return reports.map(({ peers }) => peers.find((peer) => !peer.self)?.pmtu ?? 0);
  }

  it('carries TCP and frames of 9000 bytes within 3 s of each change, and shows the size within 15 s', async () => {
    const target = await b.address(4);
    const isTrue = async (best: number): Promise<boolean> =>
      (await sizes()).every((size) => size <= best && size > best - 8);
    await waitFor('the whole size', 15_000, () => isTrue(USEFUL_BYTES));
    const seen: string[] = [];
    for (const capBytes of [700, 0]) {
      const endStream = await tcpStream(alice, bob, target, STREAM_BYTES);
      await waitFor('a ping of 9000', 1000, () => isAnswered(alice, target, 9000));
      await wire.set('both', { capBytes });
      const startMs = performance.now();
      await waitFor('a ping of 9000', 10_000, () => isAnswered(alice, target, 9000));
      const flowsMs = Math.round(performance.now() - startMs);
      const best = capBytes === 700 ? 700 - HEADERS_BYTES : USEFUL_BYTES;
      await waitFor(`the size of ${String(capBytes)}`, 30_000, () => isTrue(best));
      const knownMs = Math.round(performance.now() - startMs);
      const silentMs = await endStream();
      const what = `cap ${String(capBytes)}: ping after ${String(flowsMs)}, TCP silent for ${String(silentMs)}, known after ${String(knownMs)} ms`;
      seen.push(what);
      assert.ok(flowsMs <= 3000 && silentMs <= 3000 && knownMs <= 15_000, what);
    }
    console.log(seen.map((line) => `      ${line}`).join('\n'));
  });

  it('carries control messages that are larger than the hole, with no frame on the way', async () => {
    await wire.set('both', { capBytes: 700 });
    const c = await carol.startDaemon({ peers: [bob.addresses.at(-1)!] });
    await c.wait('ready', 30_000);
    const startMs = performance.now();
    await waitFor(
      'news of carol at alice',
      10_000,
      async () => (await a.status()).peers.known === 3,
    );
    console.log(`      known after ${Math.round(performance.now() - startMs)} ms`);
  });
});
