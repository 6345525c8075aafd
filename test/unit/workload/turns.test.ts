import assert from 'node:assert/strict';

import { Turns } from '../../../src/workload/turns.js';

describe('turns', () => {
  let turns: Turns;
  let said: string[];
  /** Ends the work of that name. */
  let end: Map<string, () => void>;

  beforeEach(() => {
    turns = new Turns();
    said = [];
    end = new Map();
  });

  const take = (name: string, about?: string): Promise<void> =>
    turns.take(about, async () => {
      said.push(`+${name}`);
      await new Promise<void>((resolve) => end.set(name, resolve));
      said.push(`-${name}`);
    });
  const moment = () => new Promise((resolve) => setImmediate(resolve));

  it('are taken one after the other by what is about one thing, at once by the rest', async () => {
    const all = [take('a1', 'a'), take('b', 'b'), take('a2', 'a')];
    await moment();
    assert.deepEqual(said, ['+a1', '+b']);
    end.get('b')?.();
    await moment();
    end.get('a1')?.();
    await moment();
    assert.deepEqual(said, ['+a1', '+b', '-b', '-a1', '+a2']);
    end.get('a2')?.();
    await Promise.all(all);
  });

  it('are taken alone by what is about everything, in the order they were asked for', async () => {
    const all = [take('a', 'a'), take('all'), take('b', 'b')];
    for (const name of ['a', 'all', 'b']) {
      await moment();
      end.get(name)?.();
    }
    await Promise.all(all);
    assert.deepEqual(said, ['+a', '-a', '+all', '-all', '+b', '-b']);
  });

  it('go on after work that failed, which is told', async () => {
    const failed = turns.take('a', () => Promise.reject(new Error('no')));
    const next = turns.take('a', () => Promise.resolve(7));
    await assert.rejects(failed, /no/);
    assert.equal(await next, 7);
  });
});
