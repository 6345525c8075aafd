import assert from 'node:assert/strict';

import type { PeerId } from '../../../src/model/peer-id.js';
import { Workloads } from '../../../src/workload/workloads.js';
import { FakePortHost } from './fake-port-host.js';

const OPTIONS = {
  ifName: 'overlay0',
  peer: '00112233445566778899aabbccddeeff' as PeerId,
  domain: 'overlay.internal',
};

describe('workloads on several networks', () => {
  let host: FakePortHost;
  /** On disk: JSON. */
  let cells: Map<string, string>;

  beforeEach(() => {
    host = new FakePortHost();
    cells = new Map();
    host.namespaces.set('web', 1);
    host.namespaces.set('db', 2);
  });

  function make(): Workloads {
    const store = {
      attachments: () => [...cells].map(([id, text]) => [id, JSON.parse(text) as unknown] as const),
      writeAttachment: async (id: string, value: object | undefined) => {
        if (value) cells.set(id, JSON.stringify(value));
        else cells.delete(id);
      },
    };
    const ownAddresses = (network: string) => (network === 'default' ? ['10.80.0.9/16'] : []);
    return new Workloads({ ...host.components, store, ownAddresses }, OPTIONS);
  }

  const attach = (workloads: Workloads, network: string, target: string, ...addresses: string[]) =>
    workloads.attach({ network, target, addresses });
  const shown = (workloads: Workloads) =>
    workloads
      .list()
      .map(({ target, network, ifname, addresses }) =>
        [target, network, ifname, ...addresses].join(' '),
      );
  const masters = () => [...host.ports.values()].map(({ master }) => master);

  it('has the same address on each of them, and an interface for each', async () => {
    const workloads = make();
    await attach(workloads, 'blue', 'web', '10.80.0.2/16');
    await attach(workloads, 'red', 'db', '10.80.0.2/16');
    await attach(workloads, 'red', 'web', '10.80.0.9/16');
    await attach(workloads, 'default', 'web', '10.80.0.2/16');
    assert.deepEqual(shown(workloads), [
      'db red eth-ovl 10.80.0.2/16',
      'web blue eth-ovl 10.80.0.2/16',
      'web default eth-ovl2 10.80.0.2/16',
      'web red eth-ovl1 10.80.0.9/16',
    ]);
    assert.deepEqual(masters(), ['ovn-blue', 'ovn-red', 'ovn-red', 'overlay0']);
    assert.equal(new Set(workloads.list().map(({ mac }) => mac)).size, 4);
    await assert.rejects(attach(workloads, 'red', 'db', '10.80.0.9/16'), {
      code: 'OVL_ADDRESS_IN_USE',
    });
    await assert.rejects(attach(workloads, 'default', 'db', '10.80.0.9/16'), {
      code: 'OVL_ADDRESS_IN_USE',
    });
  });

  it('has a bridge from the first attachment to the last, over restarts', async () => {
    const first = make();
    await attach(first, 'blue', 'web', '10.80.0.2/16');
    await attach(first, 'blue', 'db', '10.80.0.3/16');
    await first.detach('web', []);
    host.bridges.clear();
    const next = make();
    await next.start();
    assert.deepEqual([...host.bridges], ['blue']);
    assert.deepEqual(shown(next), ['db blue eth-ovl 10.80.0.3/16']);
    await next.detach('db', []);
    assert.deepEqual([...host.bridges], []);
  });

  it('leaves no bridge, interface or address where it fails', async () => {
    const workloads = make();
    host.failure = new Error('no');
    await assert.rejects(attach(workloads, 'blue', 'web'));
    assert.deepEqual([...host.bridges, ...host.ports.keys(), ...cells.keys()], []);
    assert.deepEqual(host.released, ['10.80.0.9/16 of blue']);
    host.bridgeFailure = new Error('no TAP');
    await assert.rejects(attach(workloads, 'blue', 'web'), { message: 'no TAP' });
    assert.deepEqual([...host.ports.keys(), ...cells.keys()], []);
    await assert.rejects(attach(workloads, 'green', 'web'), { code: 'OVL_NOT_FOUND' });
  });

  it('waits with the reason where its bridge cannot be made, and comes when it can', async () => {
    await attach(make(), 'blue', 'web', '10.80.0.2/16');
    host.ports.clear();
    host.bridgeFailure = new Error('no TAP');
    const next = make();
    await next.start();
    assert.deepEqual(
      next.list().map(({ state, reason }) => [state, reason]),
      [['waiting', 'no TAP']],
    );
    host.bridgeFailure = undefined;
    host.ring();
    await next.detach('nothing', []);
    assert.equal(next.list()[0]?.state, 'attached');
  });

  it('is on its bridge again when somebody deleted that', async () => {
    const workloads = make();
    await workloads.start();
    await attach(workloads, 'blue', 'web', '10.80.0.2/16');
    const [[name, port] = assert.fail()] = [...host.ports];
    host.ports.set(name, { ...port, master: '' });
    host.bridges.clear();
    host.ring();
    await workloads.detach('nothing', []);
    assert.deepEqual([...host.bridges], ['blue']);
    assert.deepEqual(masters(), ['ovn-blue']);
  });

  it('keeps to subnets and MTU of the network', async () => {
    const workloads = make();
    for (const address of ['10.81.0.2/16', '10.80.0.2/15', 'fd00::2/64']) {
      await assert.rejects(attach(workloads, 'blue', 'web', address), {
        code: 'OVL_ADDRESS_INVALID',
      });
    }
    const asked = { target: 'web', addresses: ['10.80.7.2/24'], network: 'blue' };
    await assert.rejects(workloads.attach({ ...asked, mtu: 1301 }), { code: 'OVL_USAGE' });
    await workloads.attach(asked);
    assert.equal([...host.ports.values()][0]?.spec.mtuBytes, 1300);
    await attach(workloads, 'free', 'web', '172.16.0.2/24');
  });

  it('leaves one network, or all of them', async () => {
    const workloads = make();
    await attach(workloads, 'blue', 'web', '10.80.0.2/16');
    await attach(workloads, 'red', 'web', '10.80.0.2/16');
    await assert.rejects(workloads.detach('web', ['10.80.0.2/16']), { code: 'OVL_AMBIGUOUS' });
    assert.deepEqual(await workloads.detach('web', ['10.80.0.2/16'], 'red'), ['10.80.0.2/16']);
    assert.deepEqual(host.released, ['10.80.0.2/16 of red']);
    assert.deepEqual(shown(workloads), ['web blue eth-ovl 10.80.0.2/16']);
    assert.deepEqual(await workloads.detach('web', [], 'red'), []);
    await attach(workloads, 'red', 'web', '10.80.0.3/16');
    assert.deepEqual(await workloads.detach('web', []), ['10.80.0.2/16', '10.80.0.3/16']);
    assert.deepEqual([...host.bridges, ...host.ports.keys()], []);
  });

  it('puts a TAP on one network only', async () => {
    const workloads = make();
    await attach(workloads, 'blue', 'tap:vm1', 'none');
    await assert.rejects(attach(workloads, 'red', 'tap:vm1', 'none'), {
      code: 'OVL_TARGET_CONFLICT',
    });
    assert.deepEqual([...host.bridges], ['blue']);
  });

  it('announces to its own network', async () => {
    const workloads = make();
    await attach(workloads, 'blue', 'web', '10.80.0.2/16');
    await attach(workloads, 'red', 'web', '10.80.0.3/16');
    await attach(workloads, 'red', 'db', '10.80.0.4/16');
    assert.deepEqual(host.announced, [
      '10.80.0.2 to ovn-blue',
      '10.80.0.3 to ovn-red',
      '10.80.0.4 to ovn-red',
    ]);
  });
});
