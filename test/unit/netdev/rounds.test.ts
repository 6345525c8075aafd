import assert from 'node:assert/strict';

import { Rounds } from '../../../src/netdev/rounds.js';

describe('rounds', () => {
  it('take all who came during the one before, and fail those alone that failed', async () => {
    const seen: string[] = [];
    const rounds = new Rounds<string>(async (items) => {
      seen.push(items.join());
      await new Promise((resolve) => setImmediate(resolve));
      return new Map(items.filter((item) => item === 'bad').map((item) => [item, new Error('no')]));
    });
    const first = ['a', 'z'].map((item) => rounds.add(item));
    await Promise.resolve();
    const all = [...first, ...['b', 'bad', 'c'].map((item) => rounds.add(item))];
    const outcomes = await Promise.allSettled(all);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    await rounds.add('d');
    assert.deepEqual(seen, ['a,z', 'b,bad,c', 'd']);
  });

  it('fail for all where the work as a whole failed, and go on', async () => {
    let isBroken = true;
    const rounds = new Rounds<string>(async () => {
      if (isBroken) throw new Error('broken');
      return new Map();
    });
    await assert.rejects(rounds.add('a'), /broken/);
    isBroken = false;
    await rounds.add('b');
  });
});
