import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';

import { callApi, mustCall } from './lib/api.js';
import type { TestDaemon } from './lib/daemon.js';
import { must } from './lib/exec.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll, tcpTransfer } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a  c                      b         namespaces, attached
 *     |  |                      |
 *     alice eth0 -------- eth0 bob        the daemons' hosts
 */

interface Shown {
  readonly target: string;
  readonly ifname: string;
  readonly mac: string | null;
  readonly addresses: readonly string[];
  readonly state: string;
}

describe('attached namespaces', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let a: Host;
  let b: Host;
  let c: Host;
  let onAlice: TestDaemon;
  let onBob: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = [await topology.host('alice'), await topology.host('bob')];
    [a, b, c] = [await topology.host('a'), await topology.host('b'), await topology.host('c')];
    await topology.link(alice, bob);
    onAlice = await alice.startDaemon();
    await onAlice.wait('ready');
    onBob = await bob.startDaemon({ peers: [alice.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    await topology.dispose();
  });

  /** What overlayctl printed; it must succeed. */
  async function refusal(daemon: TestDaemon, ...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await daemon.ctl(['--json', ...words]);
    assert.deepEqual([code === 0, stdout], [false, '']);
    return (JSON.parse(stderr) as { error: { code: string } }).error.code;
  }

  async function shown(daemon: TestDaemon): Promise<readonly Shown[]> {
    return ((await daemon.json('ps')) as { attachments: Shown[] }).attachments;
  }

  const ports = async (host: Host): Promise<string[]> =>
    (await host.interfaces()).filter((name) => name.startsWith('ovl'));

  it('of two hosts reach each other in one subnet, with 10 000-byte pings and TCP', async () => {
    assert.equal(await onAlice.must('attach', '192.168.0.2/24', a.namespace), '192.168.0.2/24');
    assert.equal(await onBob.must('attach', '192.168.0.3/24', b.namespace), '192.168.0.3/24');
    await pingAll(a, '192.168.0.3');
    await pingAll(b, '192.168.0.2', { size: 10_000 });
    await tcpTransfer(a, b, '192.168.0.3', 16 << 20);
    await tcpTransfer(b, a, '192.168.0.2', 16 << 20);
  });

  it('of another subnet do not', async () => {
    await onAlice.must('attach', '192.168.10.10/24', c.namespace);
    assert.equal(await isAnswered(c, '192.168.0.2'), false);
    assert.equal(await isAnswered(c, '192.168.0.3'), false);
    await onAlice.must('attach', '192.168.0.4/24', c.namespace);
    await pingAll(c, '192.168.0.2');
    await pingAll(c, '192.168.0.3');
  });

  it('talk IPv6 at once', async () => {
    await onAlice.must('attach', 'fd00:9::2/64', a.namespace);
    await onBob.must('attach', 'fd00:9::3/64', b.namespace);
    await pingAll(a, 'fd00:9::3', { size: 10_000 });
  });

  it('are found at once where another had the address before', async () => {
    const entry = async (address: string): Promise<string> =>
      b.ip(['neighbour', 'show', address, 'dev', 'eth-ovl']);
    const old = ['lladdr', '02:00:00:00:00:66', 'dev', 'eth-ovl', 'nud', 'stale'];
    const taken = ['192.168.0.66', 'fd00:9::66'];
    for (const address of taken) await b.ip(['neighbour', 'replace', address, ...old]);
    const lengths = ['192.168.0.66/24', 'fd00:9::66/64'];
    await onAlice.must('attach', ...lengths, a.namespace);
    const { mac } = (await shown(onAlice)).find(({ target }) => target === a.namespace)!;
    for (const address of taken) {
      await waitFor(`${address} at its new place`, 5000, async () => {
        return (await entry(address)).includes(mac ?? 'none');
      });
    }
    await onAlice.must('detach', ...lengths, a.namespace);
  });

  it('are as they were after the same attach again', async () => {
    const before = await shown(onAlice);
    assert.equal(before.length, 2);
    const link = await a.ip(['-json', 'link', 'show', 'eth-ovl']);
    await onAlice.must('attach', '192.168.0.2/24', a.namespace);
    assert.deepEqual(await shown(onAlice), before);
    assert.equal(await a.ip(['-json', 'link', 'show', 'eth-ovl']), link);
  });

  it('are not made where something is in the way, and nothing is left', async () => {
    const before = [await shown(onBob), await ports(bob)];
    await c.ip(['link', 'add', 'taken0', 'type', 'bridge']);
    const refused = (...words: string[]): Promise<string> => refusal(onBob, 'attach', ...words);
    assert.equal(
      await refused('10.9.0.2/24', c.namespace, '--ifname', 'taken0'),
      'OVL_TARGET_CONFLICT',
    );
    assert.equal(await refused('10.9.0.2/24', bob.namespace), 'OVL_TARGET_CONFLICT');
    assert.equal(await refused('10.9.0.2/24', 'no-such-namespace'), 'OVL_TARGET_UNKNOWN');
    assert.equal(await refused('10.9.0.2/24', 'tap:eth0'), 'OVL_IFACE_FOREIGN');
    assert.equal(await refused('net:10.9.0.0/24', c.namespace), 'OVL_ADDRESS_UNAVAILABLE');
    // The kernel refuses the route: the interface was there by then.
    const route = ['--gateway', '10.9.0.1', '--route', 'fe80::/10,ff00::/8,::/128'];
    await c.must(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
    assert.equal(
      await refused('10.9.0.2/24', c.namespace, '--ifname', 'e9', ...route),
      'OVL_IFACE_CONFIG',
    );
    await c.must(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=0']);
    assert.deepEqual([await shown(onBob), await ports(bob)], before);
    assert.ok(!(await c.interfaces()).includes('e9'));
    await c.ip(['link', 'delete', 'taken0']);
  });

  it('of one host talk while the daemon is dead, and keep address and MAC when it is back', async () => {
    const before = await shown(onAlice);
    await onAlice.crash();
    await pingAll(a, '192.168.0.4');
    onAlice = await alice.startDaemon({ peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    assert.deepEqual(await shown(onAlice), before);
    await pingAll(a, '192.168.0.3');
    await pingAll(b, '192.168.0.4');
  });

  it('reach the others again, as the node does, when somebody deleted the TAP under the daemon', async () => {
    const own = await onBob.address(4);
    for (const _ of [1, 2]) {
      await alice.ip(['link', 'delete', 'overlay0-t']);
      await waitFor('the TAP', 5000, () => isAnswered(a, '192.168.0.3'));
      await pingAll(alice, own);
    }
    assert.match(
      await onAlice.must('events'),
      /warn +bridge-restored +The interface overlay0-t was gone/,
    );
    const tap = await alice.ip(['link', 'show', 'overlay0-t']);
    assert.match(tap, / mtu 1388 .* master overlay0/);
    assert.match(tap, /alias overlayd:/);
  });

  it('keep the bridge over SIGTERM', async () => {
    process.kill(onAlice.pid, 'SIGTERM');
    assert.equal(await onAlice.exit(), 0);
    await pingAll(a, '192.168.0.4');
    const names = await alice.interfaces();
    assert.ok(names.includes('overlay0') && !names.includes('overlay0-t'), names.join());
    onAlice = await alice.startDaemon({ peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    await pingAll(a, '192.168.0.3');
  });

  it('are made again after a reboot, with address and MAC', async () => {
    const before = await shown(onAlice);
    await onAlice.crash();
    await alice.ip(['link', 'delete', 'overlay0']);
    for (const port of await ports(alice)) await alice.ip(['link', 'delete', port]);
    onAlice = await alice.startDaemon({ peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    assert.deepEqual(await shown(onAlice), before);
    const [link] = JSON.parse(await a.ip(['-json', 'link', 'show', 'eth-ovl'])) as Shown[] &
      { address: string }[];
    assert.equal(link?.address, before[0]?.mac);
    await pingAll(a, '192.168.0.3');
  });

  it('come back when a namespace comes back under its name', async () => {
    const before = await shown(onAlice);
    await must(['ip', 'netns', 'delete', c.namespace]);
    await waitFor('ps says so', 10_000, async () => {
      return (await shown(onAlice)).some(({ state }) => state === 'waiting');
    });
    await must(['ip', 'netns', 'add', c.namespace]);
    await waitFor('the interface in the new namespace', 10_000, async () => {
      return (await c.interfaces()).includes('eth-ovl');
    });
    await waitFor('ps says so', 10_000, async () => {
      return (await shown(onAlice)).every(({ state }) => state === 'attached');
    });
    assert.deepEqual(await shown(onAlice), before);
    await pingAll(c, '192.168.0.3');
  });

  /** A process with a namespace of its own. */
  async function sleeperInItsOwn(): Promise<ChildProcess> {
    const sleeper = spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' });
    await once(sleeper, 'spawn');
    const namespaceOf = (pid: string): string => readlinkSync(`/proc/${pid}/ns/net`);
    await waitFor('the namespace of the process', 5000, () => {
      return namespaceOf(String(sleeper.pid)) !== namespaceOf('self');
    });
    return sleeper;
  }

  it('may be a process, and end with it; or a TAP', async () => {
    const sleeper = await sleeperInItsOwn();
    const target = `pid:${String(sleeper.pid)}`;
    await onAlice.must('attach', '192.168.0.7/24', target);
    await pingAll(a, '192.168.0.7');
    await onAlice.must('attach', 'none', 'tap:vm1');
    assert.ok((await alice.interfaces()).includes('vm1'));
    sleeper.kill('SIGKILL');
    await waitFor('the attachment to go', 10_000, async () => {
      return (await shown(onAlice)).every((row) => row.target !== target);
    });
    await onAlice.must('detach', 'tap:vm1');
    assert.ok(!(await alice.interfaces()).includes('vm1'));
  });

  it('may vanish at any moment while they are attached: the error names them, and nothing is left', async () => {
    const attach = (sleeper: ChildProcess) => {
      const target = `pid:${String(sleeper.pid)}`;
      return callApi(onAlice.socket, '/v1/attach', { target, addresses: ['192.168.0.8/24'] });
    };
    const before = await ports(alice);
    // How long it takes undisturbed, twice: the first of a kind is slower.
    let wholeMs = 0;
    for (let at = 0; at < 2; at += 1) {
      const sleeper = await sleeperInItsOwn();
      const startedMs = performance.now();
      assert.equal((await attach(sleeper)).status, 200);
      wholeMs = performance.now() - startedMs;
      const target = `pid:${String(sleeper.pid)}`;
      await mustCall(onAlice.socket, '/v1/detach', { target, addresses: [] });
      sleeper.kill('SIGKILL');
    }
    let refused = 0;
    for (let part = 0; part < 8; part += 1) {
      const sleeper = await sleeperInItsOwn();
      const answer = attach(sleeper);
      await new Promise((resolve) => setTimeout(resolve, (wholeMs * part) / 10));
      sleeper.kill('SIGKILL');
      const { status, document } = await answer;
      const target = `pid:${String(sleeper.pid)}`;
      if (status === 200) {
        // Attached before it went.
        await callApi(onAlice.socket, '/v1/detach', { target, addresses: [] });
      } else {
        const { error } = document as { error: { code: string; value: string } };
        assert.equal(error.code, 'OVL_TARGET_UNKNOWN', JSON.stringify(error));
        assert.equal(error.value, target);
        refused += 1;
      }
      await waitFor('nothing of it', 10_000, async () => {
        const isShown = (await shown(onAlice)).some((row) => row.target.startsWith('pid:'));
        return !isShown && String(await ports(alice)) === String(before);
      });
    }
    console.log(`      ${String(refused)} of 8 were refused, the others attached before they went`);
    assert.ok(refused > 0);
  });

  it('lose single addresses, then all', async () => {
    assert.equal(await onAlice.must('detach', '192.168.0.4/24', c.namespace), '192.168.0.4/24');
    await waitFor('no answer', 5000, async () => !(await isAnswered(a, '192.168.0.4')));
    for (const [daemon, host] of [
      [onAlice, a],
      [onAlice, c],
      [onBob, b],
    ] as const) {
      await daemon.must('detach', host.namespace);
      assert.deepEqual(await host.interfaces(), ['lo']);
      assert.equal(await daemon.must('detach', host.namespace), '');
    }
    assert.deepEqual(await shown(onAlice), []);
    assert.deepEqual([await ports(alice), await ports(bob)], [[], []]);
  });

  it('go with a reset', async () => {
    await onBob.must('attach', '192.168.0.3/24', b.namespace);
    await onBob.must('reset');
    assert.equal(await onBob.exit(), 0);
    assert.deepEqual(await bob.interfaces(), ['lo', 'eth0']);
    assert.deepEqual(await b.interfaces(), ['lo']);
  });
});
