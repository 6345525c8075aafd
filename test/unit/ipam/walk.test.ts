import assert from 'node:assert/strict';
import { cidrAround, formatAddress } from '../../../src/model/cidr.js';
import { Island, type Node } from './island.js';

/*
 * Random walks over everything that happens to a mesh's addresses. Each is a seed: `IPAM_SEED=7 IPAM_STEPS=20000`
 * repeats one, longer ones find more.
 */

const NODES = 10;
const OWNERS = 14;
const WALKS = Number(process.env['IPAM_WALKS'] ?? 4);
const STEPS = Number(process.env['IPAM_STEPS'] ?? 250);
/** Everything heals, and what must hold then is looked at, each time so many steps were taken. */
const CHAPTER = 1000;
const FAULTS = { loss: 0.1, repeats: 0.1, crashes: 0.002 } as const;
const SEED = process.env['IPAM_SEED'];

class Walk {
  readonly island: Island;
  readonly seed: number;
  steps = 0;
  #isCut = false;

  constructor(seed: number) {
    this.seed = seed;
    this.island = new Island({
      ...{ seed, pool: '10.9.0.0/24' },
      ...FAULTS,
    });
    const first = this.island.join();
    while (this.island.nodes.length < NODES) this.island.join(first);
    this.island.run(3000);
    this.island.onAnswer = ({ node, outcome, afterMs }) => {
      assert(afterMs <= 2000, `${this.#where()}: answered after ${afterMs} ms`);
      if (outcome.ok) {
        const text = formatAddress(outcome.address);
        const holders = this.island.active().get(text) ?? [];
        assert(
          holders.every((other) => other === node),
          `${this.#where()}: ${text} of ${node.id} is in use at ${holders.map(({ id }) => id).join()}`,
        );
      } else {
        const { code, peer } = outcome.refusal;
        assert(
          peer !== undefined || !['waiting', 'no pool'].includes(code),
          `${this.#where()}: ${JSON.stringify(outcome.refusal)} names nobody`,
        );
      }
    };
  }

  #where(): string {
    return `seed ${this.seed}, step ${this.steps}`;
  }

  step(): void {
    const { island } = this;
    this.steps += 1;
    const draw = island.rng.fraction();
    const node = island.pick(island.up);
    const owner = `a${Math.floor(island.rng.fraction() * OWNERS)}`;
    if (draw < 0.5) island.request(node, owner);
    else if (draw < 0.8) island.release(node, owner);
    else if (draw < 0.86) this.#claim(node, owner);
    else if (draw < 0.9) this.#cutOrHeal();
    else if (draw < 0.93) this.#crashOrRestart();
    else if (draw < 0.97) this.#disaster();
    else island.run(Math.floor(island.rng.fraction() * 3000));
    island.run(Math.floor(island.rng.fraction() * 60));
    if (this.steps % 20 === 0) this.check();
    if (this.steps % CHAPTER === 0) this.#nextChapter();
  }

  check(): void {
    assert.deepEqual(this.island.duplicates(), [], this.#where());
  }

  #claim(node: Node, owner: string): void {
    const value = 0x0a090000n + BigInt(Math.floor(this.island.rng.fraction() * 256));
    this.island.request(node, owner, { kind: 'address', address: { family: 4, value } });
  }

  #cutOrHeal(): void {
    const { island } = this;
    if (!this.#isCut) {
      this.#isCut = true;
      island.cut(() => Math.floor(island.rng.fraction() * 2));
      return;
    }
    this.#isCut = false;
    island.heal();
    if (island.chance(0.8)) this.#refill();
  }

  #crashOrRestart(): void {
    const { island } = this;
    const down = island.nodes.filter(({ isUp, isRemoved }) => !isUp && !isRemoved);
    if (down.length > 0 && island.chance(0.6)) island.restart(island.pick(down));
    else if (island.up.length > 3) island.crash(island.pick(island.up));
  }

  /** Up to three die at once, and operators on both sides say so. */
  #disaster(): void {
    const { island } = this;
    for (let dying = 1 + Math.floor(island.rng.fraction() * 3); dying > 0; dying--) {
      if (island.up.length <= 3) return;
      const node = island.pick(island.up);
      island.crash(node);
      for (const side of [0, 1]) {
        const witnesses = island.up.filter((other) => other.side === side);
        if (witnesses.length > 0) island.remove(node, island.pick(witnesses));
      }
    }
  }

  /** New ones come in place of the dead, when everybody can hear of them. */
  #refill(): void {
    const { island } = this;
    const { loss } = island;
    island.loss = 0;
    for (const node of island.nodes) if (!node.isUp && !node.isRemoved) island.restart(node);
    while (island.up.length < NODES) island.join(island.pick(island.up));
    island.run(2500);
    island.loss = loss;
  }

  #nextChapter(): void {
    const { island } = this;
    this.settle();
    this.#isCut = false;
    island.forgetRemoved();
    this.#refill();
    Object.assign(island, FAULTS);
  }

  /** Everything heals: whoever asks gets an address, all know the same, nothing is the dead's. */
  settle(): void {
    const { island } = this;
    island.heal();
    island.crashes = island.loss = island.repeats = 0;
    for (const node of island.nodes) if (!node.isUp && !node.isRemoved) island.restart(node);
    // Who heard of a removal may have died, too: operators say it again.
    for (const node of island.nodes)
      if (node.isRemoved) island.remove(node, island.pick(island.up));
    island.run(90_000);
    this.check();
    const where = this.#where();
    for (const node of island.up) {
      const outcome = island.ask(node, 'last');
      assert(outcome.ok, `${where}: ${outcome.ok ? '' : JSON.stringify(outcome.refusal)}`);
    }
    island.run(10_000);
    this.check();
    assert(island.isOfOneMind(), `${where}: ledgers differ`);
    const { ledger } = island.up[0]!.ipam;
    for (const pool of ledger.pools()) {
      const living = new Set(island.up.map(({ id }) => id));
      const holders = new Set(ledger.spans(pool.id).map(({ title }) => title.holder));
      for (const holder of holders) assert(living.has(holder), `${where}: ${holder} holds a block`);
      const least = [...holders].reduce((sum, id) => sum + ledger.blocksOf(pool.id, id).length, 0);
      const titles = ledger.titles(pool.id).length;
      assert(titles <= 2 * least, `${where}: ${titles} titles, ${least} blocks would do`);
      const last = { family: 4 as const, value: pool.range.first };
      assert(cidrAround(last, pool.range.bits).bits === 24);
    }
  }
}

describe('random walks of ten nodes', () => {
  const seeds =
    SEED === undefined ? Array.from({ length: WALKS }, (_, at) => at + 1) : [Number(SEED)];
  for (const seed of seeds) {
    it(`${STEPS} steps, IPAM_SEED=${seed}`, () => {
      const walk = new Walk(seed);
      for (let step = 0; step < STEPS; step++) walk.step();
      walk.settle();
    }).timeout(600_000);
  }
});
