import assert from 'node:assert/strict';

import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 * The overlay address of a peer answers like any other while the link is up. A tunnel that took it for a way to the
 * peer would run inside itself, and end with the first lost packet.
 */

interface Report {
  readonly drops: Readonly<Record<string, number>>;
  readonly events: readonly { readonly code: string; readonly endpoint?: string }[];
}

describe('the tunnel inside itself', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    alice = await topology.host('alice');
    bob = await topology.host('bob');
    await topology.link(alice, bob);
    a = await alice.startDaemon();
    await a.wait('ready');
    b = await bob.startDaemon({ peers: [alice.address()] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
  });

  tidy(() => topology);

  const report = async (daemon: TestDaemon) =>
    JSON.parse((await daemon.ctl(['--json', 'report'])).stdout) as Report;

  for (const family of [4, 6] as const) {
    it(`does not dial an IPv${String(family)} overlay address of the peer`, async () => {
      const address = await a.address(family);
      const endpoint = family === 6 ? `[${address}]:6783` : `${address}:6783`;
      assert.equal((await b.ctl(['connect', endpoint])).code, 0);
      await waitFor('the event', 3000, async () =>
        (await report(b)).events.some(
          (event) => event.code === 'contact-refused' && event.endpoint === endpoint,
        ),
      );
      const paths = await b.ctl(['--json', 'paths', 'alice']);
      assert.ok(paths.stdout.includes(alice.address(family === 6 ? 4 : family)), paths.stdout);
      assert.ok(!paths.stdout.includes(address), paths.stdout);
      await pingAll(bob, address);
    });

    it(`drops IPv${String(family)} datagrams that come out of the tunnel`, async () => {
      const before = (await report(a)).drops['candidate_in_overlay'] ?? 0;
      const target = `/dev/udp/${await a.address(family)}/6783`;
      await bob.must(['bash', '-c', `printf '\\x01forged' > ${target}`]);
      await waitFor(
        'the drop',
        3000,
        async () => ((await report(a)).drops['candidate_in_overlay'] ?? 0) > before,
      );
    });
  }

  it('says so when a stranger of the pool is the only contact', async () => {
    assert.equal((await b.ctl(['connect', '10.33.0.7'])).code, 0);
    const status = await waitFor('the refusal', 3000, async () => {
      const { stdout } = await b.ctl(['--json', 'status']);
      return stdout.includes('inside the overlay') && stdout;
    });
    assert.ok(status.includes('10.33.0.7:6783'));
  });
});
