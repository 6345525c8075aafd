import assert from 'node:assert/strict';

import { MeshNames } from '../../src/daemon/mesh-names.js';
import type { OwnName } from '../../src/dns/name-pages.js';
import { Zone } from '../../src/dns/zone.js';
import { Sim, type SimNode } from './harness.js';

/** A node with names: what it says outlives its process as attachments do. */
class Named {
  readonly node: SimNode;
  zone = new Zone('overlay.internal');
  readonly said = new Map<string, OwnName>();
  #names: MeshNames | undefined;

  constructor(sim: Sim, name: string, peers: readonly string[] = []) {
    const rooms = (node: SimNode): MeshNames[] => {
      this.zone = new Zone('overlay.internal');
      const components = {
        zone: this.zone,
        nowMs: () => sim.time.nowMs(),
        warn: () => assert.ok(false),
      };
      this.#names = new MeshNames(components, node.id);
      this.#names.setOwn(this.said);
      return [this.#names];
    };
    this.node = sim.node(name, { peers, rooms });
  }

  say(statement: string, name: string, ...addresses: string[]): void {
    this.said.set(statement, { network: 0, name, addresses });
    this.#names?.setOwn(this.said);
  }

  unsay(statement: string): void {
    this.said.delete(statement);
    this.#names?.setOwn(this.said);
  }

  get list(): string[] {
    return this.zone.list(0).map(({ name, addresses }) => `${name} ${addresses.join()}`);
  }
}

describe('names in the mesh', () => {
  let sim: Sim;
  let a: Named;
  let b: Named;

  beforeEach(async () => {
    sim = await Sim.create(61);
    sim.network.setAll({ delayMs: 10 });
    a = new Named(sim, 'a');
    b = new Named(sim, 'b', [a.node.address]);
    await a.node.start();
    await b.node.start();
    await sim.until('linked', () => a.node.sees(b.node) && b.node.sees(a.node), 5000);
  });
  afterEach(() => sim.stopAll());

  it('are here at once and there within a tenth of a second, and go as fast', async () => {
    a.say('1', 'web', '10.32.0.5', 'fd00:9::5');
    const shown = ['web.overlay.internal 10.32.0.5,fd00:9::5'];
    assert.deepEqual(a.list, shown);
    await sim.until('b knows it', () => b.list.length > 0, 100);
    assert.deepEqual(b.list, shown);
    a.unsay('1');
    assert.deepEqual(a.list, []);
    await sim.until('b forgot it', () => b.list.length === 0, 100);
  });

  it('of several hosts are joined, and each goes with its own', async () => {
    a.say('1', 'web', '10.32.0.5');
    b.say('1', 'web', '10.32.0.6');
    const both = 'web.overlay.internal 10.32.0.5,10.32.0.6';
    await sim.until('all know all', () => a.list.join() === both && b.list.join() === both, 200);
    a.unsay('1');
    await sim.until('one is left', () => b.list.join() === 'web.overlay.internal 10.32.0.6', 100);
  });

  it('stay while the daemon restarts; what went meanwhile goes then', async () => {
    a.say('1', 'web', '10.32.0.5');
    a.say('2', 'db', '10.32.0.6');
    await sim.until('b knows them', () => b.list.length === 2, 100);
    a.node.kill();
    a.said.delete('1');
    await sim.run(5000);
    assert.equal(b.list.length, 2);
    await a.node.start();
    const left = 'db.overlay.internal 10.32.0.6';
    await sim.until('both agree', () => a.list.join() === left && b.list.join() === left, 20_000);
  });

  it('of an earlier life go when the state directory was kept and everything was detached', async () => {
    a.say('1', 'web', '10.32.0.5');
    await sim.until('b knows it', () => b.list.length === 1, 100);
    a.node.kill();
    a.said.clear();
    await a.node.start();
    await sim.until('b forgot it', () => b.list.length === 0, 20_000);
    await sim.run(60_000);
    assert.deepEqual([a.list, b.list], [[], []]);
  });

  it('are as they were said 2 s after 1 000 of them lived 50 ms each', async () => {
    a.say('stays', 'stays', '10.32.9.9');
    for (let i = 0; i < 1000; i += 1) {
      a.say(String(i), `short-${i}`, `10.33.${i >> 8}.${i & 255}`);
      await sim.run(50);
      a.unsay(String(i));
    }
    await sim.run(2000);
    assert.deepEqual(b.list, ['stays.overlay.internal 10.32.9.9']);
  });
});
