import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import type { NetworksDocument } from '../../src/api/control.js';
import type { TestDaemon } from './lib/daemon.js';
import { ethernet, ipv4, ipv6, mac, TYPE_IPV4, TYPE_IPV6, udp } from './lib/frames.js';
import { framesOf } from './lib/pcap.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     web (blue)  thief (red)     db (blue)  plain (default)     mate (red)      each with 10.40.0.2 or 10.40.0.3
 *          \      /                    \      /                      |
 *           alice                        bob                       carol         on one switch
 */

const PROGRAM = fileURLToPath(new URL('./lib/send-frames-program.js', import.meta.url));
const ALL = 'ff:ff:ff:ff:ff:ff';
/** Inside the mesh's own pool, so that the hosts have a route to it, in the default network. */
const SUBNET = '10.40.0.0/24';

interface Shown {
  readonly target: string;
  readonly network: string;
  readonly ifname: string;
  readonly mac: string;
  readonly addresses: readonly string[];
}

describe('two networks with one subnet', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let carol: Host;
  let web: Host;
  let db: Host;
  let thief: Host;
  let mate: Host;
  let plain: Host;
  let onAlice: TestDaemon;
  let onBob: TestDaemon;
  let onCarol: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    const host = (name: string): Promise<Host> => topology.host(name);
    [alice, bob, carol] = [await host('alice'), await host('bob'), await host('carol')];
    [web, db, thief] = [await host('web'), await host('db'), await host('thief')];
    [mate, plain] = [await host('mate'), await host('plain')];
    await topology.lan([alice, bob, carol]);
    // A router: what comes in from one interface goes out of another.
    await alice.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    onAlice = await alice.startDaemon();
    await onAlice.wait('ready');
    [onBob, onCarol] = await Promise.all([
      bob.startDaemon({ peers: [alice.address(4)] }),
      carol.startDaemon({ peers: [alice.address(4)] }),
    ]);
    await Promise.all([onAlice, onBob, onCarol].map((daemon) => daemon.wait('peers=3', 20_000)));
    await onAlice.must('network', 'create', 'blue', '--subnet', SUBNET);
    await onAlice.must('network', 'create', 'red', '--subnet', SUBNET, '--mtu', '1300');
    for (const daemon of [onBob, onCarol]) {
      await waitFor('the networks', 5000, async () => (await listed(daemon)).length === 3);
    }
    await attach(onAlice, 'blue', '10.40.0.2/24', web);
    await attach(onAlice, 'red', '10.40.0.2/24', thief);
    await attach(onBob, 'blue', '10.40.0.3/24', db);
    await attach(onCarol, 'red', '10.40.0.3/24', mate);
    await attach(onBob, 'default', '10.40.0.2/24', plain);
    await attach(onBob, 'default', '10.40.0.3/24', plain);
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    await topology.dispose();
  });

  const attach = (daemon: TestDaemon, network: string, address: string, host: Host) =>
    daemon.must('attach', '--network', network, address, host.namespace);

  const listed = async (daemon: TestDaemon): Promise<NetworksDocument['networks']> =>
    ((await daemon.json('network', 'list')) as NetworksDocument).networks;

  async function shown(daemon: TestDaemon, host: Host): Promise<Shown> {
    const { attachments } = (await daemon.json('ps')) as {
      attachments: Shown[];
    };
    const found = attachments.find(({ target }) => target === host.namespace);
    assert.ok(found);
    return found;
  }

  /** The MAC that answered for an address. */
  async function answererOf(host: Host, address: string): Promise<string> {
    await pingAll(host, address);
    const text = await host.ip(['neighbour', 'show', address, 'dev', 'eth-ovl']);
    return /lladdr ([0-9a-f:]{17})/.exec(text)?.[1] ?? text;
  }

  const bridges = async (host: Host): Promise<string[]> =>
    (await host.interfaces()).filter((name) => name.startsWith('ovn')).sort();

  it('reach those of their own network, by the same addresses', async () => {
    assert.equal(await answererOf(web, '10.40.0.3'), (await shown(onBob, db)).mac);
    assert.equal(await answererOf(db, '10.40.0.2'), (await shown(onAlice, web)).mac);
    assert.equal(await answererOf(thief, '10.40.0.3'), (await shown(onCarol, mate)).mac);
    assert.equal(await answererOf(mate, '10.40.0.2'), (await shown(onAlice, thief)).mac);
    assert.match(await mate.ip(['link', 'show', 'eth-ovl']), /mtu 1300 /);
    await pingAll(thief, '10.40.0.3', { size: 10_000 });
  });

  it('are listed with who is on them, and stay while somebody is', async () => {
    const [standard, blue, red] = await listed(onCarol);
    assert.deepEqual([standard?.name, blue?.name, red?.name], ['default', 'blue', 'red']);
    const names = (network = blue) => network?.peers.map(({ nickname }) => nickname).sort();
    assert.deepEqual([names(), names(red)], [['alice', 'bob'], ['alice']]);
    assert.deepEqual([blue?.ifname, red?.targets], [null, [mate.namespace]]);
    assert.deepEqual(await bridges(carol), [red?.ifname, `${red?.ifname}-t`]);
    const { code, stderr } = await onBob.ctl(['network', 'remove', 'red']);
    assert.equal(code, 1);
    assert.match(stderr, /alice, carol|carol, alice/);
  });

  it('give addresses that the other gives too, and names to their own only', async () => {
    const lookup = async (daemon: TestDaemon): Promise<string[]> => {
      const document = (await daemon.json('dns', 'list')) as {
        names: { name: string; network: string; addresses: string[] }[];
      };
      return document.names.map(({ name, network, addresses }) => {
        return `${name.split('.')[0]} ${network} ${addresses.join()}`;
      });
    };
    await waitFor('names', 5000, async () => (await lookup(onCarol)).length === 5);
    assert.ok((await lookup(onCarol)).includes(`${web.namespace} blue 10.40.0.2`));
    const ask = (host: Host, name: string): Promise<{ code: number | null }> =>
      host.run(['getent', 'ahosts', `${name}.overlay.internal`]);
    assert.equal((await ask(thief, mate.namespace)).code, 0);
    assert.equal((await ask(web, db.namespace)).code, 0);
    assert.notEqual((await ask(thief, db.namespace)).code, 0);
    assert.notEqual((await ask(web, mate.namespace)).code, 0);
  });

  it('are all answered to who is on several, by the server of one, and to nobody who poses as it', async () => {
    const fromRed = `${mate.namespace}.overlay.internal`;
    const dig = async (host: Host, server: string, name: string): Promise<string> => {
      const words = ['dig', '+tries=1', '+time=1', '+noall', '+comments', '+answer'];
      return (await host.run([...words, `@${server}`, name])).stdout;
    };
    const { servers } = (await onAlice.json('dns', 'list', '--network', 'blue')) as {
      servers: string[];
    };
    const [server = ''] = servers;
    assert.match(await dig(web, server, fromRed), /NXDOMAIN/);
    await attach(onAlice, 'red', '10.40.0.9/24', web);
    await waitFor('names of both', 5000, async () => {
      return (await web.run(['getent', 'ahostsv4', fromRed])).stdout.startsWith('10.40.0.3 ');
    });
    const ofBlue = `${db.namespace}.overlay.internal`;
    assert.match(await web.must(['getent', 'ahostsv4', ofBlue]), /^10\.40\.0\.3 /);
    assert.match(await dig(web, server, 'nobody.overlay.internal'), /NXDOMAIN/);
    assert.match(await web.must(['dig', '+tcp', '+short', fromRed]), /^10\.40\.0\.3$/m);
    // Who may use any address there takes that of web, beside it and on another host.
    const liars = [await topology.host('liar'), await topology.host('liar2')] as const;
    for (const [liar, daemon] of [[liars[0], onAlice] as const, [liars[1], onBob] as const]) {
      await daemon.must('attach', '--network', 'blue', 'none', liar.namespace);
      await liar.ip(['address', 'add', '10.40.0.77/24', 'dev', 'eth-ovl']);
      await liar.ip(['route', 'add', server, 'dev', 'eth-ovl', 'src', '10.40.0.77']);
      const honest = await dig(liar, server, fromRed);
      assert.match(honest, /NXDOMAIN/, `${liar.name}: ${honest}`);
      assert.match(await dig(liar, server, ofBlue), /10\.40\.0\.3$/m);
      const onWeb = await web.capture('eth-ovl');
      await liar.ip(['address', 'add', '10.40.0.2/24', 'dev', 'eth-ovl']);
      await liar.ip(['route', 'replace', server, 'dev', 'eth-ovl', 'src', '10.40.0.2']);
      for (const flag of ['+notcp', '+tcp']) {
        const { code, stdout } = await liar.run([
          ...['dig', '+tries=1', '+time=1', flag, `@${server}`, fromRed],
        ]);
        assert.notEqual(code, 0, stdout);
        assert.doesNotMatch(stdout, /ANSWER/);
      }
      // Nor is web sent what it did not ask for.
      assert.ok(!(await onWeb.stop()).includes(mate.namespace));
      await daemon.must('detach', liar.namespace);
    }
    await waitFor('web', 5000, async () => (await dig(web, server, fromRed)).includes('10.40.0.3'));
    await onAlice.must('detach', '--network', 'red', web.namespace);
    await waitFor('names of blue alone', 5000, async () => {
      return /NXDOMAIN/.test(await dig(web, server, fromRed));
    });
    assert.doesNotMatch(await alice.must(['nft', 'list', 'ruleset']), /askers/);
  });

  it('show nothing of one in the other, whatever is sent by raw sockets', async () => {
    const { mac: own } = await shown(onAlice, thief);
    const { self } = await onAlice.status();
    const hostAddress = await onAlice.address(4);
    const hostAddress6 = await onAlice.address(6);
    const nameServer = (await onAlice.json('dns', 'list')) as {
      servers: string[];
    };
    const text = (mark: string): Buffer => Buffer.from(`networks-test ${mark}`);
    const v4 = (to: string, mark: string, port = 9): Buffer =>
      ipv4('10.40.0.2', to, 17, udp('10.40.0.2', to, port, text(mark), { checksum: 0 }));
    const others = [
      (await shown(onAlice, web)).mac,
      (await shown(onBob, db)).mac,
      (await shown(onBob, plain)).mac,
      (await onBob.status()).self.mac,
    ];
    const captures = await Promise.all([
      ...[web, db, plain, mate].map((host) => host.capture('eth-ovl')),
      alice.capture(self.ifname),
      bob.capture((await onBob.status()).self.ifname),
    ]);
    const [, , , onMate] = captures;
    const frames = [
      ethernet(ALL, own, TYPE_IPV4, v4('10.40.0.255', 'broadcast')),
      ethernet('01:00:5e:00:00:fb', own, TYPE_IPV4, v4('224.0.0.251', 'multicast')),
      ...others.map((to) => ethernet(to, own, TYPE_IPV4, v4('10.40.0.3', 'unicast'))),
      // To the host, which has addresses on the default network: no way across it, nor an answer there.
      ...[hostAddress, '10.40.0.3', ...nameServer.servers.filter((to) => !to.includes(':'))].map(
        (to) => ethernet(self.mac, own, TYPE_IPV4, v4(to, 'through the host')),
      ),
      ethernet(
        ...([self.mac, own, TYPE_IPV6] as const),
        ipv6('fe80::1', hostAddress6, 253, text('six through the host')),
      ),
      // Tagged, and as somebody else.
      ethernet(
        ALL,
        own,
        0x8100,
        Buffer.concat([Buffer.from([0, 5, 8, 0]), v4('10.40.0.255', 'x')]),
      ),
      ethernet(ALL, others[0]!, TYPE_IPV4, v4('10.40.0.255', 'as web')),
      ethernet(ALL, own, TYPE_IPV4, v4('10.40.0.255', 'the end')),
    ];
    const program = [process.execPath, PROGRAM, 'eth-ovl'];
    await thief.must([...program, ...frames.map((frame) => frame.toString('hex'))]);
    await waitFor('the last one', 5000, async () => (await onMate!.sofar()).includes('the end'));
    // What is on its way elsewhere is there soon after this, too.
    await pingAll(web, '10.40.0.3');
    await pingAll(thief, '10.40.0.3');
    const seen = await Promise.all(
      captures.map(async (capture) =>
        framesOf(await capture.stop()).filter((frame) => {
          return frame.includes('networks-test') || frame.subarray(0, 12).includes(mac(own));
        }),
      ),
    );
    assert.deepEqual(
      seen.map((frames) => frames.length > 0),
      [false, false, false, true, false, false],
    );
  });

  it('reach the host by what it exposes on theirs, and no other', async () => {
    const expose = (network: string, address: string) =>
      onAlice.ctl(['expose', '--network', network, address]);
    for (const wrong of ['10.40.1.1/24', '10.40.0.2/24']) {
      assert.notEqual((await expose('blue', wrong)).code, 0, wrong);
    }
    assert.equal((await expose('blue', '10.40.0.1/24')).stdout, '10.40.0.1/24\n');
    await pingAll(alice, '10.40.0.3');
    await pingAll(db, '10.40.0.1');
    assert.equal(await isAnswered(thief, '10.40.0.1'), false);
    const blue = (await listed(onAlice)).find(({ name }) => name === 'blue');
    assert.deepEqual(blue?.targets, [web.namespace, 'this host (exposed)']);
    await onAlice.must('detach', web.namespace);
    await pingAll(db, '10.40.0.1');
    await attach(onAlice, 'blue', '10.40.0.2/24', web);
    assert.equal(await onAlice.must('hide', '--network', 'blue'), '10.40.0.1/24');
    assert.equal(await isAnswered(db, '10.40.0.1'), false);
    await pingAll(db, '10.40.0.2');
  });

  it('come back after kill -9 and with a deleted bridge, with address and MAC', async () => {
    const before = await shown(onAlice, web);
    await onAlice.crash();
    const [bridge] = (await bridges(alice)).filter((name) => !name.endsWith('-t'));
    await alice.ip(['link', 'delete', 'dev', bridge!]);
    onAlice = await alice.startDaemon();
    await onAlice.wait('ready');
    assert.deepEqual(await shown(onAlice, web), before);
    await waitFor('web', 10_000, async () => {
      return (await web.run(['ping', '-c1', '-W1', '10.40.0.3'])).code === 0;
    });
    await waitFor('thief', 10_000, async () => {
      return (await thief.run(['ping', '-c1', '-W1', '10.40.0.3'])).code === 0;
    });
  });

  it('have their bridge again when somebody deleted it under them', async () => {
    const blue = (await listed(onBob)).find(({ name }) => name === 'blue');
    await bob.ip(['link', 'delete', 'dev', blue?.ifname ?? '']);
    await waitFor('db', 5000, () => isAnswered(db, '10.40.0.2'));
    assert.match(await onBob.must('events'), new RegExp(`bridge-restored.*${blue?.ifname} `));
  });

  it('have their TAP again when somebody deleted it under them', async () => {
    const red = (await listed(onAlice)).find(({ name }) => name === 'red');
    const before = await shown(onAlice, thief);
    await alice.ip(['link', 'delete', 'dev', `${red?.ifname}-t`]);
    await waitFor('thief', 5000, () => isAnswered(thief, '10.40.0.3'));
    assert.deepEqual(await shown(onAlice, thief), before);
    assert.match(await onAlice.must('events'), new RegExp(`bridge-restored.*${red?.ifname}-t `));
    // Its place in the data plane is its own again, and nobody else's.
    await pingAll(web, '10.40.0.3');
    assert.equal(await answererOf(thief, '10.40.0.3'), (await shown(onCarol, mate)).mac);
    assert.match(await alice.ip(['link', 'show', `${red?.ifname}-t`]), / mtu 1300 .* master ovn/);
  });

  it('leave no bridge with the last that is detached, and go then', async () => {
    assert.equal((await bridges(alice)).length, 4);
    await onAlice.must('detach', thief.namespace);
    assert.equal((await bridges(alice)).length, 2);
    await onAlice.must('detach', web.namespace);
    assert.deepEqual(await bridges(alice), []);
    assert.equal(await alice.must(['nft', 'list', 'ruleset']), '');
    await onCarol.must('detach', mate.namespace);
    await waitFor('red is empty', 5000, async () => {
      return (await listed(onBob)).find(({ name }) => name === 'red')?.peers.length === 0;
    });
    await onBob.must('network', 'remove', 'red');
    await waitFor('red is gone', 5000, async () => {
      return (await listed(onCarol)).every(({ name }) => name !== 'red');
    });
    await onBob.must('reset');
    assert.equal(await onBob.exit(), 0);
    assert.deepEqual(await bridges(bob), []);
  });
});
