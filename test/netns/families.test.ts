import assert from 'node:assert/strict';

import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { pingAll, tcpTransfer } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a                         b            namespaces with addresses of pools: IPv4, IPv6, or both
 *     |                         |
 *     alice eth0 -------- eth0 bob           an underlay of one family alone
 */

const POOL6 = 'fd5a:1:2::/64';
const DOMAIN = 'overlay.internal';

for (const [underlay, family, other] of [
  ['ipv6', 6, 4],
  ['ipv4', 4, 6],
] as const) {
  describe(`on an underlay of IPv${String(family)} alone`, function () {
    this.timeout(120_000);
    let topology: Topology;
    let alice: Host;
    let bob: Host;
    let a: Host;
    let b: Host;
    let onAlice: TestDaemon;
    let onBob: TestDaemon;

    before(async () => {
      topology = await Topology.create();
      [alice, bob] = [await topology.host('alice'), await topology.host('bob')];
      [a, b] = [await topology.host('a'), await topology.host('b')];
      await topology.link(alice, bob, { underlay });
      onAlice = await alice.startDaemon();
      await onAlice.wait('ready', 30_000);
      const address = alice.address(family);
      onBob = await bob.startDaemon({ peers: [family === 6 ? `[${address}]` : address] });
      await Promise.all([onAlice.wait('peers=2', 30_000), onBob.wait('peers=2', 30_000)]);
    });

    afterEach(async function () {
      if (this.currentTest?.state === 'failed') console.error(await topology.logs());
    });

    after('leaves nothing behind', async () => {
      await onAlice.must('detach', a.namespace);
      await onBob.must('detach', b.namespace);
      await topology.dispose();
    });

    const bare = (cidr: string): string => cidr.split('/')[0]!;
    const dig = async (host: Host, ...words: string[]): Promise<string[]> =>
      (await host.must(['dig', '+tries=1', '+time=3', '+short', ...words]))
        .split('\n')
        .filter(Boolean);

    it(`there is no IPv${String(other)} underneath, and nodes reach each other by both`, async () => {
      assert.throws(() => alice.address(other));
      for (const inner of [4, 6] as const) await pingAll(bob, await onAlice.address(inner));
    });

    it('targets have addresses of pools of both families, and names with A, AAAA and PTR', async () => {
      await onAlice.must('ipam', 'pool', 'add', POOL6);
      const name = ['--name', 'web'];
      const four = await onAlice.must('attach', a.namespace, ...name);
      const six = await onAlice.must('attach', `net:${POOL6}`, a.namespace, ...name);
      assert.match(four, /^10\.(3[2-9]|4[0-7])\.\d+\.\d+\/12$/);
      assert.match(six, /^fd5a:1:2:[0-9a-f:]*\/64$/);
      await waitFor('the second pool on bob', 10_000, async () =>
        (await onBob.must('ipam', 'status')).includes(POOL6),
      );
      // It asks alice, who may be late on a busy machine: then it is to be tried again, as the error says.
      const both = await waitFor('addresses', 20_000, () =>
        onBob.must('attach', 'net:default', `net:${POOL6}`, b.namespace),
      );
      const given = both.split('\n');
      assert.equal(given.length, 2);
      for (const cidr of [four, six]) await pingAll(b, bare(cidr), { size: 10_000 });
      for (const cidr of given) await pingAll(a, bare(cidr));
      await tcpTransfer(a, b, bare(given[1]!), 4 << 20);
      await waitFor('the name', 10_000, async () => {
        return (await dig(b, `web.${DOMAIN}`, 'AAAA')).length > 0;
      });
      assert.deepEqual(await dig(b, `web.${DOMAIN}`, 'AAAA'), [bare(six)]);
      assert.deepEqual(await dig(b, `web.${DOMAIN}`, 'A'), [bare(four)]);
      for (const cidr of [four, six]) {
        assert.deepEqual(await dig(b, '-x', bare(cidr)), [`web.${DOMAIN}.`]);
      }
      const server = /nameserver (fe80\S+)/.exec(
        await b.must(['cat', `/etc/netns/${b.namespace}/resolv.conf`]),
      )?.[1];
      assert.ok(server);
      assert.deepEqual(await dig(b, `@${server}`, `web.${DOMAIN}`, 'A'), [bare(four)]);
    });

    it('the pool ends only when nobody uses it, and its addresses are kept till then', async () => {
      const refused = await onBob.ctl(['ipam', 'pool', 'remove', POOL6]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /fd5a:1:2:[0-9a-f:]* is in use .*OVL_ADDRESS_IN_USE/);
      await onAlice.must('detach', a.namespace);
      await onBob.must('detach', b.namespace);
      await onBob.must('ipam', 'pool', 'remove', POOL6);
      await waitFor('its end on alice', 10_000, async () => {
        return !(await onAlice.must('ipam', 'status')).includes(POOL6);
      });
    });
  });
}
