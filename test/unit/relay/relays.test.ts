import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';
import { Relays, type RelayAction, type Way } from '../../../src/relay/relays.js';
import { CONTROL } from '../../../src/wire/control-types.js';
import { encodeRelayAlloc } from '../../../src/wire/relay.js';

const id = (number: number): PeerId => peerIdFromBytes(new Uint8Array(16).fill(number));
const [A, B, C, D] = [1, 2, 3, 4].map(id) as [PeerId, PeerId, PeerId, PeerId];

interface Entry {
  peer: PeerId;
  outLabel: number;
  forward: number;
}

/** Nodes with their tables and neighbours; messages arrive at once unless `lose` says otherwise. */
class Net {
  readonly nodes = new Map<PeerId, Relays>();
  readonly tables = new Map<PeerId, Map<number, Entry>>();
  readonly ups: Way[] = [];
  readonly downs: string[] = [];
  /** Whose ways to a target are gone there. */
  readonly left: PeerId[] = [];
  readonly arrived: PeerId[] = [];
  readonly edges = new Set<string>();
  lose: (type: number) => boolean = () => false;
  nowMs = 0;

  constructor(...links: (readonly [PeerId, PeerId])[]) {
    for (const [a, b] of links) this.edges.add(`${a}${b}`).add(`${b}${a}`);
    for (const node of new Set(links.flat())) this.add(node, true);
  }

  add(node: PeerId, isRelay: boolean): void {
    const view = { isNeighbour: (peer: PeerId) => this.edges.has(`${node}${peer}`) };
    const rng = seededRng(Number.parseInt(node.slice(0, 4), 16));
    this.nodes.set(node, new Relays({ rng, view }, { ownId: node, isRelay }));
    this.tables.set(node, new Map());
  }

  act(node: PeerId, step: (relays: Relays, out: RelayAction[]) => void): void {
    const out: RelayAction[] = [];
    step(this.nodes.get(node)!, out);
    const table = this.tables.get(node)!;
    for (const action of out) {
      switch (action.kind) {
        case 'labelSet': {
          const { label, peer, outLabel, forward } = action;
          assert.ok(forward === 0 || table.has(forward), 'forward names a label of the table');
          table.set(label, { peer, outLabel, forward });
          break;
        }
        case 'labelRemove':
          assert.ok(table.delete(action.label), 'a label that was told is removed once');
          break;
        case 'wayUp':
          this.ups.push(action.way);
          break;
        case 'wayDown':
          this.downs.push(action.reason);
          break;
        case 'arrivalGone':
          assert.ok(!table.has(action.label), 'it is out of the tables by then');
          this.left.push(action.origin);
          break;
        case 'arrivalUp':
          assert.ok(table.has(action.label), 'it is in the tables already');
          this.arrived.push(action.origin);
          break;
        case 'send':
          break;
      }
    }
    for (const action of out) {
      if (action.kind !== 'send' || this.lose(action.type)) continue;
      this.act(action.peer, (relays, more) => {
        relays.onMessage(node, action.type, action.body, this.nowMs, more);
      });
    }
  }

  request(from: PeerId, target: PeerId, ...via: PeerId[]): void {
    this.act(from, (relays, out) => {
      relays.request(target, via, this.nowMs, out);
    });
  }

  advance(
    toMs: number,
    used: (node: PeerId) => ReadonlyMap<number, bigint> = () => new Map(),
  ): void {
    this.nowMs = toMs;
    for (const node of this.nodes.keys()) {
      this.act(node, (relays, out) => {
        relays.onDeadline(this.nowMs, () => used(node), out);
      });
    }
  }

