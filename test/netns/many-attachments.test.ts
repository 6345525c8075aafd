import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { mustCall } from './lib/api.js';
import type { TestDaemon } from './lib/daemon.js';
import { must } from './lib/exec.js';
import { Topology, type Host } from './lib/topology.js';
import { waitFor } from './lib/wait.js';

/*
 *     n0 ------ n1 ------ n2         on one switch; each has a third of the targets
 *
 * As an orchestrator attaches: through the API, many at a time. What is printed is what it waits for. With
 * OVERLAYD_TEST_LONG=1 300 targets, 20 at a time, and 1 000 that live for 50 ms.
 */

const IS_LONG = process.env['OVERLAYD_TEST_LONG'] === '1';
const HOSTS = 3;
const TARGETS = IS_LONG ? 300 : 30;
const AT_ONCE = IS_LONG ? 20 : 10;
const LIVES = IS_LONG ? 1000 : 45;
const LIFE_MS = 50;

interface Ipam {
  readonly used: readonly { readonly address: string }[];
  readonly clashes: readonly unknown[];
}

describe('many attachments', function () {
  this.timeout(IS_LONG ? 900_000 : 120_000);
  let topology: Topology;
  let hosts: Host[];
  let daemons: TestDaemon[];
  const namespaces: string[] = [];

  before(async () => {
    topology = await Topology.create();
    hosts = await topology.hosts(HOSTS);
    await topology.lan(hosts);
    for (let at = 0; at < TARGETS; at++) {
      namespaces.push((await topology.host(`t${String(at)}`)).namespace);
    }
    daemons = [];
    for (const host of hosts) {
      const peers = daemons.length === 0 ? [] : [hosts[0]!.address(4)];
      daemons.push(await host.startDaemon({ peers, logLevel: 'info' }));
      await daemons.at(-1)!.wait('ready', 60_000);
    }
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 60_000)));
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    await topology.dispose();
  });

  const daemonOf = (at: number): TestDaemon => daemons[at % HOSTS]!;

  async function attach(at: number): Promise<{ readonly address: string; readonly ms: number }> {
    const startedMs = performance.now();
    const body = { target: namespaces[at % TARGETS], addresses: [] };
    const document = await mustCall(daemonOf(at).socket, '/v1/attach', body);
    const { addresses } = document as { addresses: string[] };
    assert.equal(addresses.length, 1);
    return { address: addresses[0]!.split('/')[0]!, ms: performance.now() - startedMs };
  }

  async function detach(at: number): Promise<void> {
    const body = { target: namespaces[at % TARGETS], addresses: [] };
    await mustCall(daemonOf(at).socket, '/v1/detach', body);
  }

  const ipam = async (daemon: TestDaemon): Promise<Ipam> =>
    (await mustCall(daemon.socket, '/v1/ipam')) as Ipam;
  const names = async (daemon: TestDaemon): Promise<readonly unknown[]> =>
    ((await mustCall(daemon.socket, '/v1/dns')) as { names: unknown[] }).names;
  const ports = async (host: Host): Promise<string[]> =>
    (await host.interfaces()).filter((name) => name.startsWith('ovl'));

  /** Nothing is in use, called anything, plugged in or written down. */
  async function isClean(): Promise<boolean> {
    for (const [at, daemon] of daemons.entries()) {
      if ((await ipam(daemon)).used.length > 0 || (await names(daemon)).length > 0) return false;
      if ((await ports(hosts[at]!)).length > 0) return false;
    }
    return namespaces.every((name) => !existsSync(`/etc/netns/${name}`));
  }

  it('are given an address each, no two the same, many at a time', async () => {
    const alone: number[] = [];
    for (let at = 0; at < 3 * HOSTS; at++) {
      alone.push((await attach(at)).ms);
      await detach(at);
    }
    const typed: number[] = [];
    for (let at = 0; at < HOSTS; at++) {
      const startedMs = performance.now();
      const { code, stderr } = await daemonOf(at).ctl(['attach', namespaces[at]!]);
      assert.equal(code, 0, stderr);
      typed.push(performance.now() - startedMs);
      await detach(at);
    }
    const given = await inParallel(TARGETS, AT_ONCE, attach);
    console.log(
      `      ${String(TARGETS)} targets on ${String(HOSTS)} hosts: median ${ms(alone)} alone, ` +
        `${ms(typed)} by overlayctl, ${ms(given.map((each) => each.ms))} at ${String(AT_ONCE)} at a time`,
    );
    assert.equal(new Set(given.map(({ address }) => address)).size, TARGETS);
    for (const daemon of daemons) {
      const { used, clashes } = await ipam(daemon);
      assert.deepEqual([used.length, clashes], [TARGETS / HOSTS, []]);
      await waitFor('all names', 10_000, async () => (await names(daemon)).length === TARGETS);
    }
    await inParallel(TARGETS, AT_ONCE, detach);
    await waitFor('nothing left', 10_000, isClean);
  });

  it('fail alone where one of many cannot be', async () => {
    const [first, taken, ...others] = [0, 1, 2, 3].map((at) => at * HOSTS);
    const blocked = namespaces[taken!]!;
    await must(['ip', '-n', blocked, 'link', 'add', 'eth-ovl', 'type', 'bridge']);
    // The first is under way alone, and the others wait and are made together.
    const outcomes = await Promise.allSettled([first!, taken!, ...others].map(attach));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    const reason = outcomes[1]?.status === 'rejected' ? String(outcomes[1].reason) : '';
    assert.match(reason, /OVL_TARGET_CONFLICT/);
    assert.equal((await ports(hosts[0]!)).length, 3);
    for (const at of [first!, ...others]) {
      const shown = await must(['ip', '-n', namespaces[at]!, 'address', 'show', 'eth-ovl']);
      assert.match(shown, /state UP[^]*inet 10\./);
    }
    await must(['ip', '-n', blocked, 'link', 'delete', 'eth-ovl']);
    for (const at of [first!, ...others]) await detach(at);
    await waitFor('nothing left', 10_000, isClean);
  });

  it('that live for a moment leave nothing stale two seconds later', async () => {
    const startedMs = performance.now();
    const lives = Array.from({ length: TARGETS }, () => Promise.resolve());
    // A target has one life after the other.
    await inParallel(LIVES, AT_ONCE, (at) => {
      const place = at % TARGETS;
      const life = lives[place]!.then(async () => {
        await attach(at);
        await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
        await detach(at);
      });
      lives[place] = life;
      return life;
    });
    const endedMs = performance.now();
    await waitFor('nothing left', IS_LONG ? 2000 : 10_000, isClean);
    const [wholeMs, cleanMs] = [endedMs - startedMs, performance.now() - endedMs];
    console.log(
      `      ${String(LIVES)} lives of ${String(LIFE_MS)} ms in ${(wholeMs / 1000).toFixed(1)} s, ` +
        `all traces gone after ${Math.round(cleanMs)} ms`,
    );
    for (const host of hosts) {
      assert.doesNotMatch(await host.must(['nft', 'list', 'ruleset']), /ovl\d/);
    }
    for (const name of namespaces) {
      assert.doesNotMatch(await must(['ip', '-n', name, 'link', 'show']), /eth-ovl/);
    }
  });
});

async function inParallel<T>(
  count: number,
  atOnce: number,
  work: (at: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let at = next++; at < count; at = next++) results[at] = await work(at);
    }),
  );
  return results;
}

/** Median and the slowest. */
function ms(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return `${Math.round(middle)} ms (at most ${Math.round(sorted.at(-1) ?? 0)})`;
}
