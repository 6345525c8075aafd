import assert from 'node:assert/strict';
import { formatAddress, parseAddress, parseCidr } from '../../../src/model/cidr.js';
import type { Want } from '../../../src/ipam/ipam.js';
import { Island, type Node } from './island.js';

const POOL = '10.9.0.0/24';

function island(seed = 1): Island {
  return new Island({ seed, pool: POOL });
}

/** So many nodes that know each other, the founder first, then by id. */
function settled(count: number, seed = 1): { readonly mesh: Island; readonly nodes: Node[] } {
  const mesh = island(seed);
  const founder = mesh.join();
  mesh.run(10);
  const others = Array.from({ length: count - 1 }, () => mesh.join(founder));
  mesh.run(8000);
  return { mesh, nodes: [founder, ...others.sort((a, b) => (a.id < b.id ? -1 : 1))] };
}

function at(text: string): Want {
  return { kind: 'address', address: parseAddress(text)! };
}

function refusal(
  mesh: Island,
  node: Node,
  owner: string,
  want?: Want,
): { code: string; peer: unknown } {
  const outcome = mesh.ask(node, owner, want);
  assert(!outcome.ok);
  return { code: outcome.refusal.code, peer: outcome.refusal.peer };
}

function usedBy(node: Node): string[] {
  return node.ipam
    .used()
    .filter(({ isActive }) => isActive)
    .map(({ address }) => formatAddress(address));
}

function kill(mesh: Island, node: Node, ...saidBy: Node[]): void {
  mesh.crash(node);
  for (const by of saidBy) mesh.remove(node, by);
}

