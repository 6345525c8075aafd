import assert from 'node:assert/strict';

import type { IpamDocument, PeersDocument } from '../../src/api/control.js';
import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 *              c, called web       namespace, attached
 *              |
 *    n0 - n1 - n2                  on one switch; n2 dies, is removed, comes back, and joins anew
 */

/** A peer is silent after two seconds instead of a minute. */
const env = { OVERLAYD_DEBUG: '1', OVERLAYD_DEBUG_REMOVAL_MS: '2000' };

describe('a removed host', function () {
  this.timeout(120_000);
  let topology: Topology;
  let hosts: Host[];
  let c: Host;

  before(async () => {
    topology = await Topology.create();
    hosts = await topology.hosts(3);
    c = await topology.host('c');
    await topology.lan(hosts);
  });
  tidy(() => topology);

  const start = (host: Host): Promise<TestDaemon> => {
    const peers = hosts.filter((other) => other !== host).map((other) => other.address(4));
    return host.startDaemon({ env, peers });
  };

  async function traces(daemon: TestDaemon, id: string): Promise<string[]> {
    const peers = (await daemon.json('peers')) as PeersDocument;
    const ipam = (await daemon.json('ipam', 'status')) as IpamDocument;
    const holders = ipam.pools.flatMap((pool) => pool.holders);
    return [
      ...peers.peers.filter((peer) => peer.id === id).map(() => 'peer'),
      ...holders.filter((holder) => holder.id === id).map(() => 'addresses'),
      ...((await daemon.ctl(['dns', 'lookup', 'web'])).code === 0 ? ['name'] : []),
    ];
  }

  it('is gone with its name and addresses, is told so when it comes back, and joins anew', async () => {
    const [first, second, dying] = (await Promise.all(hosts.map(start))) as [
      TestDaemon,
      TestDaemon,
      TestDaemon,
    ];
    await Promise.all([first, second, dying].map((daemon) => daemon.wait('peers=3', 30_000)));
    await dying.must('attach', c.namespace, '--name', 'web');
    const { id } = (await dying.status()).self;
    await waitFor('its traces', 30_000, async () => (await traces(second, id)).length === 3);
    const refused = await first.ctl(['peer', 'remove', 'n2']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /n2 .* is alive: there is a link with it \(OVL_PEER_ALIVE\)/);

    const address = await dying.address(4);
    await dying.crash();
    // Frames for it: its silence is noticed at once instead of at the next idle PING.
    await Promise.all(
      hosts
        .slice(0, 2)
        .map((host) => host.run(['ping', '-c', '6', '-i', '0.2', '-W', '1', address])),
    );
    const isRemoved = async (): Promise<boolean> =>
      (await first.ctl(['peer', 'remove', 'n2'])).code === 0;
    await waitFor('it is silent', 30_000, isRemoved);
    for (const daemon of [second, first]) {
      await waitFor('nothing is left of it', 30_000, async () => {
        return (await traces(daemon, id)).length === 0;
      });
    }

    const back = await start(hosts[2]!);
    await back.wait('ready', 30_000);
    await waitFor('it is told', 30_000, async () => {
      const { warnings } = (await back.json('status')) as {
        warnings: { code: string }[];
      };
      return warnings.some(({ code }) => code === 'self-removed');
    });
    await back.must('reset');
    await back.exit();
    const anew = await start(hosts[2]!);
    await anew.wait('peers=3', 30_000);
    assert.notEqual((await anew.status()).self.id, id);
    assert.match(
      await anew.must('attach', c.namespace, '--name', 'web'),
      /^10\.\d+\.\d+\.\d+\/12$/,
    );
    await anew.must('detach', c.namespace);
  });
});
