import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { TestDaemon } from './lib/daemon.js';
import { must } from './lib/exec.js';
import { type Host, Topology } from './lib/topology.js';
import { pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a  c                      b  d         namespaces, attached; d to the other daemon of bob's, another mesh
 *     |  |                      |  |
 *     alice eth0 -------- eth0 bob           the daemons' hosts; bob has a name server of other people's making
 */

const PROGRAM = fileURLToPath(new URL('./lib/dns-program.js', import.meta.url));
const DOMAIN = 'mesh.test';

describe('names for attached namespaces', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let a: Host;
  let b: Host;
  let c: Host;
  let onAlice: TestDaemon;
  let onBob: TestDaemon;
  let upstream: ChildProcess;

  before(async () => {
    topology = await Topology.create();
    [alice, bob] = [await topology.host('alice'), await topology.host('bob')];
    [a, b, c] = [await topology.host('a'), await topology.host('b'), await topology.host('c')];
    await topology.link(alice, bob);
    // The strictest reverse-path filter: no route of alice's leads to 192.168.0.0/24.
    await alice.must(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1']);
    await mkdir(`/etc/netns/${alice.namespace}`, { recursive: true });
    const conf = `nameserver ${bob.address(4)}\nsearch corp.test\noptions timeout:1\n`;
    await writeFile(`/etc/netns/${alice.namespace}/resolv.conf`, conf);
    const [ip = '', ...rest] = bob.inside([process.execPath, PROGRAM, `0,${bob.address(4)}`]);
    upstream = spawn(ip, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(upstream.stdout!, 'data');
    const args = ['--dns-domain', DOMAIN];
    onAlice = await alice.startDaemon({ args });
    await onAlice.wait('ready');
    onBob = await bob.startDaemon({ args, peers: [alice.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    await onAlice.must('attach', '192.168.0.2/24', 'fd00:9::2/64', a.namespace, '--name', 'web');
    await onBob.must('attach', '192.168.0.3/24', b.namespace, '--name', 'db');
    await onAlice.must('attach', 'fd00:9::4/64', c.namespace, '--name', 'six');
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    const ended = once(upstream, 'exit');
    upstream.stdin!.end();
    await ended;
    for (const host of [a, b, c]) {
      for (const daemon of [onAlice, onBob]) await daemon.must('detach', host.namespace);
      assert.ok(!existsSync(`/etc/netns/${host.namespace}`), host.name);
    }
    await rm(`/etc/netns/${alice.namespace}`, { recursive: true });
    await onAlice.stop();
    assert.doesNotMatch(await alice.ip(['rule']), /169\.254/);
    await topology.dispose();
  });

  const dig = (host: Host, ...words: string[]): Promise<string> =>
    host.must(['dig', '+tries=1', '+time=3', ...words]);
  const short = async (host: Host, ...words: string[]): Promise<string[]> =>
    (await dig(host, '+short', ...words)).split('\n').filter(Boolean);
  const known = (host: Host, name: string): Promise<unknown> =>
    waitFor(`${name} on ${host.name}`, 5000, async () => (await short(host, name)).length > 0);
  const serversOf = async (daemon: TestDaemon): Promise<readonly string[]> => {
    return ((await daemon.json('dns', 'list')) as { servers: string[] }).servers;
  };

  it('are found by their resolv.conf: A, AAAA and PTR, of this host and others, in any case', async () => {
    await known(a, `db.${DOMAIN}`);
    assert.deepEqual(await short(a, `DB.Mesh.TEST`), ['192.168.0.3']);
    assert.deepEqual(await short(b, `web.${DOMAIN}`), ['192.168.0.2']);
    assert.deepEqual(await short(b, `web.${DOMAIN}`, 'AAAA'), ['fd00:9::2']);
    assert.deepEqual(await short(b, '-x', '192.168.0.2'), [`web.${DOMAIN}.`]);
    assert.deepEqual(await short(b, '-x', 'fd00:9::2'), [`web.${DOMAIN}.`]);
    assert.deepEqual(await short(a, '+tcp', `db.${DOMAIN}`), ['192.168.0.3']);
  });

  it('are answered whatever is done to the reverse-path filter meanwhile, by a rule only where it is on', async () => {
    const filterIs = async (value: number, hasRule: boolean): Promise<void> => {
      await alice.must(['sysctl', '-qw', `net.ipv4.conf.all.rp_filter=${String(value)}`]);
      // The host is looked at when an address changes, else every ten seconds.
      await alice.ip(['address', value === 0 ? 'add' : 'del', '192.0.2.77/32', 'dev', 'lo']);
      await waitFor(`filter ${String(value)}`, 15_000, async () => {
        return /169\.254/.test(await alice.ip(['rule'])) === hasRule;
      });
      assert.deepEqual(await short(a, `db.${DOMAIN}`), ['192.168.0.3']);
    };
    await filterIs(0, false);
    await filterIs(1, true);
  });

  it('are found by programs, short', async () => {
    assert.match(await a.must(['getent', 'ahostsv4', 'db']), /^192\.168\.0\.3 /);
    await b.must(['ping', '-c', '1', '-W', '2', 'web']);
  });

  it('are found from a namespace with IPv6 alone', async () => {
    assert.match(
      await readFile(`/etc/netns/${c.namespace}/resolv.conf`, 'utf8'),
      /fe80:.*%eth-ovl/,
    );
    assert.match(await c.must(['getent', 'ahostsv6', 'web']), /^fd00:9::2 /);
    await c.must(['ping', '-6', '-c', '1', '-W', '2', 'web']);
  });

  it('of another type are empty, others do not exist', async () => {
    assert.match(await dig(a, `db.${DOMAIN}`, 'MX'), /status: NOERROR[^]*ANSWER: 0/);
    assert.match(await dig(a, `nobody.${DOMAIN}`), /status: NXDOMAIN/);
  });

  it('that are not ours come from upstream, after our domain those of the host are searched', async () => {
    assert.deepEqual(await short(a, 'web.overlay.internal'), ['10.32.0.5']);
    const conf = await readFile(`/etc/netns/${a.namespace}/resolv.conf`, 'utf8');
    assert.match(conf, new RegExp(`^search ${DOMAIN} corp.test$`, 'm'));
    assert.match(conf, /^options timeout:1$/m);
    await writeFile(`/etc/netns/${alice.namespace}/resolv.conf`, 'nameserver 192.0.2.1\n');
  });

  it('that are not ours are asked for on behalf of this host and its targets alone', async () => {
    const [v4 = '', v6 = ''] = await serversOf(onBob);
    const other = ['web.overlay.internal', '+noall', '+comments', '+answer'];
    await a.ip(['route', 'add', v4, 'dev', 'eth-ovl']);
    for (const server of [v4, `${v6}%eth-ovl`]) {
      // A member's target that asks another host's server hears the names of the mesh, and of no other.
      assert.deepEqual(await short(a, `@${server}`, `db.${DOMAIN}`), ['192.168.0.3']);
      assert.match(await dig(a, `@${server}`, ...other), /status: REFUSED/);
      assert.doesNotMatch(await dig(b, `@${server}`, ...other), /status: REFUSED/);
    }
    assert.doesNotMatch(await dig(bob, `@${v4}`, ...other), /status: REFUSED/);
    await a.ip(['route', 'del', v4, 'dev', 'eth-ovl']);
  });

  it('can be added, several addresses under one, 50 by EDNS0 and TCP', async () => {
    const many = Array.from({ length: 50 }, (_, i) => `10.40.0.${i + 1}`);
    await onBob.must('dns', 'add', 'many', ...many.slice(0, 32));
    await onAlice.must('dns', 'add', 'many', ...many.slice(32));
    await waitFor('all of them', 5000, async () => {
      return (await onAlice.must('dns', 'lookup', 'many')).split('\n').length === 50;
    });
    assert.match(await dig(a, '+noedns', '+ignore', `many.${DOMAIN}`), /flags: qr aa tc/);
    assert.match(await dig(a, '+ignore', '+bufsize=1232', `many.${DOMAIN}`), /ANSWER: 50/);
    assert.match(await dig(a, '+tcp', `many.${DOMAIN}`), /ANSWER: 50/);
    const first = new Set<string>();
    for (let round = 0; round < 8; round += 1) first.add((await short(a, `many.${DOMAIN}`))[0]!);
    assert.ok(first.size > 1, 'always in one order');
    await onBob.must('dns', 'remove', 'many');
    await onAlice.must('dns', 'remove', 'many');
    await waitFor(
      'none of them',
      5000,
      async () => (await short(a, `many.${DOMAIN}`)).length === 0,
    );
  });

  it('are told to their own network only', async () => {
    const [v4 = '', v6 = ''] = await serversOf(onBob);
    const args = ['--ifname', 'blue0', '--port', '6790', '--mesh', 'blue'];
    const blue = await bob.startDaemon({ args, state: 'blue' });
    await blue.wait('ready');
    const d = await topology.host('d');
    await blue.must('attach', '192.168.0.9/24', 'fd00:9::9/64', d.namespace, '--name', 'spy');
    assert.deepEqual(await short(d, 'spy.overlay.internal'), ['192.168.0.9']);
    await d.ip(['route', 'add', v4, 'dev', 'eth-ovl']);
    for (const server of [v4, `${v6}%eth-ovl`]) {
      const { code, stdout } = await d.run([
        'dig',
        '+tries=1',
        '+time=1',
        `@${server}`,
        'db.mesh.test',
      ]);
      assert.notEqual(code, 0, stdout);
    }
    await blue.must('detach', d.namespace);
    process.kill(blue.pid, 'SIGTERM');
    assert.equal(await blue.exit(), 0);
    assert.ok(!(await bob.interfaces()).includes('blue0'));
  });

  it('go when a namespace goes, and come back with it', async () => {
    await must(['ip', 'netns', 'delete', b.namespace]);
    await waitFor(
      'the name to go',
      10_000,
      async () => (await short(a, `db.${DOMAIN}`)).length === 0,
    );
    await waitFor('its file to go', 5000, () => !existsSync(`/etc/netns/${b.namespace}`));
    await must(['ip', 'netns', 'add', b.namespace]);
    await known(a, `db.${DOMAIN}`);
    assert.deepEqual(await short(b, `web.${DOMAIN}`), ['192.168.0.2']);
  });

  it('have an IPv6 server at once on a bridge that sees no carrier yet', async () => {
    const module = new URL('../../src/netdev/name-server-address.js', import.meta.url).href;
    await c.ip(['link', 'add', 'name', 'nocarrier', 'type', 'bridge']);
    await c.ip(['link', 'add', 'name', 'port', 'type', 'veth', 'peer', 'name', 'other']);
    await c.ip(['link', 'set', 'dev', 'port', 'up', 'master', 'nocarrier']);
    await c.ip(['link', 'set', 'dev', 'nocarrier', 'up']);
    const program = `
      import { addNameServerAddress } from '${module}';
      const node = { peer: '${'0'.repeat(32)}', mac: '02:00:00:00:00:01' };
      const { v6 } = await addNameServerAddress('nocarrier', 9, node);
      console.log(v6);`;
    const said = await c.must([process.execPath, '--input-type=module', '-e', program]);
    assert.equal(said.trim(), 'fe80::0:ff:fe00:1');
    const had = await c.ip(['-6', 'address', 'show', 'dev', 'nocarrier', '-tentative']);
    assert.match(had, /inet6 fe80::ff:fe00:1\/64/u);
    await c.ip(['link', 'delete', 'dev', 'nocarrier']);
    await c.ip(['link', 'delete', 'dev', 'port']);
  });

  it('cost other packets no walk through policy rules where nothing filters by reverse path', async () => {
    const [one, two] = await Promise.all([alice.ip(['rule']), bob.ip(['rule'])]);
    assert.match(one, /from 169\.254\./u);
    assert.doesNotMatch(two, /169\.254\./u);
    assert.deepEqual(await short(b, `web.${DOMAIN}`), ['192.168.0.2']);
  });

  it('are there again when the daemon is back after a crash', async () => {
    await onAlice.crash();
    onAlice = await alice.startDaemon({ args: ['--dns-domain', DOMAIN], peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    await known(a, `db.${DOMAIN}`);
    assert.deepEqual(await short(b, `web.${DOMAIN}`), ['192.168.0.2']);
    const rules = (await alice.ip(['rule'])).split('\n').filter((line) => line.includes('169.254'));
    assert.equal(rules.length, 1);
  });

  it('are answered again, as all on the bridge works again, when the bridge was deleted under the daemon', async () => {
    await onAlice.must('expose', '192.168.0.1/24');
    const own = await onAlice.address(4);
    const link = await a.ip(['-json', 'link', 'show', 'eth-ovl']);
    await alice.ip(['link', 'delete', 'overlay0']);
    await waitFor('names, through the new bridge', 5000, async () => {
      const words = ['dig', '+tries=1', '+time=1', '+short', `db.${DOMAIN}`];
      return (await a.run(words)).stdout.trim() === '192.168.0.3';
    });
    for (const address of ['192.168.0.3', '192.168.0.1']) await pingAll(a, address);
    await pingAll(bob, own);
    assert.equal(await a.ip(['-json', 'link', 'show', 'eth-ovl']), link);
    const rules = (await alice.ip(['rule'])).split('\n').filter((line) => line.includes('169.254'));
    assert.equal(rules.length, 1);
    await onAlice.must('hide');
  });

  it('are neither had nor asked for by an attachment without DNS', async () => {
    await onAlice.must('detach', a.namespace);
    assert.ok(!existsSync(`/etc/netns/${a.namespace}`));
    await onAlice.must('attach', '192.168.0.2/24', a.namespace, '--no-dns');
    assert.ok(!existsSync(`/etc/netns/${a.namespace}`));
    await waitFor(
      'the name to go',
      5000,
      async () => (await short(b, `web.${DOMAIN}`)).length === 0,
    );
  });

  it('leave a file of the operator alone', async () => {
    await onAlice.must('detach', a.namespace);
    await mkdir(`/etc/netns/${a.namespace}`);
    const path = `/etc/netns/${a.namespace}/resolv.conf`;
    await writeFile(path, 'nameserver 192.0.2.9\n');
    await onAlice.must('attach', '192.168.0.2/24', a.namespace);
    await onAlice.must('detach', a.namespace);
    assert.equal(await readFile(path, 'utf8'), 'nameserver 192.0.2.9\n');
    await rm(`/etc/netns/${a.namespace}`, { recursive: true });
  });
});
