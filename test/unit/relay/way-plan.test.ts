import assert from 'node:assert/strict';

import { peerIdFromBytes, type PeerId } from '../../../src/model/peer-id.js';
import { WayPlan, type WayStep, type WayWorld } from '../../../src/relay/way-plan.js';
import { Topology } from '../../../src/routing/topology.js';

const id = (number: number): PeerId => peerIdFromBytes(new Uint8Array(16).fill(number));
const [SELF, B, C, TARGET] = [1, 2, 3, 4].map(id) as [PeerId, PeerId, PeerId, PeerId];

/** B and C relay and list the target; B is the cheaper one. Labels are 1, 2, 3 … in the order of the requests. */
class Bench {
  readonly topology = new Topology();
  readonly plan = new WayPlan(this.topology, SELF);
  readonly requests: { readonly label: number; readonly via: readonly PeerId[] }[] = [];
  readonly freed: number[] = [];
  readonly states = new Map<number, 'active' | 'working' | 'silent'>();
  relays: WayWorld['relays'] = new Map([
    [B, 1],
    [C, 2],
  ]);
  nowMs = 0;
  answerMs = 0;

  constructor() {
    for (const relay of [B, C]) this.topology.setLinks(relay, new Map([[TARGET, 10]]));
  }

  target(isDirect: boolean, isInUse: boolean): void {
    this.plan.setTarget({ id: TARGET, isDirect, isInUse }, this.nowMs);
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (; this.nowMs <= untilMs; this.nowMs += 100) {
      const stateOf = (_target: PeerId, label: number) => this.states.get(label) ?? 'silent';
      for (const step of this.plan.onDeadline(this.nowMs, {
        relays: this.relays,
        answerMs: this.answerMs,
        stateOf,
      })) {
        this.take(step);
      }
    }
  }

  take(step: WayStep): void {
    if (step.kind === 'request') {
      const label = this.requests.length + 1;
      this.requests.push({ label, via: step.via });
      this.plan.onAsked(step.target, step.via, label);
    } else {
      this.freed.push(step.label);
      this.plan.onDown(step.label, this.nowMs);
    }
  }

  up(label: number, state: 'active' | 'working'): void {
    this.states.set(label, state);
    this.plan.onUp(label, this.nowMs);
  }
}