  /** Where a datagram ends that `from` sends under its label. */
  follow(from: PeerId, label: number): PeerId {
    let at = from;
    let entry = this.tables.get(at)!.get(label)!;
    for (let hops = 0; hops < 5; hops++) {
      const arrived = this.tables.get(entry.peer)!.get(entry.outLabel);
      assert.ok(arrived, 'the label is known where it arrives');
      assert.equal(arrived.peer, at, 'it is taken from that neighbour');
      at = entry.peer;
      if (arrived.forward === 0) return at;
      entry = this.tables.get(at)!.get(arrived.forward)!;
    }
    throw new Error('it goes round in circles');
  }

  get labels(): number {
    return [...this.tables.values()].reduce((sum, table) => sum + table.size, 0);
  }
}

const line = () => new Net([A, B], [B, C], [C, D]);

describe('relays', () => {
  it('make a way over one relay that leads there and back', () => {
    const net = line();
    net.request(A, C, B);
    assert.equal(net.ups.length, 1);
    assert.equal(net.follow(A, net.ups[0]!.label), C);
    const [back] = net.tables.get(C)!.keys();
    assert.equal(net.follow(C, back!), A);
    assert.equal(net.nodes.get(B)!.carried, 1);
  });

  it('make a way over two relays', () => {
    const net = line();
    net.request(A, D, B, C);
    assert.equal(net.follow(A, net.ups[0]!.label), D);
  });

  it('repeat a lost request and a lost answer without a second pair of labels', () => {
    const net = line();
    let lost = 0;
    net.lose = (type) => type === CONTROL.RELAY_OK && ++lost <= 2;
    net.request(A, C, B);
    assert.equal(net.ups.length, 0);
    for (const ms of [250, 750, 1750, 3750]) net.advance(ms);
    assert.equal(net.ups.length, 1);
    assert.equal(net.labels, 4);
    assert.equal(net.follow(A, net.ups[0]!.label), C);
  });

  it('give up after 4 s and leave nothing', () => {
    const net = line();
    net.lose = (type) => type === CONTROL.RELAY_ALLOC;
    net.request(A, C, B);
    for (let ms = 0; ms <= 4000; ms += 250) net.advance(ms);
    assert.deepEqual(net.downs, ['no answer']);
    assert.equal(net.labels, 0);
  });

  it('say why a request is refused', () => {
    const net = line();
    net.add(B, false);
    net.request(A, C, B);
    assert.deepEqual(net.downs, ['this node does not relay']);
    const far = line();
    far.request(A, D, B);
    assert.deepEqual(far.downs, ['the next node is not reachable from here']);
    assert.equal(far.labels, 0);
  });

  it('refuse loops', () => {
    const net = line();
    net.request(A, C, B, A);
    net.request(A, D, B, C, B);
    assert.equal(net.ups.length, 0);
    assert.equal(net.labels, 0);
  });

  it('tell the target when the way of an origin stands, and when it is gone', () => {
    const net = line();
    net.request(A, C, B);
    assert.deepEqual(net.arrived, [A]);
    net.act(A, (relays, out) => {
      relays.free(net.ups[0]!.label, net.nowMs, out);
    });
    assert.deepEqual(net.left, [A]);
  });

  it('refuse a request that came over a relay', () => {
    const net = line();
    net.request(A, C, B);
    net.edges.delete(`${B}${A}`);
    net.request(A, C, B);
    net.act(A, (relays, out) => {
      relays.request(D, [B, C], net.nowMs, out);
    });
    assert.ok(net.downs.some((reason) => reason.includes('directly')));
  });

  it('end a way everywhere when it is let go', () => {
    const net = line();
    net.request(A, D, B, C);
    net.act(A, (relays, out) => {
      relays.free(net.ups[0]!.label, 0, out);
    });
    assert.equal(net.labels, 0);
  });

  it('end a way everywhere when a neighbour on it is lost', () => {
    const net = line();
    net.request(A, D, B, C);
    net.edges.delete(`${C}${D}`);
    net.act(C, (relays, out) => {
      relays.onNeighbourLost(D, 0, out);
    });
    assert.equal(net.tables.get(A)!.size, 0);
    assert.equal(net.tables.get(B)!.size, 0);
    assert.equal(net.tables.get(C)!.size, 0);
    assert.equal(net.downs.length, 1);
  });

  it('end a way whose relay says it does not know the label', () => {
    const net = line();
    net.request(A, C, B);
    const { outLabel } = net.tables.get(A)!.get(net.ups[0]!.label)!;
    net.act(B, (relays, out) => {
      relays.onUnknownLabel(A, outLabel, out);
    });
    assert.equal(net.tables.get(A)!.size, 0);
    assert.deepEqual(net.downs, ['unknown label']);
  });

  it('drop a way after five idle minutes, and keep a used one', () => {
    const net = line();
    net.request(A, C, B);
    let datagrams = 0n;
    const used = (): ReadonlyMap<number, bigint> => {
      datagrams += 1n;
      return new Map(
        [...net.tables.values()].flatMap((table) =>
          [...table.keys()].map((label) => [label, datagrams] as const),
        ),
      );
    };
    for (let ms = 0; ms <= 600_000; ms += 10_000) net.advance(ms, used);
    assert.equal(net.labels, 4);
    const still = new Map(
      [...net.tables.values()].flatMap((table) =>
        [...table.keys()].map((label) => [label, datagrams] as const),
      ),
    );
    for (let ms = 600_000; ms <= 920_000; ms += 10_000) net.advance(ms, () => still);
    assert.equal(net.labels, 0);
  });

  it('hold a neighbour to 64 labels and 20 requests a second', () => {
    const net = line();
    for (let round = 0; round < 200; round++) {
      net.nowMs = round * 20;
      net.act(C, (relays, out) => {
        const probe = new Relays(
          { rng: seededRng(round), view: { isNeighbour: () => true } },
          { ownId: D, isRelay: true },
        );
        const asks: RelayAction[] = [];
        probe.request(A, [C, B], net.nowMs, asks);
        const ask = asks.find((action) => action.kind === 'send');
        if (ask?.kind === 'send') relays.onMessage(D, ask.type, ask.body, net.nowMs, out);
      });
    }
    const fromD = [...net.tables.get(C)!.values()].filter(({ peer }) => peer === D);
    assert.ok(fromD.length <= 64, `${fromD.length} labels`);
  });

  it('change nothing on flipped and truncated messages from a neighbour without labels', () => {
    const net = line();
    net.request(A, C, B);
    const before = net.labels;
    for (const type of [
      CONTROL.RELAY_ALLOC,
      CONTROL.RELAY_OK,
      CONTROL.RELAY_FREE,
      CONTROL.RELAY_GONE,
    ]) {
      for (let length = 0; length < 40; length++) {
        net.act(B, (relays, out) => {
          relays.onMessage(D, type, new Uint8Array(length).fill(0x93), 0, out);
        });
      }
    }
    assert.equal(net.labels, before);
    assert.equal(net.follow(A, net.ups[0]!.label), C);
  });

  it('are refused when all neighbours together have as many as the tables hold half of', () => {
    const peers = Array.from({ length: 200 }, (_, at) => id(at + 10));
    const view = { isNeighbour: () => true };
    const relays = new Relays({ rng: seededRng(7), view }, { ownId: A, isRelay: true });
    const told = new Set<number>();
    for (const [at, peer] of peers.entries()) {
      const target = peers[(at + 1) % peers.length]!;
      for (let asked = 1; asked <= 64; asked++) {
        const request = new Uint8Array(8).fill(asked);
        const body = encodeRelayAlloc({ request, origin: peer, target, via: [], label: asked });
        const out: RelayAction[] = [];
        relays.onMessage(peer, CONTROL.RELAY_ALLOC, body, asked * 100, out);
        for (const action of out) if (action.kind === 'labelSet') told.add(action.label);
      }
    }
    assert.equal(told.size, 8192 / 2, 'the other halves are told when their way stands');
  });
});
