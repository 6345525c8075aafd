import assert from 'node:assert/strict';

import { Ledger } from '../../../src/ipam/ledger.js';
import type { Want } from '../../../src/ipam/ipam.js';
import { formatAddress, formatRange, parseCidr, parseRange } from '../../../src/model/cidr.js';
import { Island, type Node } from './island.js';

const POOL = '10.9.0.0/24';
const OTHER = '10.10.0.0/24';

/** So many nodes that know each other, the founder first. */
function settled(count: number, seed = 1): { readonly mesh: Island; readonly nodes: Node[] } {
  const mesh = new Island({ seed, pool: POOL });
  const founder = mesh.join();
  mesh.run(10);
  const others = Array.from({ length: count - 1 }, () => mesh.join(founder));
  mesh.run(8000);
  return { mesh, nodes: [founder, ...others] };
}

const reserve = (...texts: string[]): Want => ({
  kind: 'reserve',
  ranges: texts.map((text) => parseRange(text)!),
});
const end = (text: string): Want => ({ kind: 'end', pool: parseCidr(text)! });
const reserved = (node: Node): string[] => node.ipam.reserved().map(formatRange);

function must(mesh: Island, node: Node, want: Want): void {
  const outcome = mesh.ask(node, '', want);
  assert(outcome.ok, outcome.ok ? '' : JSON.stringify(outcome.refusal));
}

function refusal(
  mesh: Island,
  node: Node,
  want: Want,
): { code: string; text: string; peer: unknown } {
  const outcome = mesh.ask(node, '', want);
  assert(!outcome.ok);
  return outcome.refusal;
}

function addPool(mesh: Island, node: Node, text: string): void {
  mesh.act(node, (out) => {
    assert.equal(node.ipam.addPool(parseCidr(text)!, mesh.nowMs, out), undefined);
  });
}

const pools = (node: Node): string[] =>
  node.ipam.pools().map(({ pool }) => formatRange({ ...pool.range, last: pool.range.first }));

describe('a reserved range', () => {
  it('is fetched from whoever holds it, and nobody is given an address of it', () => {
    const { mesh, nodes } = settled(3);
    const [founder, b, c] = nodes as [Node, Node, Node];
    must(mesh, b, reserve('10.9.0.16-10.9.0.99'));
    mesh.run(2000);
    const given = new Set<string>();
    for (let at = 0; at < 50; at++) {
      for (const node of [founder, b, c]) given.add(mesh.address(node, `web${at}`));
    }
    assert.equal(given.size, 150);
    const numbers = [...given].map((text) => Number(text.split('.')[3]));
    assert.deepEqual(
      numbers.filter((last) => last >= 16 && last <= 99),
      [],
    );
    const exactly = { kind: 'address', address: { family: 4, value: 0x0a090014n } } as const;
    for (const node of [founder, b]) assert.equal(refusal(mesh, node, exactly).code, 'in use');
  });

  it('stays over kill -9 and a minute in which blocks go back; what is released is handed out again', () => {
    const { mesh, nodes } = settled(2);
    const [founder, b] = nodes as [Node, Node];
    must(mesh, b, reserve('10.9.0.8/29', '10.9.0.20'));
    mesh.crash(b);
    mesh.restart(b);
    mesh.run(180_000);
    assert.deepEqual(reserved(b), ['10.9.0.8/29', '10.9.0.20']);
    const want = { kind: 'address', address: { family: 4, value: 0x0a090009n } } as const;
    const no = refusal(mesh, founder, want);
    assert.deepEqual([no.code, no.peer], ['in use', b.id]);
    mesh.act(b, (out) => {
      b.ipam.unreserve(parseRange('10.9.0.9-10.9.0.10')!, mesh.nowMs, out);
    });
    assert.deepEqual(reserved(b), ['10.9.0.8', '10.9.0.11-10.9.0.15', '10.9.0.20']);
    assert.equal(mesh.address(founder, 'web', want), '10.9.0.9');
  });

  it('is refused whole where one address of it is in use, which is named with its node', () => {
    const { mesh, nodes } = settled(2);
    const [founder, b] = nodes as [Node, Node];
    const taken = mesh.address(founder, 'web');
    const block = `${taken.replace(/\d+$/, '')}${Number(taken.split('.')[3]) & ~7}/29`;
    const there = refusal(mesh, b, reserve(block, '10.9.0.200'));
    assert.deepEqual([there.code, there.peer], ['in use', founder.id]);
    assert.ok(there.text.startsWith(taken), there.text);
    const here = refusal(mesh, founder, reserve(block));
    assert.deepEqual([here.code, here.text], ['in use', `${taken} is in use here`]);
    assert.deepEqual([reserved(founder), reserved(b)], [[], []]);
  });

  it('lies in one pool, and outside of the part that is the nodes’ own', () => {
    const { mesh, nodes } = settled(1);
    const [node] = nodes as [Node];
    assert.equal(refusal(mesh, node, reserve('10.7.0.1')).code, 'outside');
    assert.equal(refusal(mesh, node, reserve('10.9.0.1-10.10.0.1')).code, 'outside');
    assert.equal(refusal(mesh, node, reserve('10.9.0.250')).code, 'reserved');
  });

  it('may be all there is', () => {
    const { mesh, nodes } = settled(1);
    const [node] = nodes as [Node];
    must(mesh, node, reserve(POOL));
    assert.equal(refusal(mesh, node, { kind: 'any', subnet: undefined }).code, 'full');
  });
});