describe('the plan of ways', () => {
  it('asks the cheapest relay for a member that is not reached, after a moment', () => {
    const bench = new Bench();
    bench.target(false, false);
    bench.run(500);
    assert.equal(bench.requests.length, 0, 'it is dialled first');
    bench.run(1500);
    assert.deepEqual(bench.requests, [{ label: 1, via: [B] }]);
    bench.up(1, 'active');
    bench.run(120_000);
    assert.equal(bench.requests.length, 1);
    assert.deepEqual(bench.freed, []);
  });

  it('waits longer where many are dialled at once, and only while they are', () => {
    const bench = new Bench();
    bench.target(false, false);
    const others = Array.from({ length: 29 }, (_, at) => id(50 + at));
    for (const other of others) {
      bench.plan.setTarget({ id: other, isDirect: false, isInUse: false }, bench.nowMs);
    }
    bench.run(2500);
    assert.equal(bench.requests.length, 0, '30 wait for 3 s');
    for (const other of others) {
      bench.plan.setTarget({ id: other, isDirect: true, isInUse: false }, bench.nowMs);
    }
    bench.run(500);
    assert.deepEqual(bench.requests, [{ label: 1, via: [B] }]);
  });

  it('says that it seeks who is not reached in time, for a minute, and not who is reached directly', () => {
    const bench = new Bench();
    bench.relays = new Map();
    bench.target(false, false);
    bench.run(300);
    assert.equal(bench.plan.isSeeking, false);
    bench.run(300);
    assert.equal(bench.plan.isSeeking, true);
    bench.run(60_000);
    assert.equal(bench.plan.isSeeking, false, 'it is off');
    const other = new Bench();
    other.relays = new Map();
    other.target(false, false);
    other.run(2000);
    other.target(true, false);
    other.run(1000);
    assert.equal(other.plan.isSeeking, false);
  });

  it('takes note of ways to us of a member at rest, and has them when it is wanted', () => {
    const bench = new Bench();
    const rest = (isResting: boolean): void => {
      bench.plan.setTarget({ id: TARGET, isDirect: false, isInUse: false, isResting }, bench.nowMs);
    };
    rest(true);
    bench.plan.onArrival(TARGET, B, 9, bench.nowMs);
    bench.states.set(9, 'working');
    bench.run(10_000);
    rest(false);
    bench.run(10_000);
    assert.deepEqual(bench.requests, [], 'the way that came is enough');
    assert.deepEqual(bench.plan.removeTarget(TARGET), [9]);
    rest(true);
    assert.deepEqual(bench.plan.removeTarget(TARGET), []);
    bench.plan.onArrival(TARGET, B, 10, bench.nowMs);
    assert.deepEqual(bench.plan.removeTarget(TARGET), [], 'nobody keeps ways of who is no member');
  });

  it('keeps a spare way over another relay while there is traffic, and a minute longer', () => {
    const bench = new Bench();
    bench.target(true, true);
    bench.run(1000);
    assert.deepEqual(bench.requests, [{ label: 1, via: [B] }]);
    bench.up(1, 'working');
    bench.target(false, true);
    bench.run(1000);
    assert.deepEqual(bench.requests[1], { label: 2, via: [C] });
    bench.up(2, 'active');
    bench.target(true, false);
    bench.states.set(2, 'working');
    bench.run(50_000);
    assert.deepEqual(bench.freed, []);
    bench.run(80_000);
    assert.deepEqual(bench.freed.sort(), [1, 2]);
    assert.equal(bench.plan.nextDeadlineMs, Number.POSITIVE_INFINITY, 'nothing is left to do');
  });

  it('turns to another relay when one refuses, does not answer, or leads nowhere', () => {
    const bench = new Bench();
    bench.target(false, false);
    bench.run(1500);
    bench.plan.onDown(1, bench.nowMs);
    bench.run(1000);
    assert.deepEqual(bench.requests[1]?.via, [C]);
    bench.plan.onUp(2, bench.nowMs);
    bench.run(7000);
    assert.deepEqual(bench.freed, [2], 'nobody ever answered over it');
    bench.run(2000);
    assert.deepEqual(bench.requests[2]?.via, [B], 'its first pause is over');
  });

  it('asks less and less often when all fail', () => {
    const bench = new Bench();
    bench.target(false, false);
    for (let at = 0; at < 600; at++) {
      bench.run(900);
      for (const { label } of bench.requests) bench.plan.onDown(label, bench.nowMs);
    }
    assert.ok(bench.requests.length < 40, `${bench.requests.length} requests in ten minutes`);
    assert.ok(bench.requests.length > 10);
  });

  it('asks for nothing that no relay leads to, and at once when one does', () => {
    const bench = new Bench();
    bench.topology.remove(B);
    bench.topology.remove(C);
    bench.target(false, false);
    bench.run(30_000);
    assert.equal(bench.requests.length, 0);
    bench.topology.setLinks(B, new Map([[TARGET, 3]]));
    bench.run(600);
    assert.equal(bench.requests.length, 1);
  });

  it('looks for a route once while no link changes', () => {
    const bench = new Bench();
    for (const relay of [B, C]) bench.topology.setLinks(relay, new Map());
    let looks = 0;
    bench.topology.relaysOf = function* (peer) {
      looks += peer === TARGET ? 1 : 0;
      yield* Topology.prototype.relaysOf.call(this, peer);
    };
    bench.target(false, true);
    bench.run(60_000);
    assert.equal(looks, 1);
    bench.topology.setLinks(C, new Map([[TARGET, 10]]));
    bench.run(1000);
    assert.deepEqual(bench.requests, [{ label: 1, via: [C] }]);
  });

  it('does not wait when a peer in use lost its direct way', () => {
    const bench = new Bench();
    bench.target(true, false);
    bench.run(10_000);
    bench.target(false, true);
    bench.run(0);
    assert.equal(bench.requests.length, 1);
  });

  it('counts a way that the target made, as long as it answers over it', () => {
    const bench = new Bench();
    bench.target(false, true);
    bench.plan.onArrival(TARGET, B, 99, bench.nowMs);
    bench.states.set(99, 'active');
    bench.run(10_000);
    assert.deepEqual(bench.requests, [{ label: 1, via: [C] }], 'another relay than B');
    bench.up(1, 'working');
    bench.run(10_000);
    assert.equal(bench.requests.length, 1);
    bench.states.set(99, 'silent');
    bench.run(8000);
    assert.deepEqual(bench.requests[1]?.via, [B]);
    assert.deepEqual(bench.freed, [], 'what is not ours is not let go');
  });

  it('is not kept from asking by a neighbour that makes ways up', () => {
    const bench = new Bench();
    bench.target(false, false);
    for (let at = 0; at < 60; at++) {
      bench.plan.onArrival(TARGET, C, 1000 + at, bench.nowMs);
      bench.run(200);
    }
    assert.deepEqual(bench.requests, [{ label: 1, via: [B] }]);
    assert.deepEqual(bench.freed, []);
  });

  it('waits three times as long as direct answers take, ten seconds at most', () => {
    const bench = new Bench();
    bench.answerMs = 1500;
    bench.target(false, false);
    bench.run(4300);
    assert.equal(bench.requests.length, 0);
    bench.run(700);
    assert.equal(bench.requests.length, 1);
    const starved = new Bench();
    starved.answerMs = 8000;
    starved.target(false, false);
    starved.run(9800);
    assert.equal(starved.requests.length, 0);
    starved.run(1000);
    assert.equal(starved.requests.length, 1);
  });

  it('does not take a member to be unreachable since its own ticks came late, nor waits in use', () => {
    const bench = new Bench();
    bench.target(false, false);
    bench.run(0);
    bench.nowMs = 2500;
    bench.run(0);
    assert.equal(bench.requests.length, 0, '2 s late: 6 s');
    bench.run(3000);
    assert.equal(bench.requests.length, 1, 'in time again');
    bench.nowMs += 4000;
    bench.target(false, true);
    bench.run(0);
    assert.equal(bench.requests.length, 2);
  });

  it('lets the node with the smaller id ask first', () => {
    const bench = new Bench();
    const plan = new WayPlan(bench.topology, id(9));
    plan.setTarget({ id: TARGET, isDirect: true, isInUse: true }, 0);
    const world = { relays: bench.relays, answerMs: 0, stateOf: () => 'silent' as const };
    assert.deepEqual(plan.onDeadline(0, world), []);
    assert.equal(plan.onDeadline(500, world).length, 1);
  });

  it('forgets a member that is gone, and names its ways', () => {
    const bench = new Bench();
    bench.target(false, true);
    bench.run(2000);
    assert.deepEqual(bench.plan.removeTarget(TARGET), [1, 2]);
    bench.run(60_000);
    assert.equal(bench.requests.length, 2);
  });

  it('holds no more than 128 ways', () => {
    const bench = new Bench();
    for (let at = 10; at < 255; at++) {
      const target = id(at);
      bench.plan.setTarget({ id: target, isDirect: false, isInUse: true }, 0);
    }
    const many = new Map(Array.from({ length: 245 }, (_, at) => [id(at + 10), 1] as const));
    bench.topology.setLinks(B, many);
    bench.topology.setLinks(C, many);
    bench.run(10_000);
    assert.equal(bench.requests.length, 128);
  });
});
