import assert from 'node:assert/strict';

import fc from 'fast-check';

import { Deadlines } from '../../../src/base/deadlines.js';

describe('deadlines', () => {
  it('say the same as a look at all of them, whatever was set and taken before', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 12 }),
      atMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant(Number.POSITIVE_INFINITY)),
      takeUntilMs: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const deadlines = new Deadlines<number>();
        const naive = new Map<number, number>();
        for (const { key, atMs, takeUntilMs } of steps) {
          deadlines.set(key, atMs);
          naive.set(key, atMs);
          assert.equal(deadlines.nextMs, Math.min(Infinity, ...naive.values()));
          if (takeUntilMs === undefined) continue;
          const due = [...naive].filter(([, at]) => at <= takeUntilMs).map(([due]) => due);
          assert.deepEqual(
            deadlines.takeDue(takeUntilMs).sort((a, b) => a - b),
            due.sort((a, b) => a - b),
          );
          for (const key of due) naive.delete(key);
        }
      }),
    );
  });
});
