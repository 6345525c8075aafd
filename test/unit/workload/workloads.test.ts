import assert from 'node:assert/strict';

import { OverlayError } from '../../../src/base/errors.js';
import type { PeerId } from '../../../src/model/peer-id.js';
import { Workloads, type WorkloadComponents } from '../../../src/workload/workloads.js';
import { FakePortHost } from './fake-port-host.js';

const OPTIONS = {
  ifName: 'overlay0',
  peer: '00112233445566778899aabbccddeeff' as PeerId,
  domain: 'overlay.internal',
};

describe('workloads', () => {
  let host: FakePortHost;
  /** On disk: JSON. */
  let cells: Map<string, string>;
  let isDiskFull: boolean;

  beforeEach(() => {
    host = new FakePortHost();
    cells = new Map();
    isDiskFull = false;
    host.namespaces.set('web', 1);
    host.namespaces.set('db', 2);
  });

  function make(
    peer = OPTIONS.peer,
    onChange?: WorkloadComponents['onChange'],
    onSpoof?: WorkloadComponents['onSpoof'],
  ): Workloads {
    const store = {
      attachments: () => [...cells].map(([id, text]) => [id, JSON.parse(text) as unknown] as const),
      writeAttachment: async (id: string, value: object | undefined) => {
        if (isDiskFull) throw new Error('disk full');
        if (value) cells.set(id, JSON.stringify(value));
        else cells.delete(id);
      },
    };
    const ownAddresses = (): string[] => ['10.47.0.9/12'];
    const components = {
      ...host.components,
      store,
      ownAddresses,
      otherOwners: (network: string) =>
        new Map(network === 'default' ? [['host', ['10.32.0.1/12']]] : []),
      ...(onChange && { onChange }),
      ...(onSpoof && { onSpoof }),
    };
    return new Workloads(components, { ...OPTIONS, peer });
  }

  const attach = (workloads: Workloads, target: string, ...addresses: string[]) =>
    workloads.attach({ target, addresses });
  const onlyPort = (): string => [...host.ports.keys()][0] ?? 'none';
  /** Everything that was asked for by now is done. */
  const settle = (workloads: Workloads) => workloads.detach('nothing', []);

  it('says at the start whose addresses are whose, on every network: all else was left by a crash', async () => {
    host.bridges.add('blue');
    await attach(make(), 'web', '10.1.0.2/24', '10.1.0.3/24');
    await make().attach({ target: 'db', network: 'blue', addresses: ['10.80.0.5/16'] });
    const next = make();
    const ownerOf = (cidr: string) => [...cells].find(([, text]) => text.includes(cidr))?.[0];
    await next.start();
    const kept = Object.fromEntries([...host.kept].map(([name, owned]) => [name, [...owned]]));
    const exposed = ['host', ['10.32.0.1/12']];
    assert.deepEqual(kept, {
      default: [[ownerOf('10.1.0.2'), ['10.1.0.2/24', '10.1.0.3/24']], exposed],
      blue: [[ownerOf('10.80.0.5'), ['10.80.0.5/16']]],
      red: [],
      free: [],
    });
    await next.stop();
  });

  it('is the same after asking twice, and adds addresses', async () => {
    const workloads = make();
    assert.deepEqual(await attach(workloads, 'web', 'ip:10.1.0.2/24'), ['10.1.0.2/24']);
    const before = workloads.list();
    assert.deepEqual(await attach(workloads, 'web', '10.1.0.2/24'), ['10.1.0.2/24']);
    assert.deepEqual(workloads.list(), before);
    await attach(workloads, 'web', 'FD00:0::5/64');
    assert.deepEqual(workloads.list()[0]?.addresses, ['10.1.0.2/24', 'fd00::5/64']);
    assert.deepEqual(host.addressesOf(onlyPort()), ['10.1.0.2/24', 'fd00::5/64']);
    assert.equal(host.ports.size, 1);
  });

  it('does one thing after the other', async () => {
    const workloads = make();
    await Promise.all([
      attach(workloads, 'web', '10.1.0.2/24'),
      workloads.detach('web', []),
      attach(workloads, 'web', '10.1.0.3/24'),
    ]);
    assert.deepEqual(workloads.list()[0]?.addresses, ['10.1.0.3/24']);
  });

  it('attaches several targets at once; one that fails leaves nothing, and the others alone', async () => {
    const workloads = make();
    const targets = Array.from({ length: 6 }, (_, at) => `t${at}`);
    for (const [at, name] of targets.entries()) host.namespaces.set(name, 10 + at);
    const create = host.createPort.bind(host);
    let underWay = 0;
    let most = 0;
    host.createPort = async (spec) => {
      most = Math.max(most, (underWay += 1));
      assert.ok(host.guarded.some((guarded) => guarded.port === spec.port));
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      if (spec.inside?.addresses.includes('10.1.0.3/24')) throw new Error('no');
      await create(spec);
    };
    const outcomes = await Promise.allSettled(
      targets.map((target, at) => attach(workloads, target, `10.1.0.${at}9/24`, `10.1.0.${at}/24`)),
    );
    assert.equal(most, 5, 'all but the one whose address is that of its subnet');
    assert.deepEqual(
      outcomes.map(({ status }) => status === 'fulfilled'),
      [false, true, true, false, true, true],
    );
    assert.deepEqual([workloads.list().length, host.ports.size, cells.size], [4, 4, 4]);
    assert.equal(host.guarded.length, 4);
    assert.ok(host.released.includes('10.1.0.39/24'));
    await Promise.all(targets.map((target) => workloads.detach(target, [])));
    assert.deepEqual([workloads.list(), host.ports.size, cells.size, host.guarded], [[], 0, 0, []]);
  });

  it('gives an address, and a MAC, to one of those that ask for it at once', async () => {
    const workloads = make();
    const mac = '02:00:00:00:00:07';
    const ask = (target: string, address: string) =>
      workloads.attach({ target, addresses: [address], mac });
    const outcomes = await Promise.allSettled([
      attach(workloads, 'web', '10.1.0.2/24'),
      attach(workloads, 'db', '10.1.0.2/24'),
      ask('tap:vm1', '10.1.0.3/24'),
      ask('tap:vm2', '10.1.0.4/24'),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? '' : codeOf(outcome.reason))),
      ['', 'OVL_ADDRESS_IN_USE', '', 'OVL_TARGET_CONFLICT'],
    );
    assert.deepEqual([host.ports.size, cells.size], [2, 2]);
  });

  it('keeps a target that goes guarded, and its address, while another one comes', async () => {
    const workloads = make();
    await attach(workloads, 'web', '10.1.0.2/24');
    const web = onlyPort();
    let finish = (): void => undefined;
    const removed = new Promise<void>((resolve) => (finish = resolve));
    host.removePort = async (port) => {
      await removed;
      host.ports.delete(port);
    };
    const gone = workloads.detach('web', []);
    await attach(workloads, 'db', '10.1.0.3/24');
    assert.ok(host.guarded.some(({ port }) => port === web));
    assert.ok(!host.released.includes('10.1.0.2/24'));
    await assert.rejects(attach(workloads, 'tap:vm1', '10.1.0.2/24'), {
      code: 'OVL_ADDRESS_IN_USE',
    });
    finish();
    await gone;
    assert.equal(host.guarded.length, 1);
    assert.ok(host.released.includes('10.1.0.2/24'));
  });

  it('gives the same address and MAC to a new process, whatever was left', async () => {
    const first = make();
    await first.start();
    await attach(first, 'web', '10.1.0.2/24');
    const before = first.list();
    for (const isBooted of [false, true]) {
      if (isBooted) host.ports.clear();
      const next = make();
      assert.equal(next.list()[0]?.state, 'waiting');
      await next.start();
      assert.deepEqual(next.list(), before);
      assert.equal(host.ports.size, 1);
    }
  });

  it('takes another MAC with another identity, unless it was chosen', async () => {
    const first = make();
    await attach(first, 'web', '10.1.0.2/24');
    await first.attach({ target: 'db', addresses: ['10.1.0.3/24'], mac: '02:00:00:00:00:07' });
    const before = first.list().find(({ target }) => target === 'web')?.mac;
    const clone = make('ffeeddccbbaa99887766554433221100' as PeerId);
    await clone.start();
    const [db, web] = clone.list().map(({ mac }) => mac);
    assert.notEqual(web, before);
    assert.equal(db, '02:00:00:00:00:07');
    assert.equal(host.ports.get([...host.ports.keys()][0] ?? '')?.spec.mac, web);
  });

  it('waits for a namespace and attaches the next one of that name', async () => {
    const workloads = make();
    await workloads.start();
    await attach(workloads, 'web', '10.1.0.2/24');
    const before = workloads.list();
    host.namespaces.delete('web');
    host.ports.clear();
    host.ring();
    await settle(workloads);
    assert.equal(workloads.list()[0]?.state, 'waiting');
    host.namespaces.set('web', 99);
    host.ring();
    await settle(workloads);
    assert.deepEqual(workloads.list(), before);
    assert.equal(host.ports.get(onlyPort())?.mark?.inode, 99);
  });

  it('makes an interface again that somebody deleted', async () => {
    const workloads = make();
    await workloads.start();
    await attach(workloads, 'web', '10.1.0.2/24');
    host.ports.clear();
    host.ring();
    await settle(workloads);
    assert.equal(host.ports.size, 1);
  });

  it('says once why it cannot attach, and tries again', async () => {
    const workloads = make();
    await workloads.start();
    await attach(workloads, 'web', '10.1.0.2/24');
    for (let round = 0; round < 2; round += 1) {
      host.ports.clear();
      host.failure = new Error('name is taken');
      host.ring();
      await settle(workloads);
    }
    assert.equal(workloads.list()[0]?.reason, 'name is taken');
    assert.deepEqual(host.warnings, ['Cannot attach web: name is taken']);
    host.ring();
    await settle(workloads);
    assert.equal(workloads.list()[0]?.state, 'attached');
  });

  it('leaves nothing when the interface cannot be made, or not be written down', async () => {
    const workloads = make();
    host.failure = new Error('no');
    await assert.rejects(attach(workloads, 'web', '10.1.0.2/24'), /no/);
    isDiskFull = true;
    await assert.rejects(attach(workloads, 'web', '10.1.0.2/24'), /disk full/);
    assert.deepEqual([workloads.list(), host.ports.size, cells.size], [[], 0, 0]);
    isDiskFull = false;
    await attach(workloads, 'web', '10.1.0.2/24');
    isDiskFull = true;
    await assert.rejects(attach(workloads, 'web', '10.1.0.3/24'), /disk full/);
    assert.deepEqual(workloads.list()[0]?.addresses, ['10.1.0.2/24']);
    assert.deepEqual(host.addressesOf(onlyPort()), ['10.1.0.2/24']);
  });

  it('removes what a process left that died before it wrote it down', async () => {
    isDiskFull = true;
    host.removePort = () => Promise.reject(new Error('killed'));
    await assert.rejects(attach(make(), 'web', '10.1.0.2/24'));
    assert.equal(host.ports.size, 1);
    isDiskFull = false;
    host.removePort = async (port) => void host.ports.delete(port);
    await make().start();
    assert.equal(host.ports.size, 0);
  });

  it('refuses an address that is taken here, another MAC of what is attached, and a MAC twice', async () => {
    const workloads = make();
    await workloads.attach({ target: 'web', addresses: ['10.1.0.2/24'], mac: '02:00:00:00:00:07' });
    const refused = (target: string, address: string, mac?: string) =>
      workloads.attach({ target, addresses: [address], mac });
    await assert.rejects(refused('db', '10.1.0.2/16'), { code: 'OVL_ADDRESS_IN_USE' });
    await assert.rejects(refused('db', '10.47.0.9/24'), { code: 'OVL_ADDRESS_IN_USE' });
    const mac = '02:00:00:00:00:07';
    await assert.rejects(refused('db', '10.1.0.3/24', mac), { code: 'OVL_TARGET_CONFLICT' });
    await assert.rejects(refused('web', '10.1.0.2/24', '02:00:00:00:00:08'), {
      code: 'OVL_TARGET_CONFLICT',
    });
    assert.equal(host.ports.size, 1);
  });

  it('detaches by the name that is shown when the target is gone', async () => {
    const workloads = make();
    await attach(workloads, 'web', '10.1.0.2/24');
    host.namespaces.delete('web');
    assert.deepEqual(await workloads.detach('web', []), ['10.1.0.2/24']);
    assert.deepEqual([workloads.list(), host.ports.size, cells.size], [[], 0, 0]);
  });

  it('leaves out what is damaged in the store', async () => {
    await attach(make(), 'web', '10.1.0.2/24');
    cells.set('broken', '{"target":{"kind":"netns"}}');
    const next = make();
    await next.start();
    assert.equal(next.list().length, 1);
    assert.equal(host.warnings.length, 1);
  });

  it('names a target as it is told, else as its namespace is called', async () => {
    const workloads = make();
    const names = () => workloads.list().map(({ target, name }) => `${target} ${name}`);
    host.namespaces.set('not:a:name', 3);
    await attach(workloads, 'not:a:name', '10.1.0.4/24');
    await attach(workloads, 'tap:vm1', '10.1.0.5/24');
    await attach(workloads, 'web', '10.1.0.2/24');
    const asked = { target: 'db', addresses: ['10.1.0.3/24'] };
    await workloads.attach({ ...asked, name: 'Primary.Overlay.Internal' });
    assert.deepEqual(names(), ['db primary', 'not:a:name null', 'tap:vm1 null', 'web web']);
    await workloads.attach(asked);
    const next = make();
    await next.start();
    assert.deepEqual(next.list(), workloads.list());
    await workloads.attach({ ...asked, name: 'secondary' });
    assert.ok(names().includes('db secondary'));
    for (const name of ['a b', 'web.example.com', 'overlay.internal', '-x']) {
      await assert.rejects(workloads.attach({ ...asked, name }), { code: 'OVL_NAME_INVALID' });
    }
  });

  it('gives no name without DNS, and stays so', async () => {
    const workloads = make();
    const asked = { target: 'web', addresses: ['10.1.0.2/24'] };
    await workloads.attach({ ...asked, dns: false });
    await workloads.attach(asked);
    assert.equal(workloads.list()[0]?.name, null);
    const next = make();
    await next.start();
    assert.equal(next.list()[0]?.name, null);
    await assert.rejects(workloads.attach({ ...asked, name: 'web', dns: false }), {
      code: 'OVL_USAGE',
    });
  });

  it('tells who is attached: not those that wait', async () => {
    let attached: readonly string[] = [];
    const workloads = make(undefined, (now) => (attached = now.map(({ name }) => name ?? '')));
    await workloads.start();
    await attach(workloads, 'web', '10.1.0.2/24');
    await attach(workloads, 'db', '10.1.0.3/24');
    assert.deepEqual(attached, ['web', 'db']);
    host.namespaces.delete('web');
    host.ring();
    await settle(workloads);
    assert.deepEqual(attached, ['db']);
    await workloads.detach('db', []);
    assert.deepEqual(attached, []);
  });

  it('guards a port before there is one, and as long as there is one', async () => {
    const workloads = make();
    const port = (mac: string | null, ...addresses: string[]) => ({
      ...{ port: onlyPort(), mac: mac ?? undefined, addresses },
    });
    const create = host.createPort.bind(host);
    host.createPort = (spec) => {
      assert.ok(host.guarded.some((guarded) => guarded.port === spec.port));
      return create(spec);
    };
    await attach(workloads, 'web', '10.1.0.2/24', 'fd00::2/64');
    const mac = workloads.list()[0]?.mac ?? null;
    assert.deepEqual(host.guarded, [port(mac, '10.1.0.2', 'fd00::2')]);
    await workloads.detach('web', ['fd00::2/64']);
    assert.deepEqual(host.guarded, [port(mac, '10.1.0.2')]);
    host.failure = new Error('no');
    await assert.rejects(attach(workloads, 'db', '10.1.0.3/24'));
    await assert.rejects(attach(workloads, 'web', '10.1.0.300/24'));
    assert.deepEqual(host.guarded, [port(mac, '10.1.0.2')]);
    const next = make();
    host.guarded = [];
    await next.start();
    assert.deepEqual(host.guarded, [port(mac, '10.1.0.2')]);
    await next.detach('web', []);
    assert.deepEqual(host.guarded, []);
  });

  it('attaches without a guard where there can be none, and says so once', async () => {
    const workloads = make();
    host.guardFailure = new Error('nft is not there');
    await attach(workloads, 'web', '10.1.0.2/24');
    await attach(workloads, 'db', '10.1.0.3/24');
    assert.equal(host.ports.size, 2);
    assert.deepEqual(host.warnings, [
      'Targets of this host are not guarded against each other: nft is not there',
    ]);
  });

  it('tells of a target that sends as others, when it goes on', async () => {
    const told: string[] = [];
    const workloads = make(undefined, undefined, (target, { mac, address }) =>
      told.push(`${target} ${mac} ${address}`),
    );
    await workloads.start();
    await attach(workloads, 'web', '10.1.0.2/24');
    for (const address of [0, 4, 4, 5]) {
      host.spoofs = new Map(address === 0 ? [] : [[onlyPort(), { mac: 1, address }]]);
      for (let look = 0; look < 3; look += 1) {
        host.ring();
        await settle(workloads);
      }
    }
    assert.deepEqual(told, ['web 1 4', 'web 1 5']);
    assert.deepEqual(workloads.list()[0]?.spoofed, { mac: 1, address: 5 });
  });

  it('announces what is new, to peers and the other targets', async () => {
    const workloads = make();
    await attach(workloads, 'web', '10.1.0.2/24');
    const web = onlyPort();
    await attach(workloads, 'db', '10.1.0.3/24', 'fd00::3/64');
    await attach(workloads, 'db', '10.1.0.3/24');
    await attach(workloads, 'db', '10.1.0.4/24');
    assert.deepEqual(host.announced, [
      '10.1.0.2 to overlay0',
      '10.1.0.3,fd00::3 to overlay0',
      `10.1.0.4 to overlay0-t,${web}`,
    ]);
    host.announced.length = 0;
    host.ports.delete(web);
    await make().start();
    assert.deepEqual(host.announced, ['10.1.0.2 to overlay0']);
  });

  it('says of a namespace that vanished half-way that it is gone, and leaves nothing', async () => {
    const workloads = make();
    const createPort = host.createPort.bind(host);
    host.createPort = async (spec) => {
      if (!host.namespaces.delete('web')) return createPort(spec);
      throw new OverlayError('OVL_IFACE_CONFIG', 'Cannot run ip', { cure: 'Look', value: '' });
    };
    await assert.rejects(attach(workloads, 'web'), { code: 'OVL_TARGET_UNKNOWN' });
    assert.deepEqual(workloads.list(), []);
    assert.deepEqual([host.ports.size, cells.size, host.guarded], [0, 0, []]);
    assert.deepEqual(host.released, ['10.32.0.9/12']);
    await attach(workloads, 'db', '10.1.0.3/24');
    assert.equal(host.ports.size, 1);
  });

  it('looks no more once it is stopped', async () => {
    const workloads = make();
    await workloads.start();
    assert.ok(host.isArmed);
    await workloads.stop();
    assert.ok(!host.isArmed);
  });
});

function codeOf(error: unknown): string {
  return error instanceof OverlayError ? error.code : String(error);
}
