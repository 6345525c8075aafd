import assert from 'node:assert/strict';

import { Sim, type SimNode } from './harness.js';

const names = (node: SimNode) => node.daemon.networks.all.map(({ name }) => name);

describe('networks between daemons', () => {
  let sim: Sim;
  let a: SimNode;
  let b: SimNode;

  beforeEach(async () => {
    sim = await Sim.create(71);
    sim.network.setAll({ delayMs: 10 });
    a = sim.node('a');
    b = sim.node('b', { peers: [a.address] });
    await a.start();
    await b.start();
    await sim.until('linked', () => a.sees(b) && b.sees(a), 5000);
  });
  afterEach(() => sim.stopAll());

  it('are created once and known everywhere, also after kill -9', async () => {
    const { id } = a.daemon.networks.create({ name: 'blue', subnets: ['10.80.0.0/16'], mtu: 1300 });
    assert.deepEqual(names(a), ['default', 'blue']);
    await sim.until('b knows it', () => names(b).length === 2, 200);
    assert.deepEqual(b.daemon.networks.byId(id), a.daemon.networks.byId(id));
    a.kill();
    await a.start();
    assert.deepEqual(names(a), ['default', 'blue']);
    b.daemon.networks.setUsed(id, true);
    await sim.until(
      'a knows who is on it',
      () => a.daemon.networks.members(id).length === 1,
      20_000,
    );
    assert.throws(() => a.daemon.networks.remove('blue', []), {
      code: 'OVL_NETWORK_IN_USE',
      message: 'Network blue has something on b',
    });
    b.daemon.networks.setUsed(id, false);
    await sim.until('nobody is', () => a.daemon.networks.members(id).length === 0, 200);
    b.daemon.networks.remove('blue', []);
    await sim.until('gone', () => names(a).length === 1, 200);
    assert.ok(a.codes().includes('network-removed'));
    await a.stop();
    await a.start();
    await sim.run(30_000);
    assert.deepEqual([names(a), names(b)], [['default'], ['default']]);
  });

  it('of one name from two sides of a cut become one', async () => {
    sim.network.set(a.address, b.address, { isCut: true });
    a.daemon.networks.create({ name: 'blue', subnets: ['10.80.0.0/16'] });
    await sim.run(1000);
    b.daemon.networks.create({ name: 'blue', subnets: ['10.90.0.0/16'] });
    sim.network.set(a.address, b.address, { isCut: false });
    const subnets = (node: SimNode) => node.daemon.networks.find('blue').subnets.join();
    await sim.until('b agrees', () => subnets(b) === '10.80.0.0/16', 60_000);
    assert.equal(subnets(a), '10.80.0.0/16');
    assert.ok(b.codes().includes('network-clash'));
    assert.ok(!a.codes().includes('network-clash'));
  });

  it('are refused by what is wrong with them', () => {
    const { networks } = a.daemon;
    const code = (request: Parameters<typeof networks.create>[0]): string => {
      try {
        networks.create(request);
        return 'created';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    for (const name of ['', '-x', 'a b', 'a/b', 'x'.repeat(64), 'a\u0007']) {
      assert.equal(code({ name }), 'OVL_NAME_INVALID', name);
    }
    for (const subnet of ['10.80.0.1/16', '10.80.0.0', 'x', '10.80.0.0/31', '0.0.0.0/0']) {
      assert.equal(code({ name: 'blue', subnets: [subnet] }), 'OVL_ADDRESS_INVALID', subnet);
    }
    const overlapping = ['10.80.0.0/16', '10.80.9.0/24'];
    assert.equal(code({ name: 'blue', subnets: overlapping }), 'OVL_ADDRESS_INVALID');
    for (const mtu of [1279, 9001]) assert.equal(code({ name: 'blue', mtu }), 'OVL_USAGE');
    assert.deepEqual(names(a), ['default']);
    assert.equal(code({ name: 'blue', subnets: ['10.80.0.0/16'] }), 'created');
    assert.equal(code({ name: 'blue' }), 'created');
    assert.equal(code({ name: 'blue', mtu: 1300 }), 'OVL_NETWORK_CONFLICT');
    assert.equal(code({ name: 'default', mtu: 1388 }), 'created');
    assert.throws(() => networks.remove('default', []), { code: 'OVL_USAGE' });
    assert.throws(() => networks.remove('blue', ['web']), {
      message: 'Network blue has web on this host',
    });
    assert.throws(() => networks.find('green'), { code: 'OVL_NOT_FOUND' });
    networks.remove('green', []);
  });
});
