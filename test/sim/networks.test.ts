import assert from 'node:assert/strict';

import { macBytes, parseMac, type Mac } from '../../src/model/mac.js';
import { Sim, type SimNode } from './harness.js';

const BROADCAST = parseMac('ff:ff:ff:ff:ff:ff') as Mac;
const GUEST = parseMac('02:00:00:00:00:07') as Mac;
const OTHER = parseMac('02:00:00:00:00:08') as Mac;

function frameOf(destination: Mac, source: Mac, text: string): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(macBytes(destination), 0);
  frame.set(macBytes(source), 6);
  frame.set([0x88, 0xb5], 12);
  frame.set(new TextEncoder().encode(text), 14);
  return frame;
}

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

  it('stay as they run, whatever earlier date a member says, and become one by what most use', async () => {
    const c = sim.node('c', { peers: [a.address] });
    await c.start();
    await sim.until('all linked', () => a.sees(c) && b.sees(c), 5000);
    for (const node of [a, b]) sim.network.set(node.address, c.address, { isCut: true });
    const early = c.daemon.networks.create({ name: 'blue', subnets: ['10.80.0.0/16'] });
    await sim.run(1000);
    a.daemon.networks.create({ name: 'blue', subnets: ['10.90.0.0/16'] });
    await sim.until('b knows it', () => names(b).length === 2, 200);
    for (const node of [a, b, c]) node.daemon.networks.setUsed(early.id, true);
    for (const node of [a, b]) sim.network.set(node.address, c.address, { isCut: false });
    const subnets = () => [a, b, c].map((n) => n.daemon.networks.find('blue').subnets.join());
    await sim.until(
      'a and b hear',
      () => [a, b].every((n) => n.codes().includes('network-clash')),
      90_000,
    );
    assert.deepEqual(subnets(), ['10.90.0.0/16', '10.90.0.0/16', '10.80.0.0/16']);
    b.kill();
    await b.start();
    await sim.run(10_000);
    b.daemon.networks.setUsed(early.id, true);
    await sim.run(120_000);
    assert.deepEqual(subnets(), ['10.90.0.0/16', '10.90.0.0/16', '10.80.0.0/16']);
    await sim.until('c gives way', () => new Set(subnets()).size === 1, 3_700_000);
    assert.equal(subnets()[2], '10.90.0.0/16');
  });

  it('carry frames between their members only, and each MAC once in each', async () => {
    const c = sim.node('c', { peers: [a.address] });
    await c.start();
    const nodes = [a, b, c];
    const all = (isDone: (node: SimNode) => boolean) => nodes.every(isDone);
    await sim.until('all linked', () => all((n) => n.peerRow(n === a ? b : a) !== undefined), 5000);
    await sim.until('all linked', () => a.sees(c) && b.sees(c), 5000);
    const blue = a.daemon.networks.create({ name: 'blue' });
    const { id: red } = a.daemon.networks.create({ name: 'red' });
    await sim.until('all know them', () => all((node) => names(node).length === 3), 500);
    for (const node of [a, b]) node.daemon.openNetwork(blue, 'blue-t');
    c.daemon.openNetwork(c.daemon.networks.find('red'), 'red-t');
    const isOn = (node: SimNode, id: number, other: SimNode) =>
      node.daemon.networks.members(id).includes(other.id);
    await sim.until(
      'known',
      () => isOn(a, blue.id, b) && isOn(b, blue.id, a) && isOn(a, red, c),
      500,
    );
    await sim.run(10);
    const heard = () => nodes.map((node) => node.heardFrames.splice(0));
    a.plane.injectFrame(frameOf(BROADCAST, GUEST, 'flood'), blue.id);
    await sim.run(100);
    assert.deepEqual(heard(), [[], [`${blue.id} flood`], []]);
    // The MAC is learned in that network, and in no other.
    b.plane.injectFrame(frameOf(GUEST, OTHER, 'answer'), blue.id);
    b.plane.injectFrame(frameOf(GUEST, OTHER, 'who is it'), 0);
    await sim.run(100);
    assert.deepEqual(heard(), [[`${blue.id} answer`, '0 who is it'], [], ['0 who is it']]);
    // A port's MAC is guarded on its own network.
    a.daemon.setPorts(blue.id, [{ mac: OTHER, addresses: [] }]);
    await sim.run(10);
    b.plane.injectFrame(frameOf(BROADCAST, OTHER, 'posing'), blue.id);
    b.plane.injectFrame(frameOf(BROADCAST, OTHER, 'not posing'), 0);
    await sim.run(100);
    assert.deepEqual(heard(), [['0 not posing'], [], ['0 not posing']]);
    b.daemon.closeNetwork(blue.id);
    await sim.until('b has left', () => !isOn(a, blue.id, b), 500);
    await sim.run(10);
    a.plane.injectFrame(frameOf(BROADCAST, GUEST, 'alone'), blue.id);
    await sim.run(100);
    assert.deepEqual(heard(), [[], [], []]);
    assert.equal(b.daemon.control.report().drops['inner_network'] ?? 0, 0);
  });

  it('hand out the same addresses, each in its own', async () => {
    const give = async (node: SimNode, network: string, owner: string): Promise<string> => {
      let given: string | undefined;
      const source = node.daemon.addressesOf(network);
      const work = source.give(owner, undefined).then((cidr) => (given = cidr));
      await sim.until('an answer', () => given !== undefined, 2000);
      await work;
      return given ?? '';
    };
    const subnets = ['10.80.0.0/24'];
    a.daemon.networks.create({ name: 'blue', subnets });
    b.daemon.networks.create({ name: 'red', subnets });
    await sim.until('known', () => names(a).length === 3 && names(b).length === 3, 500);
    const owners = ['1', '2', '3', '4'];
    const given = new Map<string, string[]>([
      ['blue', []],
      ['red', []],
    ]);
    for (const owner of owners) {
      for (const [network, list] of given) {
        for (const node of [a, b]) list.push(await give(node, network, owner));
      }
    }
    for (const list of given.values()) {
      assert.equal(new Set(list).size, 8, list.join());
      for (const cidr of list) assert.match(cidr, /^10\.80\.0\.\d+\/24$/);
    }
    const both = given.get('blue')?.filter((cidr) => given.get('red')?.includes(cidr)) ?? [];
    assert.ok(both.length >= 4, both.join());
    const held = given.get('blue')?.[0] ?? '';
    const claim = b.daemon.addressesOf('blue').claim('other', held);
    const refused = assert.rejects(claim, { code: 'OVL_ADDRESS_IN_USE' });
    await sim.run(2000);
    await refused;
    // An address of blue is not one of the mesh's own pool, and none is given where there is no subnet.
    a.daemon.networks.create({ name: 'free' });
    await assert.rejects(a.daemon.addressesOf('free').give('1', undefined), {
      code: 'OVL_ADDRESS_UNAVAILABLE',
    });
    // The same after kill -9.
    a.kill();
    await a.start();
    await sim.run(5000);
    assert.equal(await give(a, 'blue', '1'), held);
    // A network of that name begins anew when it was removed.
    for (const node of [a, b]) node.daemon.addressesOf('blue').keep(new Map());
    b.daemon.networks.remove('blue', []);
    await sim.until('gone', () => !names(a).includes('blue'), 500);
    b.daemon.networks.create({ name: 'blue', subnets: ['10.90.0.0/24'] });
    await sim.until('there', () => names(a).includes('blue'), 500);
    assert.match(await give(a, 'blue', '1'), /^10\.90\.0\.\d+\/24$/);
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