describe('the end of a pool', () => {
  it('comes when nothing of it is in use, on every node, and it can be added again', () => {
    const { mesh, nodes } = settled(3, 2);
    const [founder, b, c] = nodes as [Node, Node, Node];
    addPool(mesh, founder, OTHER);
    mesh.run(3000);
    const subnet = { kind: 'any', subnet: parseCidr(OTHER)! } as const;
    const taken = mesh.address(c, 'web', subnet);
    assert.match(taken, /^10\.10\./);
    const no = refusal(mesh, b, end(OTHER));
    assert.deepEqual(
      [no.code, no.peer, no.text],
      ['in use', c.id, `${taken} is in use on another node`],
    );
    mesh.release(c, 'web');
    must(mesh, b, end(OTHER));
    mesh.run(20_000);
    for (const node of [founder, b, c]) assert.deepEqual(pools(node), ['10.9.0.0']);
    assert.equal(refusal(mesh, c, subnet).code, 'outside');
    mesh.crash(c);
    mesh.restart(c);
    assert.deepEqual(pools(c), ['10.9.0.0']);
    must(mesh, c, end(OTHER));
    addPool(mesh, c, OTHER);
    mesh.run(20_000);
    assert.match(mesh.address(founder, 'web', subnet), /^10\.10\./);
    mesh.run(10_000);
    assert(mesh.isOfOneMind());
  });

  // The seeds: the refusal comes in the very millisecond in which the address is released, and must not be kept.
  for (const seed of [1, 11, 16]) {
    it(`comes as soon as what was in its way is released, seed ${seed}`, () => {
      const { mesh, nodes } = settled(3, seed);
      const [founder, b, c] = nodes as [Node, Node, Node];
      addPool(mesh, founder, OTHER);
      mesh.run(3000);
      mesh.address(c, 'web', { kind: 'any', subnet: parseCidr(OTHER)! });
      assert.equal(refusal(mesh, b, end(OTHER)).peer, c.id);
      mesh.release(c, 'web');
      must(mesh, b, end(OTHER));
    });
  }

  it('waits for a holder that is away, and names it', () => {
    const { mesh, nodes } = settled(3);
    const [founder, b, c] = nodes as [Node, Node, Node];
    addPool(mesh, founder, OTHER);
    mesh.run(3000);
    mesh.address(c, 'web', { kind: 'any', subnet: parseCidr(OTHER)! });
    mesh.release(c, 'web');
    mesh.crash(c);
    const no = refusal(mesh, b, end(OTHER));
    assert.deepEqual([no.code, no.peer], ['waiting', c.id]);
  });

  it('is refused to the only pool and to one with a reservation', () => {
    const { mesh, nodes } = settled(2);
    const [founder, b] = nodes as [Node, Node];
    assert.equal(refusal(mesh, founder, end(POOL)).code, 'reserved');
    addPool(mesh, founder, OTHER);
    mesh.run(3000);
    must(mesh, b, reserve('10.10.0.7'));
    assert.deepEqual(
      [refusal(mesh, b, end(OTHER)).text, refusal(mesh, founder, end(OTHER)).text],
      ['10.10.0.7 is in use here', '10.10.0.7 is in use on another node'],
    );
  });

  it('is the same whatever the order in which titles come', () => {
    const { mesh, nodes } = settled(2);
    const [founder, b] = nodes as [Node, Node];
    addPool(mesh, founder, OTHER);
    mesh.run(3000);
    mesh.address(b, 'web', { kind: 'any', subnet: parseCidr(OTHER)! });
    const before = founder.ipam.ledger.all();
    mesh.release(b, 'web');
    must(mesh, founder, end(OTHER));
    const titles = [...founder.ipam.ledger.all(), ...before];
    for (const order of [titles, [...titles].reverse()]) {
      const ledger = new Ledger();
      for (const title of order) ledger.add(title);
      assert.deepEqual(
        ledger.pools().map(({ range }) => formatAddress({ family: 4, value: range.first })),
        ['10.9.0.0'],
      );
    }
  });
});
