import assert from 'node:assert/strict';

import type { IpamDocument } from '../../src/api/control.js';
import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a         b         c         namespaces, attached without an address
 *     |         |         |
 *    n0 ------ n1 ------ n2         on one switch; the daemons start at once, each given the other two
 */

const COUNT = 3;

describe('addresses of the pool', function () {
  this.timeout(120_000);
  let topology: Topology;
  let hosts: Host[];
  let targets: Host[];

  before(async () => {
    topology = await Topology.create();
    hosts = [];
    targets = [];
    for (let at = 0; at < COUNT; at++) hosts.push(await topology.host(`n${at}`));
    for (const name of ['a', 'b', 'c']) targets.push(await topology.host(name));
    await topology.lan(hosts);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });
  after('leaves nothing behind', async () => {
    await topology.dispose();
  });

  const ipam = async (daemon: TestDaemon): Promise<IpamDocument> =>
    (await daemon.json('ipam', 'status')) as IpamDocument;

  it('are given at once by three hosts that start together, from one pool, and kept over kill -9', async () => {
    const daemons = await Promise.all(
      hosts.map((host) =>
        host.startDaemon({
          peers: hosts.filter((other) => other !== host).map((other) => other.address(4)),
        }),
      ),
    );
    await Promise.all(daemons.map((daemon) => daemon.wait('ready', 30_000)));
    const given = await Promise.all(
      daemons.map(async (daemon, at) => {
        const startedMs = performance.now();
        const text = await daemon.must('attach', targets[at]!.namespace);
        console.log(`      ${text.trim()} after ${Math.round(performance.now() - startedMs)} ms`);
        return text.trim().split('/')[0]!;
      }),
    );
    assert.equal(new Set(given).size, COUNT, given.join());
    await waitFor('one pool', 10_000, async () => {
      const ids = await Promise.all(daemons.map(async (each) => (await ipam(each)).pools));
      return ids.every((pools) => pools.length === 1 && pools[0]?.id === ids[0]?.[0]?.id);
    });
    for (const address of given.slice(1)) await pingAll(targets[0]!, address);

    const [first] = daemons as [TestDaemon];
    await first.crash();
    const again = await hosts[0]!.startDaemon({ peers: [hosts[1]!.address(4)] });
    await again.wait('ready', 30_000);
    assert.equal((await again.must('attach', targets[0]!.namespace)).split('/')[0], given[0]);
    const { used, clashes } = await ipam(again);
    assert.deepEqual([used.map(({ address }) => address), clashes], [[given[0]], []]);
    // A bridge stays as long as something is attached to it.
    for (const [at, daemon] of [again, ...daemons.slice(1)].entries()) {
      await daemon.must('detach', targets[at]!.namespace);
    }
  });
});
