import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServer } from '../../src/api/server.js';
import { startApiServer } from '../../src/api/server.js';
import { meshIdOf, networkIdOf } from '../../src/crypto/mesh.js';
import { NameService } from '../../src/daemon/name-service.js';
import { createNodeTimers } from '../../src/daemon/node-timers.js';
import {
  dnsControl,
  ipamControl,
  networkControl,
  workloadControl,
} from '../../src/daemon/workload-control.js';
import { Exposures } from '../../src/workload/exposures.js';
import { Workloads } from '../../src/workload/workloads.js';
import { FakePortHost } from '../unit/workload/fake-port-host.js';
import type { SimNode } from '../sim/harness.js';
import { Sim } from '../sim/harness.js';
import { quietLog } from './fake-daemon.js';
import type { CliOutcome } from './run-cli.js';
import { runCli } from './run-cli.js';

/** The whole control plane on a fake underlay and virtual time; overlayctl asks one of the nodes. */
describe('overlayctl and a real daemon', () => {
  let directory: string;
  let sim: Sim;
  let a: SimNode;
  let server: ApiServer;
  let host: FakePortHost;
  let names: NameService;
  let makeNames: () => NameService;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'overlayd-test-'));
    sim = await Sim.create(7);
    a = sim.node('alpha');
    await a.start();
    host = new FakePortHost();
    makeNames = () =>
      new NameService(
        {
          ...{ clock: sim.time, rng: sim.rng, timers: createNodeTimers(), state: a.state },
          os: { openBoundSocket: () => assert.fail('serves nobody') },
          files: { sync: () => undefined },
          warn: () => undefined,
        },
        {
          ...{ peer: a.id, domain: 'overlay.internal', bridge: 'overlay0', pool: '10.32.0.0/12' },
          ...{ isServing: false, resolvConf: '/dev/null' },
          idOf: (name) => networkIdOf(meshIdOf('default'), name),
          find: (name) => a.daemon.networks.find(name),
          nameOf: (id) => a.daemon.networks.byId(id)?.name ?? '',
        },
      );
    names = makeNames();
    const workloads = new Workloads(
      {
        ...host.components,
        onChange: (attached) => names.setAttached(attached),
        store: a.state,
        addresses: () => a.daemon.addresses,
        ownAddresses: () => a.daemon.control.status().self.addresses,
      },
      { ifName: 'overlay0', peer: a.id, domain: 'overlay.internal' },
    );
    const exposures = new Exposures(
      {
        ...host.components,
        host: {
          setAddresses: () => Promise.resolve(),
          setMasquerade: () => Promise.resolve(),
          checkMasquerade: () => Promise.resolve(),
        },
        store: a.state,
        addresses: () => a.daemon.addresses,
        holderOf: (address) => workloads.holderOf('default', address),
        onChange: (exposure) => names.setExposed(exposure),
      },
      { domain: 'overlay.internal', owner: 'host' },
    );
    a.daemon.nameUsersBy((network, address) => workloads.holderOf(network, address));
    const more = {
      ...workloadControl(
        workloads,
        {
          expose: (request) => exposures.expose(request),
          hide: (texts) => exposures.hide(texts),
          on: () => exposures.exposure,
          get used() {
            return exposures.exposure.addresses.length > 0 ? ['default'] : [];
          },
        },
        () => 'overlay0',
      ),
      ...dnsControl(names),
      ...ipamControl(a.daemon),
      ...networkControl(a.daemon, workloads, () => undefined, {
        on: () => exposures.exposure,
      }),
    };
    const control = { ...a.daemon.control, ...more };
    server = await startApiServer(join(directory, 's'), control, quietLog);
  });
  afterEach(async () => {
    await server.close();
    await sim.stopAll();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Sleeping lets the simulated network run. */
  function ctl(...argv: string[]): Promise<CliOutcome> {
    return runCli(['--socket', join(directory, 's'), ...argv], {
      monotonicMs: () => sim.time.nowMs(),
      sleep: (ms) => sim.run(ms),
    });
  }

  it('attaches, lists and detaches, and prints the addresses alone', async () => {
    host.namespaces.set('web', 7);
    assert.equal(
      (await ctl('attach', '192.168.0.2/24', 'fd00::2/64', 'web')).out,
      '192.168.0.2/24\nfd00::2/64\n',
    );
    const shown = JSON.parse((await ctl('--json', 'ps')).out) as {
      attachments: Record<string, unknown>[];
    };
    const { mac, ...rest } = shown.attachments[0] ?? {};
    assert.match(String(mac), /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    assert.deepEqual(rest, {
      target: 'web',
      network: 'default',
      ifname: 'eth-ovl',
      addresses: ['192.168.0.2/24', 'fd00::2/64'],
      name: 'web',
      state: 'attached',
      reason: null,
      spoofed: { mac: 0, address: 0 },
    });
    assert.match((await ctl('ps')).out, /^web +default +eth-ovl .* attached/m);
    assert.equal((await ctl('detach', 'fd00::2/64', 'web')).out, 'fd00::2/64\n');
    assert.equal((await ctl('detach', 'web')).out, '192.168.0.2/24\n');
    const again = await ctl('detach', 'web');
    assert.deepEqual([again.code, again.out], [0, '']);
    assert.equal((await ctl('ps')).out, 'Nothing is attached on this host.\n');
  });

  it('names addresses: its own and those of targets', async () => {
    host.namespaces.set('web', 7);
    await ctl('attach', '192.168.0.2/24', 'web');
    assert.equal((await ctl('dns', 'add', 'WEB', '192.168.0.3/24', 'FD00:0::3')).code, 0);
    assert.equal((await ctl('dns', 'lookup', 'web')).out, '192.168.0.2\n192.168.0.3\nfd00::3\n');
    assert.equal((await ctl('dns', 'lookup', '192.168.0.3')).out, 'web.overlay.internal\n');
    assert.match((await ctl('dns', 'list')).out, /^web\.overlay\.internal +default +192/m);
    assert.equal((await ctl('dns', 'remove', 'web')).out, '192.168.0.3\nfd00::3\n');
    assert.equal((await ctl('dns', 'remove', 'web')).out, '');
    assert.equal((await ctl('dns', 'lookup', 'web')).out, '192.168.0.2\n');
    const code = async (...words: string[]): Promise<string> => {
      const { err } = await ctl('--json', 'dns', ...words);
      return (JSON.parse(err) as { error: { code: string } }).error.code;
    };
    assert.equal(await code('lookup', 'nobody'), 'OVL_NOT_FOUND');
    assert.equal(await code('add', 'web', 'x'), 'OVL_ADDRESS_INVALID');
    assert.equal(await code('add', 'web.example.com', '10.0.0.1'), 'OVL_NAME_INVALID');
    assert.equal(await code('add', 'web'), 'OVL_USAGE');
    assert.equal(await code('sing'), 'OVL_USAGE');
  });

  it('keeps names of each network apart', async () => {
    const add = (...words: string[]) => ctl('dns', 'add', ...words);
    const lookup = async (...words: string[]) => (await ctl('dns', 'lookup', ...words)).out;
    const unknown = await add('--network', 'blue', 'www', '10.80.0.5');
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /no network 'blue' \(OVL_NOT_FOUND\)\. Networks: default\./);
    assert.equal((await ctl('network', 'create', 'blue')).code, 0);
    assert.equal((await add('--network', 'blue', 'www', '10.80.0.5')).out, '10.80.0.5\n');
    assert.equal((await add('--network', 'blue', 'a.b.overlay.internal', '10.80.0.6')).code, 0);
    assert.equal(await lookup('www'), '10.80.0.5\n');
    await add('www', '10.32.0.5');
    assert.equal(await lookup('www'), '10.32.0.5\n');
    assert.equal(await lookup('www', '--network', 'blue'), '10.80.0.5\n');
    assert.equal(await lookup('10.80.0.5', '--network', 'default'), '');
    assert.match((await ctl('dns', 'list')).out, /www\S+ +default[^]*www\S+ +blue/);
    assert.doesNotMatch((await ctl('dns', 'list', '--network', 'blue')).out, /default/);
    assert.equal((await ctl('dns', 'remove', 'www')).out, '10.32.0.5\n');
    assert.equal(await lookup('www', '--network', 'blue'), '10.80.0.5\n');
    // Over a restart, and gone with the network.
    const stored = () => [...a.state.declared('dns/')].map(([key]) => key).sort();
    assert.deepEqual(stored(), ['dns/a.b@blue', 'dns/www@blue']);
    names = makeNames();
    assert.equal(names.dnsLookup('a.b.overlay.internal', 'blue').answers[0], '10.80.0.6');
    a.daemon.networks.onGone((id) => names.forgetNetwork(id));
    assert.equal((await ctl('network', 'remove', 'blue')).code, 0);
    assert.deepEqual(stored(), []);
    assert.equal(names.dnsNames().names.length, 0);
  });

  it('has pools and reservations of each network, also of one that began without subnets', async () => {
    const ipam = (...words: string[]) => ctl('ipam', ...words);
    const attach = async (network: string, owner = '1') =>
      a.daemon.addressesOf(network).give(owner, undefined);
    for (const words of [['status'], ['reserve', '10.80.0.9'], ['pool', 'add', '10.80.0.0/24']]) {
      const { code, err } = await ipam(...words, '--network', 'blue');
      assert.equal(code, 1);
      assert.match(err, /no network 'blue' \(OVL_NOT_FOUND\)\. Networks: default\./);
    }
    await ctl('network', 'create', 'blue', '--subnet', '10.80.0.0/28');
    await ctl('network', 'create', 'free');
    assert.equal((await ipam('reserve', '10.80.0.1-10.80.0.12', '--network', 'blue')).code, 0);
    assert.match(await attach('blue'), /^10\.80\.0\.1[34]\/28$/);
    const status = await ipam('status', '--network', 'blue');
    assert.match(status.out, /10\.80\.0\.0\/28 [^]*1 in use .*, 1 reserved: 10\.80\.0\.1-10/);
    assert.doesNotMatch(status.out, /10\.32/);
    assert.equal((await ipam('release', '10.80.0.12', '--network', 'blue')).code, 0);
    // One more, which need not be of its subnets; the only one stays.
    assert.match(
      (await ipam('pool', 'remove', '10.80.0.0/28', '--network', 'blue')).err,
      /IN_USE|only/,
    );
    assert.equal((await ipam('pool', 'add', '10.81.0.0/24', '--network', 'blue')).code, 0);
    const blue = a.daemon.networks.find('blue').id;
    assert.deepEqual([...a.daemon.poolsOf(blue)].sort(), ['10.80.0.0/28', '10.81.0.0/24']);
    const fromOther = a.daemon.addressesOf('blue').give('2', '10.81.0.0/24');
    assert.match(await fromOther, /^10\.81\.0\.\d+\/24$/);
    assert.match((await ipam('pool', 'add', '10.81.0.0/25', '--network', 'blue')).err, /overlaps/);
    // The same range elsewhere is another pool.
    await assert.rejects(attach('free'), { code: 'OVL_ADDRESS_UNAVAILABLE' });
    assert.equal((await ipam('pool', 'add', '10.81.0.0/24', '--network', 'free')).code, 0);
    assert.match(await attach('free'), /^10\.81\.0\.\d+\/24$/);
    const { used } = JSON.parse((await ctl('--json', 'ipam', 'status')).out) as {
      used: { network: string }[];
    };
    assert.deepEqual(used.map(({ network }) => network).sort(), ['blue', 'blue', 'free']);
    a.daemon.addressesOf('free').keep(new Map());
    assert.equal((await ipam('pool', 'remove', '10.81.0.0/24', '--network', 'free')).code, 0);
    assert.match((await ipam('status', '--network', 'free')).out, /no address pool/);
    // A network of that name that is made later knows nothing of it.
    a.daemon.addressesOf('blue').keep(new Map());
    await ctl('network', 'remove', 'blue');
    await ctl('network', 'create', 'blue', '--subnet', '10.80.0.0/28');
    await sim.run(100);
    assert.deepEqual(a.daemon.poolsOf(blue), ['10.80.0.0/28']);
  });

  it('exposes and hides addresses of the host, by name if one is given', async () => {
    host.namespaces.set('web', 7);
    await ctl('attach', '192.168.0.2/24', 'web');
    assert.equal(
      (await ctl('expose', '192.168.0.1/24', 'fd00::1/64', '--name', 'gw')).out,
      '192.168.0.1/24\nfd00::1/64\n',
    );
    assert.equal((await ctl('dns', 'lookup', 'gw')).out, '192.168.0.1\nfd00::1\n');
    assert.match((await ctl('expose', '192.168.0.2/24')).err, /OVL_ADDRESS_IN_USE/);
    const shown = JSON.parse((await ctl('--json', 'ps')).out) as { exposures: unknown };
    assert.deepEqual(shown.exposures, [
      {
        ...{ network: 'default', ifname: 'overlay0', masquerade: true, name: 'gw' },
        addresses: ['192.168.0.1/24', 'fd00::1/64'],
      },
    ]);
    assert.match((await ctl('ps')).out, /^\(this host\) +default +overlay0 .* gw +exposed$/m);
    assert.equal((await ctl('hide', 'fd00::1/64')).out, 'fd00::1/64\n');
    assert.equal((await ctl('hide')).out, '192.168.0.1/24\n');
    assert.equal((await ctl('hide')).out, '');
    assert.equal((await ctl('dns', 'lookup', 'gw')).code, 1);
  });

  it('gives the host an address of the pool that nobody else gets, until it is hidden', async () => {
    host.namespaces.set('web', 7);
    const { out } = await ctl('expose');
    assert.match(out, /^10\.(3[2-9]|4[0-7])\.\d+\.\d+\/12\n$/);
    assert.equal((await ctl('expose')).out, out);
    assert.match((await ctl('attach', out.trim(), 'web')).err, /OVL_ADDRESS_IN_USE/);
    assert.match((await ctl('expose', 'net:10.33.0.0/24')).out, /^10\.33\.0\.\d+\/24\n$/);
    assert.match((await ctl('ipam', 'status')).out, /^2 in use on this host/m);
    assert.equal((await ctl('hide', out.trim())).out, out);
    assert.match((await ctl('ipam', 'status')).out, /^1 in use on this host/m);
    assert.match((await ctl('expose', 'none')).err, /OVL_ADDRESS_INVALID/);
    assert.match(
      (await ctl('dns', 'lookup', '10.32.0.250')).err,
      /No name in the mesh stands for the address 10\.32\.0\.250/,
    );
  });

  it('gives addresses of the pool, keeps chosen ones from others, and shows who holds what', async () => {
    for (const name of ['web', 'db']) host.namespaces.set(name, 7);
    const { out } = await ctl('attach', 'web');
    assert.match(out, /^10\.(3[2-9]|4[0-7])\.\d+\.\d+\/12\n$/);
    assert.equal((await ctl('attach', 'web')).out, out);
    const other = await ctl('attach', 'db');
    assert.notEqual(other.out, out);
    assert.match((await ctl('attach', 'net:10.33.0.0/24', 'db')).out, /^10\.33\.0\.\d+\/24\n$/);
    assert.equal((await ctl('ipam', 'reserve', '10.32.0.9')).code, 0);
    assert.match((await ctl('attach', '10.32.0.9/12', 'web')).err, /OVL_ADDRESS_IN_USE/);
    assert.match(
      (await ctl('ipam', 'status')).out,
      /alpha.* 1048576 +1\n[^]*3 in use .* 1 reserved: 10\.32\.0\.9/,
    );
    assert.equal((await ctl('ipam', 'release', '10.32.0.9')).code, 0);
    assert.equal((await ctl('attach', '10.32.0.9/12', 'web')).out, '10.32.0.9/12\n');
    assert.equal((await ctl('ipam', 'pool', '10.80.0.0/24')).code, 0);
    assert.match((await ctl('attach', 'net:10.80.0.0/24', 'web')).out, /^10\.80\.0\.\d+\/24\n$/);
    assert.match((await ctl('ipam', 'pool', '10.32.0.0/16')).err, /overlaps the pool 10\.32/);
    assert.match(
      (await ctl('ipam', 'pool', 'remove', '10.80.0.0/24')).err,
      /OVL_ADDRESS_IN_USE|10\.80\.0\.\d+ is in use here/,
    );
    assert.equal((await ctl('detach', 'web')).code, 0);
    const { used } = a.daemon.addresses.document();
    assert.equal(used.length, 2);
    assert.equal((await ctl('ipam', 'pool', 'remove', '10.80.0.0/24')).code, 0);
    assert.equal((await ctl('ipam', 'pool', 'remove', '10.80.0.0/24')).code, 0);
    assert.match(
      (await ctl('ipam', 'pool', 'remove', '10.32.0.0/12')).err,
      /10\.47\.\d+\.\d+\/12 is a node's own address \(OVL_ADDRESS_IN_USE\)/,
    );
    assert.match((await ctl('attach', 'net:10.80.0.0/24', 'web')).err, /OVL_ADDRESS_UNAVAILABLE/);
  });

  it('keeps ranges from being handed out, less what is excepted, and gives back parts of them', async () => {
    const reserved = (): readonly string[] => a.daemon.addresses.document().reserved;
    assert.equal((await ctl('ipam', 'reserve', '10.33.0.0/28', '--except', '10.33.0.3')).code, 0);
    assert.deepEqual(reserved(), ['10.33.0.0-10.33.0.2', '10.33.0.4-10.33.0.15']);
    assert.equal((await ctl('ipam', 'reserve', '10.33.0.16-10.33.0.31')).code, 0);
    assert.equal((await ctl('ipam', 'reserve', '10.33.0.20')).code, 0);
    assert.equal((await ctl('ipam', 'release', '10.33.0.0/29')).code, 0);
    assert.deepEqual(reserved(), ['10.33.0.8-10.33.0.31']);
    assert.equal((await ctl('ipam', 'release', '10.33.0.0-10.33.0.255')).code, 0);
    assert.deepEqual(reserved(), []);
    for (const text of ['10.33.0.9-10.33.0.1', '10.33.0.1-fd00::1', 'all', '10.33.0.1/24']) {
      assert.match((await ctl('ipam', 'reserve', text)).err, /OVL_ADDRESS_INVALID/);
    }
  });

  it('says who uses an address that is to be released or reserved, and changes nothing', async () => {
    host.namespaces.set('web', 7);
    assert.equal((await ctl('attach', '10.32.0.9/12', 'web')).code, 0);
    for (const text of ['10.32.0.9', '10.32.0.0/28', '10.32.0.1-10.32.0.20']) {
      const released = await ctl('ipam', 'release', text);
      assert.equal(released.code, 1);
      assert.match(
        released.err,
        /is reserved here: 10\.32\.0\.9 is in use by web \(OVL_ADDRESS_IN_USE\).*detach web/s,
      );
      const kept = await ctl('ipam', 'reserve', text);
      assert.equal(kept.code, 1);
      assert.match(
        kept.err,
        /cannot be reserved: 10\.32\.0\.9 is in use here by web \(OVL_ADDRESS_IN_USE\).*--except/s,
      );
    }
    host.namespaces.set('db', 8);
    assert.match((await ctl('attach', '10.32.0.9/12', 'db')).err, /in use here by web/);
    assert.deepEqual(a.daemon.addresses.document().reserved, []);
    // What is reserved of a range goes, whatever else is there.
    await ctl('ipam', 'reserve', '10.32.0.0/28', '--except', '10.32.0.9');
    assert.equal((await ctl('ipam', 'release', '10.32.0.0/28')).code, 0);
    assert.deepEqual(a.daemon.addresses.document().reserved, []);
    // Free, and not reserved: it stands as asked. So does what was freed this very moment, for who names it.
    assert.equal((await ctl('ipam', 'release', '10.32.0.77')).code, 0);
    assert.equal((await ctl('detach', 'web')).code, 0);
    assert.equal((await ctl('attach', '10.32.0.9/12', 'db')).out, '10.32.0.9/12\n');
  });

  it('releases neither a node’s own address, nor what others hold, nor what is in no pool', async () => {
    const own = a.daemon.control.status().self.addresses[0]?.split('/')[0] ?? '';
    assert.match((await ctl('ipam', 'release', own)).err, /in use by a node as its own/);
    assert.match((await ctl('ipam', 'release', '192.168.7.1')).err, /192\.168\.7\.1 is in no pool/);
    const b = await linked();
    await sim.until('one pool', () => b.daemon.addresses.document().pools.length === 1, 5000);
    const reserved = b.daemon.addresses.reserve('10.32.9.0/28', []);
    await sim.run(1000);
    await reserved;
    assert.match(
      (await ctl('ipam', 'release', '10.32.9.4')).err,
      /Nothing of 10\.32\.9\.4 is reserved here: the space is held by beta.*release' there/s,
    );
  });

  it('lists pools, and refuses what is none, no word, or an option of another word', async () => {
    await ctl('ipam', 'pool', 'add', '10.80.0.0/24');
    const list = await ctl('ipam', 'pool', 'list');
    assert.match(
      list.out,
      /^POOL +NETWORK +HOLDERS\n10\.\d+\.0\.0\/\d+ +default +1\n10\..* +default +1\n$/,
    );
    const pools = JSON.parse((await ctl('--json', 'ipam', 'pool', 'list')).out) as {
      pools: { range: string }[];
    };
    assert.deepEqual(pools.pools.map(({ range }) => range).sort(), [
      '10.32.0.0/12',
      '10.80.0.0/24',
    ]);
    const wrong: [RegExp, ...string[]][] = [
      [/no 'ipam pool rm'.*Usage/s, 'pool', 'rm', '10.80.0.0/24'],
      [/'ipam pool' wants list, add or remove/, 'pool'],
      [/'ipam pool list' takes no arguments/, 'pool', 'list', 'all'],
      [
        /takes at most 3 arguments, got '10\.82\.0\.0\/24'/,
        'pool',
        'add',
        '10.81.0.0/24',
        '10.82.0.0/24',
      ],
      [/wants an address.* no '10\.32\.0\.8' behind it/, 'release', '10.32.0.9', '10.32.0.8'],
      [/'ipam release' has no option --except/, 'release', '10.32.0.9', '--except', '10.32.0.9'],
      [/'ipam pool' has no option --except/, 'pool', 'list', '--except', '10.32.0.9'],
      [/leaves nothing of 10\.32\.0\.9/, 'reserve', '10.32.0.9', '--except', '10.32.0.0/24'],
      [/'x' is no address/, 'reserve', '10.32.0.9', '--except', 'x'],
      [/'10\.80\.0\.9' is not a range/, 'pool', 'add', '10.80.0.9'],
      [/'10\.80\.0\.9\/24' is not a range/, 'pool', 'add', '10.80.0.9/24'],
      [/has no address to hand out/, 'pool', 'add', '10.90.0.0/31'],
      [/hosts do not use 127\.0\.0\.0\/8 for that/, 'pool', 'add', '127.1.0.0/16'],
      [/hosts do not use fe80::\/10 for that/, 'pool', 'add', 'fe80::/64'],
      [/it is too large/, 'pool', 'add', '64.0.0.0/4'],
      [/10\.80\.0\.0\/25 is no pool: 10\.80\.0\.0\/24 is one/, 'pool', 'remove', '10.80.0.0/25'],
      [/cannot be reserved: 192\.168\.7\.1 is in no pool/, 'reserve', '192.168.7.1'],
      [/cannot be reserved: 10\.47\.255\.1 is never handed out/, 'reserve', '10.47.255.1'],
    ];
    for (const [said, ...words] of wrong) {
      const { code, err } = await ctl('ipam', ...words);
      assert.notEqual(code, 0, words.join(' '));
      assert.match(err, said);
    }
    assert.equal(a.daemon.addresses.document().pools.length, 2);
  });

  it('refuses to attach with a code and a cure, and attaches nothing', async () => {
    host.namespaces.set('web', 7);
    const cases = [
      [['10.47.255.9/12', 'web'], 'OVL_ADDRESS_UNAVAILABLE', 1],
      [['net:192.168.7.0/24', 'web'], 'OVL_ADDRESS_UNAVAILABLE', 1],
      [['10.1.2.3', 'web'], 'OVL_ADDRESS_INVALID', 2],
      [['10.1.2.0/24', 'web'], 'OVL_ADDRESS_INVALID', 2],
      [['10.1.2.3/24', 'nowhere'], 'OVL_TARGET_UNKNOWN', 1],
      [['10.1.2.3/24', 'web', '--gateway', '10.9.0.1'], 'OVL_ADDRESS_INVALID', 2],
      [['10.1.2.3/24', 'web', '--mtu', '9000'], 'OVL_USAGE', 2],
      [['10.1.2.3/24', 'web', '--mtu', 'big'], 'OVL_USAGE', 2],
      [['10.1.2.3/24', 'web', '--mac', 'ff:ff:ff:ff:ff:ff'], 'OVL_USAGE', 2],
    ] as const;
    for (const [words, wanted, exit] of cases) {
      const { code, out, err } = await ctl('--json', 'attach', ...words);
      const { error } = JSON.parse(err) as { error: { code: string; cure: string } };
      assert.deepEqual([error.code, code, out], [wanted, exit, ''], words.join(' '));
      assert.ok(error.cure.length > 0);
    }
    assert.deepEqual([...host.ports.keys()], []);
  });

  async function linked(): Promise<SimNode> {
    const b = sim.node('beta', { peers: [a.address] });
    await b.start();
    assert.equal((await ctl('status', '--wait', 'peers=2', '--timeout', '3')).code, 0);
    await sim.until('names travel', () => a.peerRow(b)?.nickname === 'beta', 1000);
    return b;
  }

  it('every document has the shape that overlayctl expects, alone and linked', async () => {
    const verbs = [['status'], ['peers'], ['routes'], ['report'], ['events'], ['version']];
    for (const verb of verbs) {
      const { code, err } = await ctl('--json', ...verb);
      assert.deepEqual([code, err], [0, ''], verb.join());
    }
    const b = await linked();
    for (const verb of [...verbs, ['paths', 'beta'], ['paths', b.id.slice(0, 8)]]) {
      for (const json of [[], ['--json']]) {
        const { code, err } = await ctl(...verb, ...json);
        assert.deepEqual([code, err], [0, ''], verb.join());
      }
    }
  });

  it('peer remove refuses who lives, takes who is silent, and nobody else', async () => {
    const b = await linked();
    const codes = async (...words: string[]): Promise<string> => {
      const { code, out, err } = await ctl('--json', 'peer', 'remove', ...words);
      assert.deepEqual([code, out], [1, ''], words.join());
      return (JSON.parse(err) as { error: { code: string } }).error.code;
    };
    assert.equal(await codes('beta'), 'OVL_PEER_ALIVE');
    assert.equal(await codes('--force', 'beta'), 'OVL_PEER_ALIVE');
    assert.equal(await codes('alpha'), 'OVL_PEER_SELF');
    assert.equal(await codes('gamma'), 'OVL_NOT_FOUND');
    assert.equal(await codes(b.id.slice(0, 7)), 'OVL_NOT_FOUND');
    b.kill();
    await sim.run(90_000);
    const done = await ctl('peer', 'remove', 'beta');
    assert.deepEqual([done.code, done.out], [0, `Removed: beta (${b.id.slice(0, 8)})\n`]);
    const again = await ctl('--json', 'peer', 'remove', b.id);
    assert.deepEqual([again.code, again.err], [0, '']);
    assert.equal((JSON.parse(again.out) as { state: string }).state, 'removed');
    assert.doesNotMatch((await ctl('peers')).out, /beta/);
  });

  it('status tells of two nodes and one link', async () => {
    await linked();
    const { out } = await ctl('status');
    assert.match(
      out,
      /^overlayd \S+ is ready: 2 nodes \(this one included\), 1 link established\n/,
    );
    assert.match(out, / {2}encryption {2}on\n/);
  });

  it('connect --wait links, forget forgets', async () => {
    const b = sim.node('beta');
    await b.start();
    const connected = await ctl('connect', '--wait', b.address);
    assert.deepEqual(connected, { code: 0, out: `Connected to ${b.address}:6783\n`, err: '' });
    assert.ok(a.sees(b));
    assert.equal((await ctl('forget', b.address)).out, `Forgotten: ${b.address}:6783\n`);
    assert.equal((await ctl('forget', b.address)).out, `Was not stored: ${b.address}:6783\n`);
    assert.ok(a.sees(b), 'a link that is up stays up');
  });

  it('connect --wait names the wrong password, and events says what to do', async () => {
    const b = sim.node('beta', { password: 'another' });
    await b.start();
    const { code, out, err } = await ctl('connect', '--wait', '--timeout', '8', b.address);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /192\.0\.2\.2:6783 is rejected \(.*password.*\) \(OVL_TIMEOUT\)/);
    const events = await ctl('events');
    assert.match(events.out, / {2}wrong-password .*\n {4}what to do: /);
  });

  it('connect refuses what is no endpoint, as bad usage', async () => {
    for (const text of ['no such host', 'host:0', 'host:99999', '[::1', '2001:db8::1:x']) {
      const { code, out, err } = await ctl('connect', text);
      assert.deepEqual([code, out], [2, ''], text);
      assert.match(err, /\(OVL_ENDPOINT_INVALID\)/);
    }
  });

  it('paths of an unknown peer, and of one too few digits name, are refused', async () => {
    const b = await linked();
    assert.match((await ctl('paths', 'gamma')).err, /OVL_NOT_FOUND/);
    assert.match((await ctl('paths', b.id.slice(0, 7))).err, /at least 8 digits/);
  });
});
