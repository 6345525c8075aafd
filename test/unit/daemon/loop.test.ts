import assert from 'node:assert/strict';
import { Loop } from '../../../src/daemon/loop.js';

interface Turn {
  readonly atMs: number;
  readonly inputs: readonly string[];
}

/** A loop whose turns take as long as the test says, on a clock of its own. */
class Bench {
  nowMs = 1000;
  turnTakesMs = 0;
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly turns: Turn[] = [];
  readonly #armed = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  readonly loop = new Loop<string>(
    {
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      timers: {
        set: (delayMs, callback) => {
          const timer = { atMs: this.nowMs + delayMs, callback };
          this.#armed.add(timer);
          return () => this.#armed.delete(timer);
        },
      },
    },
    {
      turn: (inputs, nowMs) => {
        this.turns.push({ atMs: nowMs, inputs });
        this.nowMs += this.turnTakesMs;
        if (nowMs >= this.deadlineMs) this.deadlineMs = Number.POSITIVE_INFINITY;
      },
      nextDeadlineMs: () => this.deadlineMs,
      onFailure: (error) => assert.fail(String(error)),
    },
  );

  get armed(): number {
    return this.#armed.size;
  }

  runUntil(endMs: number): void {
    for (;;) {
      const [next] = [...this.#armed].sort((a, b) => a.atMs - b.atMs);
      if (!next || next.atMs > endMs) break;
      this.#armed.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.callback();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }
}

describe('the loop', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench();
    bench.loop.start();
    bench.turns.length = 0;
  });

  it('takes each input at once while turns take no time', () => {
    for (const input of ['a', 'b', 'c']) bench.loop.post(input);
    assert.deepEqual(
      bench.turns.map(({ inputs }) => inputs),
      [['a'], ['b'], ['c']],
    );
    assert.equal(bench.armed, 0);
  });

  it('rests four times as long as a turn took, and takes what came meanwhile in one', () => {
    bench.turnTakesMs = 10;
    bench.loop.post('a');
    for (const input of ['b', 'c', 'd']) bench.loop.post(input);
    bench.runUntil(1049);
    assert.equal(bench.turns.length, 1);
    bench.runUntil(1050);
    assert.deepEqual(bench.turns[1], { atMs: 1050, inputs: ['b', 'c', 'd'] });
  });

  it('never rests longer than 200 ms', () => {
    bench.turnTakesMs = 4000;
    bench.loop.post('a');
    bench.loop.post('b');
    bench.runUntil(6000);
    assert.equal(bench.turns[1]?.atMs, 5200);
  });

  it('does at the end of the rest what became due, with what came by then, and only once', () => {
    bench.turnTakesMs = 20;
    bench.deadlineMs = 1035;
    bench.loop.post('a');
    bench.loop.post('b');
    bench.runUntil(1099);
    assert.equal(bench.turns.length, 1);
    bench.runUntil(1100);
    assert.deepEqual(bench.turns[1], { atMs: 1100, inputs: ['b'] });
    bench.runUntil(2000);
    assert.equal(bench.turns.length, 2);
  });

  it('does not rest while work is left over', () => {
    bench.turnTakesMs = 20;
    bench.deadlineMs = 1020;
    bench.loop.post('a');
    bench.runUntil(1021);
    assert.deepEqual(
      bench.turns.map(({ atMs }) => atMs),
      [1000, 1020],
    );
  });

  it('does at once what somebody waits for', () => {
    bench.turnTakesMs = 20;
    bench.loop.post('a');
    bench.loop.post('b');
    bench.loop.postNow('c');
    assert.deepEqual(bench.turns[1], { atMs: 1020, inputs: ['b', 'c'] });
    bench.runUntil(2000);
    assert.equal(bench.turns.length, 2);
  });

  it('takes nothing up when it is stopped during the rest', () => {
    bench.turnTakesMs = 20;
    bench.loop.post('a');
    bench.loop.post('b');
    bench.loop.stop();
    assert.equal(bench.armed, 0);
    bench.runUntil(5000);
    assert.equal(bench.turns.length, 1);
  });
});
