import assert from 'node:assert/strict';
import { dirname } from 'node:path';

import { createSystemRng } from '../../src/base/system-rng.js';
import { sodiumReady } from '../../src/crypto/sodium.js';
import { openStateStore } from '../../src/daemon/state-store.js';
import type { TestDaemon } from './lib/daemon.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a                         b              namespaces, attached: 192.168.0.2, .3
 *     |                         |
 *     alice eth0 -------- eth0 bob             the daemons' hosts
 *     eth1
 *      |
 *     lan                                      another host, which knows nothing of the overlay
 */

describe('exposed addresses of a host', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let bob: Host;
  let lan: Host;
  let a: Host;
  let b: Host;
  let onAlice: TestDaemon;
  let onBob: TestDaemon;

  before(async () => {
    topology = await Topology.create();
    [alice, bob, lan] = [
      await topology.host('alice'),
      await topology.host('bob'),
      await topology.host('lan'),
    ];
    [a, b] = [await topology.host('a'), await topology.host('b')];
    await topology.link(alice, bob);
    await topology.link(alice, lan);
    await alice.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    onAlice = await alice.startDaemon();
    await onAlice.wait('ready');
    onBob = await bob.startDaemon({ peers: [alice.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    await onAlice.must('attach', '192.168.0.2/24', a.namespace);
    await onBob.must('attach', '192.168.0.3/24', b.namespace);
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    await onBob.must('detach', b.namespace);
    await topology.dispose();
  });

  it('reach the targets of all hosts, and are reached by name', async () => {
    assert.equal(await isAnswered(alice, '192.168.0.3'), false);
    const words = ['expose', '192.168.0.1/24', '--name', 'gw'];
    assert.equal(await onAlice.must(...words), '192.168.0.1/24');
    assert.equal(await onAlice.must(...words), '192.168.0.1/24');
    for (const target of ['192.168.0.2', '192.168.0.3']) await pingAll(alice, target);
    await pingAll(b, '192.168.0.1');
    await waitFor('the name', 5000, async () => {
      return (await onBob.must('dns', 'list')).includes('gw.overlay.internal');
    });
    await b.must(['ping', '-c1', '-W2', 'gw']);
  });

  it('let targets out, and others in, masqueraded both ways', async () => {
    const [lanAddress = ''] = lan.addresses.filter((address) => !address.includes(':'));
    await b.ip(['route', 'add', 'default', 'via', '192.168.0.1']);
    await pingAll(b, lanAddress);
    const router = alice.addresses.filter((address) => !address.includes(':'))[1]!;
    await lan.ip(['route', 'add', '192.168.0.0/24', 'via', router]);
    await a.ip(['route', 'flush', 'table', 'main', 'proto', 'static']);
    await pingAll(lan, '192.168.0.2');
    await pingAll(lan, '192.168.0.3');
  });

  it('are masqueraded again after all rules were flushed', async () => {
    await alice.must(['nft', 'flush', 'ruleset']);
    await waitFor('rules', 12_000, async () => {
      return (await alice.must(['nft', 'list', 'ruleset'])).includes('masquerade');
    });
    await pingAll(lan, '192.168.0.2');
  });

  it('publish a service of a target by a port of the host', async () => {
    const router = alice.addresses.filter((address) => !address.includes(':'))[1]!;
    await alice.nft(`
      add table ip publish
      add chain ip publish in { type nat hook prerouting priority -100; }
      add rule ip publish in tcp dport 8080 dnat to 192.168.0.3:80
    `);
    const server = b.run(['timeout', '25', 'python3', '-c', SERVER]);
    await waitFor('the service', 8000, async () => {
      const outcome = await lan.run(['python3', '-c', CLIENT, router]);
      return outcome.stdout.includes('hello');
    });
    await server;
  });

  it('are there again after a crash, and not once they are hidden', async () => {
    const given = await onAlice.must('expose');
    const [address = ''] = given.split('/');
    await pingAll(bob, address);
    await onAlice.crash();
    await alice.ip(['address', 'del', '192.168.0.1/24', 'dev', 'overlay0']);
    onAlice = await alice.startDaemon({ peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    await pingAll(alice, '192.168.0.3');
    const own = await onAlice.address(4);
    // Its place in the pool, too: it is the same one that is given.
    assert.equal(await onAlice.must('expose'), given);
    assert.match(await onAlice.must('ps'), new RegExp(`${given} +gw +exposed$`));
    await pingAll(bob, address);
    assert.equal(await onAlice.must('hide', '192.168.0.1/24'), '192.168.0.1/24');
    assert.equal(await onAlice.must('hide'), given);
    assert.equal(await onAlice.must('hide'), '');
    assert.equal(await isAnswered(alice, '192.168.0.2'), false);
    assert.doesNotMatch(await alice.must(['nft', 'list', 'ruleset']), /table inet/);
    assert.match(await alice.ip(['address', 'show', 'dev', 'overlay0']), new RegExp(own));
  });

  it('that a crash kept from being written down are nobody’s after the next start, on any network', async () => {
    const kept = await onAlice.must('expose');
    await onAlice.must('expose', '10.44.1.9/12');
    await onAlice.must('network', 'create', 'blue', '--subnet', '10.80.0.0/24');
    await onAlice.must('expose', '--network', 'blue', '10.80.0.9/24');
    const used = async () => {
      const { used: all } = (await onAlice.json('ipam', 'status')) as {
        used: { address: string }[];
      };
      return all.map(({ address }) => address).sort();
    };
    const addressOf = (cidr: string) => cidr.split('/')[0] ?? '';
    assert.deepEqual(await used(), [addressOf(kept), '10.44.1.9', '10.80.0.9'].sort());
    await onAlice.crash();
    // As it is when the crash comes between the mesh's answer and the store.
    await declare(onAlice, 'expose/default', { addresses: [kept], masquerade: true, name: null });
    await declare(onAlice, 'expose/blue', undefined);
    await alice.ip(['address', 'del', '10.44.1.9/12', 'dev', 'overlay0']);
    onAlice = await alice.startDaemon({ peers: [bob.address(4)] });
    await Promise.all([onAlice.wait('peers=2'), onBob.wait('peers=2')]);
    assert.deepEqual(await used(), [addressOf(kept)]);
    await onAlice.must('network', 'remove', 'blue');
    assert.equal(await onAlice.must('hide'), kept);
    assert.deepEqual(await used(), []);
  });

  it('keep sources as they are without masquerading', async () => {
    await onAlice.must('expose', '192.168.0.1/24', '--no-masquerade');
    assert.equal(await isAnswered(lan, '192.168.0.2'), false);
    await a.ip(['route', 'add', 'default', 'via', '192.168.0.1']);
    await pingAll(lan, '192.168.0.2');
  });

  it('go with a reset, rules and all', async () => {
    await onAlice.must('reset');
    assert.equal(await onAlice.exit(), 0);
    assert.doesNotMatch(await alice.must(['nft', 'list', 'ruleset']), /overlayd/);
    assert.doesNotMatch(await alice.ip(['rule']), /169\.254/);
    assert.deepEqual(await a.interfaces(), ['lo']);
  });
});

/** Writes into the state directory of a daemon that is not there. */
async function declare({ socket }: TestDaemon, key: string, value: object | undefined) {
  await sodiumReady();
  const silent = () => undefined;
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const ownUid = process.getuid?.() ?? 0;
  const store = openStateStore(dirname(socket), { rng: createSystemRng(), log, ownUid });
  store.writeDeclared(key, value);
  await store.close();
}

const SERVER = `
import socket
s = socket.create_server(('0.0.0.0', 80))
c, _ = s.accept()
c.sendall(b'hello')
c.close()
`;

const CLIENT = `
import socket, sys
try: print(socket.create_connection((sys.argv[1], 8080), 1).recv(5).decode())
except OSError: pass
`;