describe('addresses of a mesh', () => {
  it('are there at once on a node that knows nobody', () => {
    const mesh = island();
    const node = mesh.join();
    const before = mesh.nowMs;
    const address = mesh.address(node, 'web');
    assert.equal(mesh.nowMs, before);
    assert.match(address, /^10\.9\.0\.\d+$/);
  });

  it('wait ten seconds for contacts that do not answer, and say so meanwhile', () => {
    const mesh = island();
    const ghost = mesh.join();
    ghost.isUp = false;
    ghost.isRemoved = true;
    const node = mesh.join(ghost);
    assert.equal(refusal(mesh, node, 'web').code, 'no pool');
    mesh.run(10_000);
    mesh.address(node, 'web');
  });

  it('come from one pool when three nodes start at once with each other as peers', () => {
    const mesh = island();
    const ghost = mesh.join();
    ghost.isUp = false;
    ghost.isRemoved = true;
    const nodes = [1, 2, 3].map(() => mesh.join(ghost));
    const addresses = nodes.map((node) => mesh.address(node, 'web'));
    assert.equal(new Set(addresses).size, 3);
    mesh.run(10_000);
    assert(mesh.isOfOneMind());
    const [pool] = nodes[0]!.ipam.pools();
    assert.equal(nodes[0]!.ipam.pools().length, 1);
    const smallest = nodes.map(({ id }) => id).sort()[0];
    assert(pool!.holders.some(({ peer }) => peer === smallest));
  });

  it('are the same again for the same owner, and nobody else’s for 30 s', () => {
    const { mesh, nodes } = settled(2);
    const node = nodes[1]!;
    const first = mesh.address(node, 'web');
    assert.equal(mesh.address(node, 'web'), first);
    mesh.release(node, 'web');
    mesh.run(20_000);
    for (let other = 0; other < 20; other++)
      assert.notEqual(mesh.address(node, `b${other}`), first);
    assert.equal(mesh.address(node, 'web'), first);
    mesh.release(node, 'web');
    mesh.run(30_000);
    assert.equal(mesh.address(node, 'other', at(first)), first);
  });

  it('are whoever’s chooses them once they are detached, also on another node and at once', () => {
    const { mesh, nodes } = settled(2);
    const [founder, other] = nodes as [Node, Node];
    for (const [from, to] of [
      [founder, other],
      [other, founder],
      [other, other],
    ] as const) {
      const taken = mesh.address(from, 'web');
      assert.equal(refusal(mesh, to, 'db', at(taken)).code, 'in use');
      mesh.release(from, 'web');
      assert.equal(mesh.address(to, 'db', at(taken)), taken);
      mesh.release(to, 'db');
    }
  });

  it('survive kill -9', () => {
    const { mesh, nodes } = settled(3);
    const before = nodes.map((node) => mesh.address(node, 'web'));
    for (const node of nodes) mesh.crash(node);
    mesh.run(60_000);
    for (const node of nodes) mesh.restart(node);
    assert.deepEqual(nodes.flatMap(usedBy), before);
    assert.deepEqual(
      nodes.map((node) => mesh.address(node, 'web')),
      before,
    );
  });

  it('can be chosen: free ones, not those in use here or elsewhere, nor those of the nodes', () => {
    const { mesh, nodes } = settled(3);
    const [a, b, c] = nodes as [Node, Node, Node];
    assert.equal(mesh.address(b, 'web', at('10.9.0.77')), '10.9.0.77');
    assert.deepEqual(refusal(mesh, c, 'db', at('10.9.0.77')), { code: 'in use', peer: b.id });
    assert.deepEqual(refusal(mesh, b, 'db', at('10.9.0.77')), { code: 'in use', peer: b.id });
    assert.equal(refusal(mesh, a, 'db', at('10.9.0.241')).code, 'reserved');
    assert.equal(refusal(mesh, a, 'db', at('10.9.0.0')).code, 'reserved');
    assert.equal(refusal(mesh, a, 'db', at('10.10.0.1')).code, 'outside');
    mesh.release(b, 'web');
    assert.equal(mesh.address(c, 'db', at('10.9.0.77')), '10.9.0.77');
  });

  it('come from a subnet of the pool when one is named', () => {
    const { mesh, nodes } = settled(3);
    const subnet = parseCidr('10.9.0.64/28')!;
    const got = nodes.flatMap((node, n) =>
      [1, 2, 3, 4].map((web) => mesh.address(node, `w${n}${web}`, { kind: 'any', subnet })),
    );
    assert.equal(new Set(got).size, 12);
    for (const text of got) {
      const last = Number(text.split('.')[3]);
      assert(last > 64 && last < 79, text);
    }
    mesh.address(nodes[0]!, 'w5', { kind: 'any', subnet });
    mesh.address(nodes[0]!, 'w6', { kind: 'any', subnet });
    assert.equal(refusal(mesh, nodes[1]!, 'more', { kind: 'any', subnet }).code, 'full');
  });

  it('use a pool up to the last one, whoever asks', () => {
    const { mesh, nodes } = settled(4);
    const got = new Set<string>();
    for (let n = 0; n < 239; n++) got.add(mesh.address(nodes[n % 4]!, `a${n}`));
    assert.equal(got.size, 239);
    assert.equal(refusal(mesh, nodes[2]!, 'more').code, 'full');
  });

  it('return when nothing uses them', () => {
    const { mesh, nodes } = settled(4);
    for (let n = 0; n < 200; n++) mesh.address(nodes[n % 4]!, `a${n}`);
    for (let n = 0; n < 200; n++) mesh.release(nodes[n % 4]!, `a${n}`);
    mesh.run(180_000);
    const [pool] = nodes[0]!.ipam.pools();
    assert.deepEqual(
      pool!.holders.map(({ peer }) => peer),
      [nodes[0]!.id],
    );
    assert.equal(pool!.titles, 1);
  });
});

describe('many small blocks side by side', () => {
  it('become one, whoever gave them', () => {
    const { mesh, nodes } = settled(3);
    const [founder, b, c] = nodes as [Node, Node, Node];
    for (let n = 65; n < 96; n += 2) mesh.address(b, `b${n}`, at(`10.9.0.${n}`));
    for (let n = 65; n < 96; n += 2) mesh.release(b, `b${n}`);
    for (let n = 64; n < 96; n++) mesh.address(c, `c${n}`, at(`10.9.0.${n}`));
    mesh.run(30_000);
    assert(mesh.isOfOneMind());
    const { ledger } = founder.ipam;
    const [pool] = ledger.pools();
    const held = ledger.titlesIfHeldBy(pool!.id, parseCidr('10.9.0.64/27')!, c.id);
    assert(held && held.length <= 2, `${held?.length} titles`);
  });

  it('of several givers survive any of them, and a holder that dies meanwhile leaves all to one', () => {
    for (let after = 0; after < 8000; after += 500) {
      const { mesh, nodes } = settled(4);
      const [founder, b, c, d] = nodes as [Node, Node, Node, Node];
      for (let n = 65; n < 80; n += 2) mesh.address(b, `b${n}`, at(`10.9.0.${n}`));
      for (let n = 65; n < 80; n += 2) mesh.release(b, `b${n}`);
      for (let n = 64; n < 80; n++) mesh.address(c, `c${n}`, at(`10.9.0.${n}`));
      mesh.run(after);
      kill(mesh, b, d);
      mesh.run(Math.floor(after / 3));
      kill(mesh, c, d);
      mesh.run(15_000);
      for (let n = 64; n < 80; n++) mesh.address(d, `d${n}`, at(`10.9.0.${n}`));
      mesh.address(founder, 'web');
      mesh.run(10_000);
      assert.deepEqual(mesh.duplicates(), []);
      assert(mesh.isOfOneMind());
    }
  });
});

