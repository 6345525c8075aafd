import assert from 'node:assert/strict';

import { createSystemClock } from '../../../src/base/system-clock.js';
import { createSystemRng } from '../../../src/base/system-rng.js';

describe('clock and randomness of the machine', () => {
  it('takes the boot time it is given, and a time that never goes back without', () => {
    assert.equal(createSystemClock(() => 4711).monotonicMs(), 4711);
    const clock = createSystemClock();
    const times = Array.from({ length: 100 }, () => clock.monotonicMs());
    assert.deepEqual(
      times,
      times.toSorted((left, right) => left - right),
    );
    assert.ok(clock.wallMs() > Date.UTC(2024, 0));
  });

  it('gives as many bytes as asked for, other ones each time, and fractions in [0, 1)', () => {
    const rng = createSystemRng();
    assert.equal(rng.bytes(0).length, 0);
    assert.notDeepEqual(rng.bytes(16), rng.bytes(16));
    const fractions = Array.from({ length: 200 }, () => rng.fraction());
    assert.ok(fractions.every((fraction) => fraction >= 0 && fraction < 1));
    assert.ok(fractions.some((fraction) => fraction < 0.5) && fractions.some((f) => f >= 0.5));
  });
});
