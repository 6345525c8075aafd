import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { PingStream } from './lib/ping-stream.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 *     alice eth0 10.1.0.1 ----------- 10.1.0.2 eth0 bob        alice waits, bob has --peer
 *
 * Addresses and links of the underlay change while both run. The figures are printed: they are what a user feels.
 */

const WITH_TRAFFIC_MS = 1000;
const IDLE_MS = 2000;
const AFTER_UP_MS = 1000;
/** The resolution of the figures is 20 ms. */
const PINGS_PER_SECOND = 50;

describe('the underlay changes', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let a: TestDaemon;
  let b: TestDaemon;
  let next = 10;

  before(async () => {
    topology = await Topology.create();
    alice = await topology.host('alice');
    bob = await topology.host('bob');
    await topology.link(alice, bob, { underlay: 'ipv4' });
    a = await alice.startDaemon();
    await a.wait('ready');
    b = await bob.startDaemon({ peers: [alice.address(4)] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
    // The kernel's own ARP over the overlay asks once a second only: not what is measured here.
    await fixNeighbour(alice, b);
    await fixNeighbour(bob, a);
  });

  tidy(() => topology);

  async function fixNeighbour(host: Host, other: TestDaemon): Promise<void> {
    const { mac } = (await other.status()).self;
    const words = ['neigh', 'replace', await other.address(4), 'lladdr', mac, 'dev', 'overlay0'];
    await host.ip([...words, 'nud', 'permanent']);
  }

  /** Gives eth0 another address of the subnet and takes the old one away, as a DHCP client does. Ms since the epoch. */
  async function move(host: Host): Promise<{ readonly atMs: number; readonly address: string }> {
    const address = `10.1.0.${String(next++)}`;
    await host.ip(['address', 'flush', 'dev', 'eth0']);
    await host.ip(['address', 'add', `${address}/24`, 'dev', 'eth0']);
    return { atMs: Date.now(), address };
  }

  const daemonOf = (host: Host) => (host === alice ? a : b);

  for (const [moverName, senderName] of [
    ['alice', 'alice'],
    ['alice', 'bob'],
    ['bob', 'alice'],
    ['bob', 'bob'],
  ] as const) {
    it(`${moverName} gets another address while ${senderName} sends: back within 1 s`, async () => {
      const [mover, sender] = [moverName, senderName].map((name) =>
        name === 'alice' ? alice : bob,
      );
      assert.ok(mover && sender);
      const receiver = sender === alice ? bob : alice;
      const stream = new PingStream(sender, await daemonOf(receiver).address(4), PINGS_PER_SECOND);
      await waitFor('first answers', 3000, () => stream.answers.length > 20);
      const { atMs } = await move(mover);
      const tookMs = await stream.backAfter(atMs, WITH_TRAFFIC_MS);
      await stream.stop();
      console.log(`      traffic back after ${String(tookMs)} ms`);
      assert.ok(tookMs <= WITH_TRAFFIC_MS, `took ${String(tookMs)} ms`);
    });
  }

  for (const moverName of ['alice', 'bob'] as const) {
    it(`${moverName} gets another address while nobody sends: back within 2 s`, async () => {
      const [mover, other] = moverName === 'alice' ? [alice, bob] : [bob, alice];
      await delay(3000); // past what counts as carrying frames
      const { atMs, address } = await move(mover);
      const seen = await waitFor('the new address', IDLE_MS, async () => {
        const outcome = await daemonOf(other).ctl(['--json', 'peers']);
        return outcome.stdout.includes(`${address}:6783`) && Date.now();
      });
      console.log(
        `      other side follows after ${String(seen - atMs)} ms (as seen by overlayctl)`,
      );
      await pingAll(other, await daemonOf(mover).address(4), { count: 1 });
      await pingAll(mover, await daemonOf(other).address(4), { count: 1 });
    });
  }

  for (const victimName of ['alice', 'bob'] as const) {
    it(`the link of ${victimName} goes down and up: back within 1 s`, async () => {
      const [victim, other] = victimName === 'alice' ? [alice, bob] : [bob, alice];
      const stream = new PingStream(other, await daemonOf(victim).address(4), PINGS_PER_SECOND);
      await waitFor('first answers', 3000, () => stream.answers.length > 20);
      await victim.ip(['link', 'set', 'eth0', 'down']);
      await delay(4000);
      await victim.ip(['link', 'set', 'eth0', 'up']);
      const tookMs = await stream.backAfter(Date.now(), AFTER_UP_MS);
      await stream.stop();
      console.log(`      traffic back ${String(tookMs)} ms after up`);
      assert.ok(tookMs <= AFTER_UP_MS, `took ${String(tookMs)} ms`);
    });
  }

  it('no path was given up for a new handshake, and nobody restarted', async () => {
    for (const daemon of [a, b]) {
      const lines = await daemon.logLines(/peer-restarted|clone-detected/);
      assert.deepEqual(lines, []);
    }
  });
});