describe('a cut', () => {
  it('lets those with space go on, and names the witness to those without', () => {
    const { mesh, nodes } = settled(4);
    const [founder, heir, c, d] = nodes as [Node, Node, Node, Node];
    mesh.cut((node) => (node === heir ? 1 : 0));
    mesh.address(founder, 'web');
    assert.deepEqual(refusal(mesh, c, 'web'), { code: 'waiting', peer: heir.id });
    assert.equal(refusal(mesh, heir, 'web').peer, founder.id);
    mesh.heal();
    mesh.address(c, 'web');
    mesh.address(d, 'web');
    assert.deepEqual(mesh.duplicates(), []);
  });

  it('keeps the space of the dead until the far side was asked, by name', () => {
    const { mesh, nodes } = settled(5);
    const [founder, heir, c, d, e] = nodes as [Node, Node, Node, Node, Node];
    mesh.cut((node) => (node === d || node === e ? 1 : 0));
    const before = mesh.address(c, 'web');
    kill(mesh, founder, c, d);
    kill(mesh, heir, c, d);
    mesh.run(10_000);
    assert.deepEqual(refusal(mesh, d, 'web'), { code: 'waiting', peer: c.id });
    assert.deepEqual(refusal(mesh, e, 'web'), { code: 'waiting', peer: c.id });
    assert.notEqual(mesh.address(c, 'db'), before);
    mesh.heal();
    mesh.run(10_000);
    const after = [d, e].map((node) => mesh.address(node, 'web'));
    assert.equal(new Set([...after, ...usedBy(c)]).size, 4);
    assert.deepEqual(usedBy(c)[0], before);
    assert.deepEqual(mesh.duplicates(), []);
  });

  it('ends with the same owners everywhere when all removed one peer during it', () => {
    const { mesh, nodes } = settled(6);
    for (const [n, node] of nodes.entries())
      for (let a = 0; a < 5; a++) mesh.address(node, `w${n}${a}`);
    mesh.cut((_node, n) => n % 2);
    const dead = nodes[3]!;
    mesh.crash(dead);
    for (const node of mesh.up) mesh.remove(dead, node);
    mesh.run(20_000);
    mesh.heal();
    mesh.run(20_000);
    assert(mesh.isOfOneMind());
    const [pool] = nodes[0]!.ipam.pools();
    assert(pool!.holders.every(({ isGone }) => !isGone));
  });

  it('with a newcomer whose grantor and witness died behind it: the clash is on both lists, the rest stays', () => {
    const { mesh, nodes } = settled(4);
    const [founder, heir, c] = nodes as [Node, Node, Node, Node];
    mesh.cut((node) => (node === founder || node === heir ? 0 : 1));
    const late = mesh.join(founder);
    mesh.run(1000);
    const [web, db] = [mesh.address(late, 'web'), mesh.address(late, 'db')];
    kill(mesh, founder, late, c);
    kill(mesh, heir, late, c);
    mesh.run(10_000);
    // Nobody here has ever heard of the newcomer, so the space is taken over, and one address used again.
    assert.equal(mesh.address(c, 'web', at(web)), web);
    mesh.heal();
    mesh.run(20_000);
    assert.deepEqual(mesh.duplicates(), []);
    assert.deepEqual(usedBy(late), [db]);
    assert.deepEqual(usedBy(c), [web]);
    for (const node of [late, c]) {
      const [clash, ...more] = node.ipam.clashes();
      assert.deepEqual(more, []);
      assert.equal(formatAddress(clash!.address), web);
      assert.equal(clash!.holder, c.id);
      assert.equal(clash!.loser, late.id);
      assert.equal(node.clashes.length, 1);
    }
  });
});

