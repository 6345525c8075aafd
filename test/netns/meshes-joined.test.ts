import assert from 'node:assert/strict';

import type { AttachmentsDocument, IpamDocument, PeersDocument } from '../../src/api/control.js';
import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *    a  twin       b           c  twin2      namespaces; both twins were given 10.32.0.5
 *    |  /          |           |  /
 *    n0 --------- n1           n2            on one switch; n0 and n1 are one mesh, n2 is one by itself
 */

const TWICE = '10.32.0.5';

describe('two meshes that grew apart and are joined', function () {
  this.timeout(120_000);
  let topology: Topology;
  let a: Host;
  let b: Host;
  let c: Host;
  let twins: Host[];
  /** Of n1. */
  let contact: string;
  let daemons: [TestDaemon, TestDaemon, TestDaemon];

  before(async () => {
    topology = await Topology.create();
    const host = (name: string): Promise<Host> => topology.host(name);
    const [n0, n1, n2] = [await host('n0'), await host('n1'), await host('n2')];
    [a, b, c] = [await host('a'), await host('b'), await host('c')];
    twins = [await host('twin'), await host('twin2')];
    await topology.lan([n0, n1, n2]);
    const [on0, on2] = await Promise.all([n0.startDaemon(), n2.startDaemon()]);
    await Promise.all([on0.wait('ready', 30_000), on2.wait('ready', 30_000)]);
    const on1 = await n1.startDaemon({ peers: [n0.address(4)] });
    await Promise.all([on0.wait('peers=2', 30_000), on1.wait('peers=2', 30_000)]);
    contact = n1.address(4);
    daemons = [on0, on1, on2];
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });
  after('leaves nothing behind', async () => {
    for (const [at, daemon] of daemons.entries()) {
      for (const target of [a, b, c, ...twins]) await daemon.ctl(['detach', target.namespace]);
      assert.equal(await ctl(at, 'ps'), 'Nothing is attached on this host.\n');
    }
    await topology.dispose();
  });

  async function ctl(at: number, ...words: string[]): Promise<string> {
    const outcome = await daemons[at]!.ctl(words);
    assert.equal(outcome.code, 0, outcome.stderr);
    return outcome.stdout;
  }
  const ask = async <T>(at: number, ...words: string[]): Promise<T> =>
    JSON.parse(await ctl(at, '--json', ...words)) as T;
  const ipam = (at: number): Promise<IpamDocument> => ask(at, 'ipam', 'status');
  const attached = async (): Promise<string[][]> =>
    Promise.all(
      daemons.map(async (_daemon, at) =>
        (await ask<AttachmentsDocument>(at, 'ps')).attachments.map(
          ({ target, mac, addresses, state }) => `${target} ${mac} ${addresses.join()} ${state}`,
        ),
      ),
    );

  it('end with one pool: links stay up, the clash is on both lists, all else is as it was', async () => {
    const given = ['10.32.1.1', '10.32.1.2', '10.32.1.3'];
    for (const [at, target] of [a, b, c].entries()) {
      await ctl(at, 'attach', `${given[at]}/12`, target.namespace);
    }
    for (const [at, twin] of twins.entries()) {
      await ctl(2 * at, 'attach', `${TWICE}/12`, twin.namespace);
    }
    const before = await attached();
    const ids = await Promise.all([0, 2].map(async (at) => (await ipam(at)).pools[0]?.id));
    assert.notEqual(ids[0], ids[1]);

    // A link of theirs that broke would lose some of these.
    const pings = a.run(['ping', '-n', '-i', '0.05', '-c', '80', '-W', '2', given[1]!]);
    const startedMs = performance.now();
    await ctl(2, 'connect', contact);
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 20_000)));
    const clashesOf = ({ clashes }: IpamDocument) => clashes.map(({ address }) => address);
    await waitFor('one pool, and the clash on both sides', 20_000, async () => {
      const all = await Promise.all([0, 1, 2].map(ipam));
      const isOne = all.every(({ pools }) => pools.length === 1 && pools[0]?.id === winner(ids));
      return isOne && [0, 2].every((at) => clashesOf(all[at]!).length > 0);
    });
    console.log(`      one pool after ${Math.round(performance.now() - startedMs)} ms`);

    const all = await Promise.all([0, 1, 2].map(ipam));
    assert.deepEqual(all.map(clashesOf), [[TWICE], [], [TWICE]]);
    const [left, right] = [all[0]!.clashes[0]!, all[2]!.clashes[0]!];
    assert.deepEqual([left.holder, left.loser], [right.holder, right.loser]);
    for (const at of [0, 2]) assert.match(await ctl(at, 'events'), /address-clash.*10\.32\.0\.5/);
    await waitFor('all but the loser active', 10_000, async () => {
      const now = (await Promise.all([0, 1, 2].map(ipam))).flatMap(({ used }) => used);
      return (
        now
          .filter(({ active }) => !active)
          .map(({ address }) => address)
          .join() === TWICE
      );
    });
    assert.deepEqual(await attached(), before);
    for (const from of [a, b, c]) {
      for (const address of given) await pingAll(from, address, { count: 1 });
    }
    assert.match((await pings).stdout, / 0% packet loss/);
    for (const at of [0, 1, 2]) {
      const { peers } = await ask<PeersDocument>(at, 'peers');
      assert.ok(peers.every(({ state }) => state === 'established'));
    }
  });
});

/** The pool with the smaller id stays. */
function winner(ids: readonly (string | undefined)[]): string | undefined {
  return [...ids].sort()[0];
}