describe('a peer that is gone', () => {
  it('leaves its space to its heir, who hands it on', () => {
    const { mesh, nodes } = settled(3);
    const [founder, heir, c] = nodes as [Node, Node, Node];
    mesh.address(c, 'web');
    kill(mesh, founder, c);
    mesh.run(5000);
    assert.equal(new Set([mesh.address(heir, 'web'), mesh.address(c, 'db'), ...usedBy(c)]).size, 3);
    const [pool] = c.ipam.pools();
    assert.deepEqual(pool!.holders.map(({ peer }) => peer).sort(), [heir.id, c.id].sort());
  });

  it('finds newer titles when it returns after its lease, and what is used twice on both lists', () => {
    const { mesh, nodes } = settled(3);
    const [founder, heir, c] = nodes as [Node, Node, Node];
    const [first, second] = [mesh.address(c, 'web'), mesh.address(c, 'db')];
    mesh.cut((node) => (node === c ? 1 : 0));
    for (const node of [founder, heir]) node.gone.add(c.id);
    mesh.followMembers();
    mesh.run(5000);
    assert.equal(mesh.address(founder, 'web', at(first)), first);
    for (const node of [founder, heir]) node.gone.delete(c.id);
    mesh.heal();
    mesh.run(10_000);
    assert.deepEqual(mesh.duplicates(), []);
    assert.deepEqual(usedBy(c), [second]);
    assert.deepEqual(
      [c, founder].map((node) => node.ipam.clashes().map(({ address }) => formatAddress(address))),
      [[first], [first]],
    );
  });

  it('is told that it was removed', () => {
    const { mesh, nodes } = settled(2);
    nodes[1]!.gone.add(nodes[1]!.id);
    mesh.followMembers();
    assert.equal(refusal(mesh, nodes[1]!, 'web').code, 'removed');
  });

  it('200 times over, in a /24 of five nodes, never keeps anybody from an address', () => {
    const { mesh, nodes } = settled(5);
    for (let cycle = 0; cycle < 200; cycle++) {
      const at = cycle % 5;
      kill(mesh, nodes[at]!, nodes[(at + 1) % 5]!);
      nodes[at] = mesh.join(nodes[(at + 2) % 5]);
      mesh.run(1000);
      for (let n = 0; n < 3; n++) mesh.address(nodes[at], `c${n}`);
      assert.deepEqual(mesh.duplicates(), []);
    }
    for (let n = 0; n < 200; n++) mesh.address(nodes[n % 5]!, `last${n}`);
    assert.deepEqual(mesh.duplicates(), []);
  });
});

describe('two meshes that grew apart', () => {
  it('end with one pool: clashes on both lists, all else untouched', () => {
    const mesh = island();
    const [a, b] = [mesh.join(), (mesh.cut((_node, n) => n), mesh.join())];
    b.side = 1;
    mesh.followMembers();
    a.known.clear();
    b.known.clear();
    mesh.run(12_000);
    for (let n = 0; n < 10; n++) {
      mesh.address(a, `a${n}`, at(`10.9.0.${10 + n}`));
      mesh.address(b, `b${n}`, at(`10.9.0.${19 + n}`));
    }
    assert.notEqual(a.ipam.pools()[0]!.pool.id, b.ipam.pools()[0]!.pool.id);
    mesh.heal();
    mesh.run(15_000);
    assert(mesh.isOfOneMind());
    assert.equal(a.ipam.pools().length, 1);
    assert.deepEqual(mesh.duplicates(), []);
    const winner = a.ipam.pools()[0]!.holders.find(({ addresses }) => addresses > 100n)!.peer;
    const [won, lost] = winner === a.id ? [a, b] : [b, a];
    assert.deepEqual([usedBy(won).length, usedBy(lost).length], [10, 9]);
    for (const node of [a, b]) {
      assert.deepEqual(
        node.ipam
          .clashes()
          .map(({ address, holder, loser }) => [formatAddress(address), holder, loser]),
        [['10.9.0.19', won.id, lost.id]],
      );
    }
  });
});
